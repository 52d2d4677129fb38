"""The command line: what `vgtui` and its commands take, and one sentence for every wrong word.

Nothing heavy is imported here: the command that is asked for imports what it needs.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TextIO

import vgtui
from engine.config import BACKEND_NAMES
from engine.errors import UsageError, unknown_name
from vgtui.options import NONE, OPTIONS, Option, flag_of, settings_from
from vgtui.terminal import is_dumb, replace_unencodable
from vgtui.training.settings import RunSettings

USAGE_EXIT = 2

DASHBOARD_EXAMPLES = """\
examples:
  vgtui                                       a 20-layer sigmoid network, whose first layers get nothing
  vgtui --activation relu --init he_normal    the same network, cured
  vgtui --hidden-layers 100 --batch-norm      deeper
  vgtui run --steps 500 --format jsonl        without a screen, for scripts
  vgtui --lesson quarter                      why the gradient vanishes, step by step
  vgtui --preset schoenholz-2017              a configuration from a paper
  vgtui --record run.jsonl.gz                 keep every frame; vgtui replay shows them again
  vgtui list                                  everything that can be chosen

commands: run, replay, lessons, bench, list. `vgtui COMMAND --help` explains each."""

RUN_EXAMPLES = """\
examples:
  vgtui run --steps 500                                     a table, then the report
  vgtui run --steps 1000 --every 10 --output run.jsonl      every tenth step to a file
  vgtui run --steps 200 --activation relu --format csv > relu.csv
  vgtui run --steps 100 --format jsonl | tail -1 | jq .verdict.message"""

REPLAY_EXAMPLES = """\
examples:
  vgtui --record run.jsonl                                       record
  vgtui replay run.jsonl                                         see it again
  vgtui run --steps 5000 --every 10 --format jsonl | vgtui replay -
  ssh gpu vgtui run --steps 5000 --every 10 --format jsonl | vgtui replay -

keys: space pauses, < > change the speed, while paused ← → home end move in time."""


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no whole number') from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no number') from None


class _Parser(argparse.ArgumentParser):
    """argparse, with errors of one sentence and exit code 2."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_EXIT, f"{self.prog}: {message.removeprefix('argument ')} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 for a fault, 2 for wrong usage, 128 + n for a signal n."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    replace_unencodable()
    try:
        if words and not words[0].startswith("-"):
            return _command(words[0], words[1:])
        return _dashboard(words)
    except UsageError as error:
        sys.stderr.write(usage_sentence(error))
        return USAGE_EXIT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # who read our output has enough; what is still buffered for them goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from vgtui.crash import report_crash

        return report_crash(error)


def usage_sentence(error: UsageError) -> str:
    """The error for a terminal, naming the option."""
    name = error.setting if error.setting.isupper() else flag_of(error.setting)
    return f"vgtui: {name}: {error.problem}\n"


def _command(name: str, words: Sequence[str]) -> int:
    commands = {"run": _run, "replay": _replay, "lessons": _lessons, "bench": _bench, "list": _list}
    if name not in commands:
        raise UsageError("COMMAND", unknown_name("", "command", name, commands).problem)
    return commands[name](words)


def _dashboard(words: Sequence[str]) -> int:
    parser = _Parser(
        prog="vgtui",
        description="Train a deep network step by step and see, live, how much gradient every layer gets.",
        epilog=DASHBOARD_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"vgtui {vgtui.__version__}")
    _add_options(parser)
    screen = _add_screen_options(parser)
    screen.add_argument("--lesson", metavar="NAME", help="begin a guided lesson: vgtui lessons")
    screen.add_argument("--record", metavar="FILE", help="keep every frame; compressed where FILE ends with .gz")
    chosen = parser.parse_args(words)
    _check_screen_options(chosen)
    settings = _settings_of(chosen)
    lesson = None
    if chosen.lesson is not None:
        from vgtui.lessons.lesson import find_lesson

        lesson = find_lesson(chosen.lesson)
        settings = lesson.settings_before(0)
    reason = _no_screen(sys.stdin, sys.stdout, sys.stderr)
    if reason is None:
        from vgtui.commands.dashboard import train_live

        return train_live(settings, chosen.theme, chosen.fps, chosen.record, lesson)
    if lesson:
        raise UsageError("lesson", f"{reason}, and a lesson needs one; vgtui lessons {lesson.name} prints its text")
    if chosen.record:
        raise UsageError("record", f"{reason}, and the dashboard is what records; take vgtui run --output FILE")
    from vgtui.commands.run import REPORT_STEPS, run

    sys.stderr.write(f"vgtui: {reason}, so here is a report of {REPORT_STEPS} steps (see vgtui run --help)\n")
    return run(settings, steps=REPORT_STEPS, every=REPORT_STEPS, output="-", format_name="report")


def _add_screen_options(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    screen = parser.add_argument_group("screen")
    screen.add_argument("--theme", metavar="NAME", help="colours: vgtui list themes (default: those of the last time)")
    screen.add_argument("--fps", type=_number, default=10.0, metavar="N", help="most pictures a second (default: 10)")
    return screen


def _check_screen_options(chosen: argparse.Namespace) -> None:
    """Raises UsageError."""
    if not 0.1 <= chosen.fps <= 60:
        raise UsageError("fps", f"{chosen.fps:g} is out of range; it takes a number from 0.1 to 60")
    if chosen.theme is not None:
        from vgtui.themes import find_palette

        find_palette(chosen.theme)


def _no_screen(*streams: TextIO) -> str | None:
    """Why there can be no dashboard on these, if there cannot."""
    if is_dumb():
        return "TERM=dumb cannot show a dashboard"
    return None if all(stream.isatty() for stream in streams) else "no terminal"


def _replay(words: Sequence[str]) -> int:
    parser = _Parser(
        prog="vgtui replay",
        description="Show a recording in the dashboard, or frames that come through a pipe.",
        epilog=REPLAY_EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="a recording, .gz too; - follows standard input")
    _add_screen_options(parser)
    chosen = parser.parse_args(words)
    _check_screen_options(chosen)
    from vgtui.commands.replay import replay, report

    # keys come from the terminal itself where standard input is the stream; Textual draws on stderr
    streams = (sys.stdout, sys.stderr) if chosen.file == "-" else (sys.stdin, sys.stdout, sys.stderr)
    if _no_screen(*streams) is None:
        return replay(chosen.file, chosen.theme, chosen.fps)
    return report(chosen.file)


def _lessons(words: Sequence[str]) -> int:
    from vgtui.commands.lessons import print_lesson, print_lessons

    parser = _Parser(
        prog="vgtui lessons",
        description="The guided lessons and how far you are; or the text of one.",
        epilog="examples:\n  vgtui lessons\n  vgtui lessons quarter\n  vgtui --lesson quarter",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="print the text of this lesson")
    chosen = parser.parse_args(words)
    return print_lesson(chosen.name) if chosen.name is not None else print_lessons()


def _run(words: Sequence[str]) -> int:
    from vgtui.commands.run import FORMATS, run

    parser = _Parser(prog="vgtui run", description="Train without a screen and write frames.", epilog=RUN_EXAMPLES)
    group = parser.add_argument_group("output")
    group.add_argument("--steps", type=_whole, required=True, metavar="N", help="train N steps")
    group.add_argument("--every", type=_whole, metavar="K", help="a frame at the steps 0, K, 2K … N (default: N/10)")
    group.add_argument(
        "--output", "-o", default="-", metavar="FILE", help="where to; - is standard output (default: -)"
    )
    group.add_argument(
        "--format", metavar="NAME", help=f"{', '.join(FORMATS)} (default: by the ending of FILE, else table)"
    )
    _add_options(parser)
    chosen = parser.parse_args(words)
    if chosen.steps < 0:
        raise UsageError("steps", f"{chosen.steps} is out of range; it takes a whole number from 0")
    if chosen.every is not None and chosen.every < 1:
        raise UsageError("every", f"{chosen.every} is out of range; it takes a whole number from 1")
    every = chosen.every or max(1, chosen.steps // 10)
    name = chosen.format or next((f for f in FORMATS if chosen.output.endswith(f".{f}")), "table")
    if name not in FORMATS:
        raise unknown_name("format", "format", name, FORMATS)
    return run(_settings_of(chosen), chosen.steps, every, chosen.output, name)


def _bench(words: Sequence[str]) -> int:
    from vgtui.commands.bench import bench

    parser = _Parser(
        prog="vgtui bench",
        description="How fast this machine trains: five sizes, sigmoid and relu.",
        epilog="examples:\n  vgtui bench\n  vgtui bench --backend numpy --seconds 60",
    )
    parser.add_argument("--backend", default="auto", metavar="NAME", help=f"{', '.join(BACKEND_NAMES)} (default: auto)")
    parser.add_argument("--seconds", type=_number, default=12.0, metavar="X", help="of measuring, in all (default: 12)")
    chosen = parser.parse_args(words)
    if not 0.5 <= chosen.seconds <= 3600:
        raise UsageError("seconds", f"{chosen.seconds:g} is out of range; it takes a number from 0.5 to 3600")
    return bench(chosen.backend, chosen.seconds)


def _list(words: Sequence[str]) -> int:
    from vgtui.commands.list import SECTIONS, print_choices

    parser = _Parser(prog="vgtui list", description="What can be chosen.", epilog="example:\n  vgtui list activations")
    parser.add_argument("section", nargs="?", metavar="WHAT", help=", ".join(SECTIONS))
    chosen = parser.parse_args(words)
    if chosen.section is not None and chosen.section not in SECTIONS:
        raise UsageError("WHAT", unknown_name("", "section", chosen.section, SECTIONS).problem)
    return print_choices(chosen.section)


def _typed(option: Option) -> Callable[[str], Any]:
    """The option's parser, with its errors in argparse's own class."""

    def parse(text: str) -> Any:
        try:
            return option.parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(error.problem) from None

    return parse


def _add_options(parser: argparse.ArgumentParser) -> None:
    """The shared options. None of them has a default here: the settings have theirs."""
    group = parser.add_argument_group("network and training")
    group.add_argument("--preset", metavar="NAME", help="begin with a configuration from a paper: vgtui list presets")
    for option in OPTIONS:
        if option.kind == "switch":
            state = "on" if option.default else "off"
            group.add_argument(
                option.flag,
                dest=option.field,
                action=argparse.BooleanOptionalAction,
                help=f"{option.help} (default: {state})",
            )
            continue
        choices = f": {', '.join(option.choices)}" if option.choices else ""
        group.add_argument(
            option.flag,
            dest=option.field,
            type=_typed(option),
            metavar={"name": "NAME", "whole": "N", "number": "X"}[option.kind],
            help=f"{option.help}{choices} (default: {NONE if option.default is None else option.default})",
        )


def _settings_of(chosen: argparse.Namespace) -> RunSettings:
    """The settings of parsed options. Raises UsageError."""
    preset: Mapping[str, Any] = {}
    if chosen.preset is not None:
        from vgtui.presets import find_preset

        preset = find_preset(chosen.preset).settings
    given = {o.field: value for o in OPTIONS if (value := getattr(chosen, o.field)) is not None}
    return settings_from({**preset, **given})
