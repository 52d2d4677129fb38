"""The command line: `vgtui`, its commands, and one sentence for every wrong word.

Nothing heavy is imported here: the command that is asked for is imported when it is, and brings its own options.
"""

import argparse
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TextIO

import vgtui
from engine.errors import DISK_FAULTS, UsageError, unknown_name
from vgtui.arguments import USAGE_EXIT, Parser, add_overwrite_option, add_run_options, blaming_the_giver, settings_of
from vgtui.options import words_of
from vgtui.screen_options import add_screen_options, no_screen, screen_of
from vgtui.terminal import have_home, open_streams, replace_unencodable, tell
from vgtui.unused_options import tell_unused, unused, unused_in_run, unused_run_options

COMMANDS = {
    "run": "train without a screen and write frames",
    "sweep": "train a grid of configurations, on the cores of a machine or a cluster",
    "plot": "the chart of a sweep",
    "report": "one HTML page of a run, a recording or a sweep",
    "export": "a recording or a sweep as CSV, Parquet, SVG or PNG",
    "replay": "show a recording in the dashboard",
    "attach": "show a PyTorch model that its own script trains",
    "lessons": "the guided lessons and how far you are",
    "bench": "how fast this machine trains",
    "doctor": "what this machine and terminal can do, and what to mend",
    "config": "every default and where it comes from",
    "completion": "completion of words for bash, zsh and fish",
    "list": "everything that can be chosen",
}
"""Each is a module of vgtui.commands of the same name."""

EXAMPLES = """\
examples:
  vgtui                                       a 20-layer sigmoid network, whose first layers get nothing
  vgtui --activation relu --init he_normal    the same network, cured
  vgtui --hidden-layers 100 --batch-norm      deeper
  vgtui --lesson quarter                      why the gradient vanishes, step by step
  vgtui --preset schoenholz-2017              a configuration from a paper
  vgtui --record run.jsonl.gz                 keep every frame; vgtui replay shows them again

commands (`vgtui COMMAND --help` explains each):
""" + "\n".join(f"  {name:<11} {words}" for name, words in COMMANDS.items())
FAULT_EXIT = 1
SCARCE = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
"""What the system says that has no more files, processes or memory for us."""
COMPLETION_VARIABLE = "_ARGCOMPLETE"
"""What a shell sets that wants words completed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 for a fault, 2 for wrong usage, 128 + n for a signal n."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        try:
            if sys.stderr:
                sys.stderr.flush()
        except OSError:  # a terminal that is gone, a full disk: nobody can be told, and the exit code stays what it is
            _discard(sys.stderr)


def _run(words: list[str]) -> int:
    have_home()
    if COMPLETION_VARIABLE in os.environ:
        from vgtui.commands.completion import complete

        complete()
    if not open_streams():
        tell("standard output is closed; > /dev/null takes what is not wanted")
        return USAGE_EXIT
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    replace_unencodable()
    try:
        try:
            if words and not words[0].startswith("-"):
                return _command(words[0], words[1:])
            return _dashboard(words)
        finally:
            sys.stdout.flush()  # here, as at the interpreter's own exit it is too late for a sentence
    except UsageError as error:
        tell(words_of(error))
        return USAGE_EXIT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _discard(sys.stdout)  # its reader has enough
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            _discard(sys.stdout)
            tell(f"{error.filename or 'the output'} cannot be written: {error.strerror}")
            return FAULT_EXIT
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SCARCE):
            tell(f"the system gives no more: {getattr(error, 'strerror', None) or 'out of memory'}; see ulimit -a")
            return FAULT_EXIT
        from vgtui.crash import report_crash

        return report_crash(error)


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, rather than fail once more as the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def find_command(name: str) -> ModuleType:
    """A command's module: DESCRIPTION, EXAMPLES, add_arguments(parser) and call(chosen), which gives the exit code.

    Raises UsageError where there is none of this name.
    """
    if name not in COMMANDS:
        raise UsageError("COMMAND", unknown_name("", "command", name, COMMANDS).problem)
    return importlib.import_module(f"vgtui.commands.{name}")


def _command(name: str, words: Sequence[str]) -> int:
    command = find_command(name)
    parser = Parser(prog=f"vgtui {name}", description=command.DESCRIPTION, epilog=command.EXAMPLES)
    command.add_arguments(parser)
    chosen = parser.parse_words(words)
    with blaming_the_giver(chosen):
        code: int = command.call(chosen)
    return code


def add_dashboard_options(parser: argparse.ArgumentParser) -> None:
    """The options of `vgtui` itself."""
    parser.add_argument("--version", action="version", version=f"vgtui {vgtui.__version__}")
    add_run_options(parser)
    screen = add_screen_options(parser)
    screen.add_argument("--lesson", metavar="NAME", help="begin a guided lesson: vgtui lessons")
    screen.add_argument("--record", metavar="FILE", help="keep every frame; compressed where FILE ends with .gz")
    add_overwrite_option(screen)


def _dashboard(words: Sequence[str]) -> int:
    parser = Parser(
        prog="vgtui",
        description="Train a deep network step by step and see, live, how much gradient every layer gets.",
        epilog=EXAMPLES,
    )
    add_dashboard_options(parser)
    chosen = parser.parse_words(words)
    with blaming_the_giver(chosen):
        return _open(chosen)


def _open(chosen: argparse.Namespace) -> int:
    """The dashboard, or where there can be none a report."""
    theme, fps = screen_of(chosen)
    settings = settings_of(chosen)
    lesson = None
    if chosen.lesson is not None:
        from vgtui.lessons.lesson import find_lesson

        lesson = find_lesson(chosen.lesson)
        settings = lesson.settings_before(0)
        found = [*unused_run_options(chosen, f"with --lesson {lesson.name}, which has settings of its own")]
    else:
        found = [*unused_in_run(chosen, settings)]
    if chosen.overwrite and not chosen.record:
        found.append(unused("--overwrite", "without --record FILE"))
    tell_unused(found)
    reason = no_screen(sys.stdin, sys.stdout, sys.stderr)
    if reason is None:
        from vgtui.commands.dashboard import train_live

        return train_live(settings, theme, fps, chosen.record, chosen.overwrite, lesson, found)
    if lesson:
        raise UsageError("lesson", f"{reason}, and a lesson needs one; vgtui lessons {lesson.name} prints its text")
    if chosen.record:
        raise UsageError("record", f"{reason}, and the dashboard is what records; take vgtui run --output FILE")
    from vgtui.commands.run import REPORT_STEPS, Plan, run

    tell(f"{reason}, so here is a report of {REPORT_STEPS} steps (see vgtui run --help)")
    return run(settings, Plan(REPORT_STEPS, REPORT_STEPS), output="-", format_name="report")
