"""`vgtui exec COMMAND …`: any command, with what it trains watched, and no line of it changed."""

import argparse
import os
import re
import shlex
import signal
import sys
from errno import ENOEXEC
from typing import NoReturn

from engine.errors import UsageError
from vgtui.cli.screen_options import add_screen_options, no_screen, screen_of
from vgtui.terminal.capabilities import tell
from vgtui.watching.automatic.launch import watched_environment
from vgtui.watching.cadence import Cadence
from vgtui.watching.keep import keep_of

DESCRIPTION = "Run a command, and watch what it trains with PyTorch, with no line of it changed."
EXAMPLES = """\
examples:
  vgtui exec python train.py --lr 0.1
  vgtui exec --name resnet python -m imagenet.train
  vgtui exec torchrun --nproc-per-node 2 train.py
  vgtui exec accelerate launch train.py
  vgtui exec ./train.sh
  vgtui exec --record run.jsonl.gz --keep 10min python train.py
  vgtui exec --open python train.py      the dashboard at once, with the output in a panel of its own

in another terminal, once it has made its first step:
  vgtui attach

The command's output, exit code and signals are its own; a line on standard error names each model that is watched.
With --open, O changes the size of the output, q leaves and lets the command run, ctrl+c twice ends it.
126: the command cannot be run. 127: there is no such command."""
NOT_RUN_EXIT, NOT_FOUND_EXIT = 126, 127
"""As of a shell, of env and of nohup: every other exit code is the command's."""
_PYTHON = re.compile(r"python[0-9.]*")
_ALONE = re.compile(r"-[A-Za-z]*[IES]")
"""Options by which Python reads no PYTHONPATH, or nothing at its start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how to watch, and the command, of which every word is its own."""
    parser.usage = (
        "%(prog)s [-h] [--name NAME] [--every TIME] [--record FILE] [--keep TIME] [--open] [--theme NAME] [--fps X] "
        "COMMAND ..."
    )
    parser.add_argument("--name", metavar="NAME", help="for vgtui attach (default: the model's class)")
    parser.add_argument(
        "--every",
        metavar="TIME",
        default="100ms",
        help="how often a step is sampled while it is looked at: a time, or a number of steps (default: 100ms)",
    )
    parser.add_argument("--record", metavar="FILE", help="a new file for every frame, for vgtui replay")
    parser.add_argument(
        "--keep",
        metavar="TIME",
        help="how long --record keeps every frame, such as 10min; of what is older, ever fewer",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="open the dashboard at once, with the command's output in a panel of its own",
    )
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command, and its own words")
    add_screen_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Become the command; returns an exit code only where that is not possible."""
    words, environment = prepare(chosen)
    if chosen.open:
        return _open(chosen, words, environment)
    try:
        become(words, environment)
    except OSError as error:
        return _report(words, error)


def _open(chosen: argparse.Namespace, words: list[str], environment: dict[str, str]) -> int:
    """Run the command in the dashboard; the exit code is the command's."""
    theme, fps = screen_of(chosen)
    if (problem := no_screen(sys.stdin, sys.stdout, sys.stderr)) is not None:
        raise UsageError("open", problem)
    from vgtui.dashboard.launch import open_beside

    return open_beside(words, environment, theme, fps)


def prepare(chosen: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the words of the command, and the environment in which it is watched.

    Raises:
        UsageError: There is no command, or an option is wrong.
    """
    words: list[str] = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not words or not words[0]:
        raise UsageError("COMMAND", "there is none; such as: vgtui exec python train.py")
    every: str | int = int(chosen.every) if chosen.every.isdecimal() else chosen.every
    Cadence(every)
    if chosen.name == "":
        raise UsageError("name", "it is empty; it takes a word for vgtui attach")
    record = None if chosen.record is None else os.path.abspath(chosen.record)
    if record and os.path.exists(record):
        raise UsageError("record", f"{chosen.record} is there already; it takes a new file")
    if record and not os.path.isdir(os.path.dirname(record)):
        raise UsageError("record", f"{chosen.record}: no such folder")
    if chosen.keep is not None and record is None:
        raise UsageError("keep", "says for how long a recording keeps every frame; give --record FILE too")
    keep_of(record, chosen.keep)
    if (alone := _ignores_environment(words)) is not None:
        tell(f"nothing will be watched: {words[0]} {alone} reads no PYTHONPATH, by which vgtui comes in")
    given = {"name": chosen.name, "every": every, "record": record, "keep": chosen.keep}
    return words, watched_environment(given, os.environ)


def become(words: list[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process by a command.

    Raises:
        OSError: The command cannot be run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program would inherit that
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(words[0], words, environment)


def _ignores_environment(words: list[str]) -> str | None:
    """Return the option by which a Python ignores its environment, if it has one."""
    if not _PYTHON.fullmatch(os.path.basename(words[0])):
        return None
    for word in words[1:]:
        if not word.startswith("-") or word in ("-", "-c", "-m"):
            return None
        if _ALONE.match(word):
            return word
    return None


def _report(words: list[str], error: OSError) -> int:
    """Say why a command does not run. Returns the exit code that a shell has for it."""
    program = words[0]
    is_script = program.endswith(".py") and os.path.exists(program)
    python = f"; did you mean: vgtui exec python {shlex.join(words)}" if is_script else ""
    if isinstance(error, FileNotFoundError):
        tell(f'no command "{program}"{python}')
        return NOT_FOUND_EXIT
    reason = "it does not say what runs it (#! …)" if error.errno == ENOEXEC else error.strerror
    tell(f'"{program}" cannot be run: {reason}{python}')
    return NOT_RUN_EXIT
