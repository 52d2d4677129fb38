"""The commands, a module each, and the names by which they are called."""

import importlib
from types import ModuleType

from engine.errors import UsageError, unknown_name

COMMANDS = {
    "run": "train without a screen and write frames",
    "sweep": "train a grid of configurations, on the cores of a machine or a cluster",
    "plot": "the chart of a sweep",
    "report": "one HTML page of a run, a recording or a sweep",
    "export": "a recording or a sweep as CSV, Parquet, SVG or PNG",
    "replay": "show a recording in the dashboard",
    "exec": "run a command, and watch what it trains with PyTorch",
    "attach": "show a PyTorch model that its own script trains",
    "lessons": "the guided lessons and how far you are",
    "bench": "how fast this machine trains",
    "doctor": "what this machine and terminal can do, and what to mend",
    "config": "every default and where it comes from",
    "completion": "completion of words for bash, zsh and fish",
    "list": "everything that can be chosen",
}
"""Each is a module here of the same name; `vgtui` without one is `dashboard.py`."""


def find_command(name: str) -> ModuleType:
    """A command's module: DESCRIPTION, EXAMPLES, add_arguments(parser) and call(chosen), which gives the exit code.

    Raises:
        UsageError: There is no command of this name.
    """
    if name not in COMMANDS:
        raise UsageError("COMMAND", unknown_name("", "command", name, COMMANDS).problem)
    return importlib.import_module(f"vgtui.cli.commands.{name}")
