"""`vgtui exec`: a command as it is, with whatever it trains in PyTorch watched."""

import argparse
import os
import shlex
import sys

from engine.errors import UsageError
from vgtui.watching.automatic.environment import Wishes, environment_for
from vgtui.watching.cadence import Cadence
from vgtui.watching.errors import ArgumentError

DESCRIPTION = (
    "Run a command that trains with PyTorch, as it is, so that `vgtui attach` sees which layers starve. The command's "
    "output, exit code and signals are its own; one line on stderr names each model that is watched."
)
EXAMPLES = """\
examples:
  vgtui exec python train.py --lr 0.1
  vgtui exec torchrun --nproc-per-node 2 train.py
  vgtui exec accelerate launch train.py
  vgtui exec bash train.sh             every Python that the script starts is watched
  vgtui exec --name resnet --record run.jsonl.gz python -m train

  vgtui attach                         in another terminal: what is watched, live

Options of vgtui come before the command; what follows is the command's. A Python that ignores PYTHONPATH (-E, -I) is
not watched."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how models are watched, and the command."""
    parser.add_argument("--name", metavar="NAME", help="for `vgtui attach`, else the model's class")
    parser.add_argument(
        "--every", metavar="PACE", default="100ms", help='how often a step is sampled: "100ms", or 10 for every 10th'
    )
    parser.add_argument("--record", metavar="FILE", help="a new file that keeps every frame, for `vgtui replay`")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its options")


def call(chosen: argparse.Namespace) -> int:
    """Become the command."""
    command, environment = prepare(chosen)
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        problem = "is not found"
    except PermissionError:
        problem = "cannot be run: it is not executable"
    except OSError as error:
        problem = f"cannot be run: {error.strerror}"
    raise UsageError("COMMAND", f"{shlex.quote(command[0])} {problem}")


def prepare(chosen: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return a command and its environment.

    Raises:
        UsageError: There is no command, or an option is wrong.
    """
    command: list[str] = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        raise UsageError("COMMAND", "there is none; for example: vgtui exec python train.py")
    every = int(chosen.every) if chosen.every.isdecimal() else chosen.every
    try:
        Cadence(every)
    except ArgumentError as error:
        raise UsageError("--every", error.problem) from error
    record = None if chosen.record is None else os.path.abspath(chosen.record)
    wishes = Wishes(chosen.name, every, record)
    sys.stdout.flush()
    return command, environment_for(wishes, os.environ)
