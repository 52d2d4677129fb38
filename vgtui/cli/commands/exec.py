"""`vgtui exec`: a command that trains, with its output and its models in the dashboard."""

import argparse
import os
import sys

from engine.errors import UsageError
from vgtui.cli.screen_options import add_screen_options, no_screen, screen_of

DESCRIPTION = "Run a command that trains, and show its output and its models in the dashboard."
EXAMPLES = """\
examples:
  vgtui exec --open python train.py          the dashboard, with the output in a panel of its own
  vgtui exec --open -- python train.py --lr 0.1

keys: O changes the size of the output, q leaves and lets the command run, ctrl+c twice ends it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command and the options of the screen."""
    parser.add_argument("--open", action="store_true", help="open the dashboard at once, with the command's output")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments")
    add_screen_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Run the command in the dashboard; the exit code is the command's."""
    theme, fps = screen_of(chosen)
    if not chosen.open:
        raise UsageError("open", "vgtui exec runs a command with --open")
    if (problem := no_screen(sys.stdin, sys.stdout, sys.stderr)) is not None:
        raise UsageError("open", problem)
    from vgtui.dashboard.launch import open_beside

    words = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    return open_beside(words, os.environ, theme, fps)
