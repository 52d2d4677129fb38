"""Writes vgtui's man page from its own parsers: `make man`; with - as word, to standard output."""

import argparse
import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "80"  # of the synopsis, whatever terminal this is

from argparse_manpage.manpage import Manpage

import vgtui
from vgtui.cli.commands import COMMANDS, dashboard, find_command
from vgtui.dashboard.keymap import KEYS

PAGE = Path(__file__).with_name("vgtui.1")
SUMMARY = "a terminal microscope for the vanishing gradient problem"
DESCRIPTION = (
    "Train a deep network step by step and see, live, how much gradient every layer gets. Single keys change the "
    "activation, BatchNorm, skip connections and initialization while it runs. Without a terminal, train 200 steps and "
    "print a report."
)
EXIT_CODES = {
    0: "it ended as it should",
    1: "a fault of the run: a full disk, a training process that died, a GPU that failed",
    2: "wrong usage: one sentence names the option and what it takes",
    3: "a bound of run --until was not met",
    "128+n": "signal n ended it",
}
FILES = {
    "~/.config/vgtui/settings.toml": "defaults for every option, and keys; VGTUI_CONFIG names another file",
    "~/.config/vgtui/themes/*.toml": "themes of your own",
    "~/.config/vgtui/lessons/*.toml": "lessons of your own",
    "~/.local/state/vgtui": "what is remembered of the last time, and the traceback of a crash",
    "$XDG_RUNTIME_DIR/vgtui": "sockets of models that are watched, or /tmp/vgtui-UID",
}
VARIABLES = {
    "VGTUI_…": "a default for an option, as VGTUI_LR=0.01 or VGTUI_BATCH_NORM=on: see vgtui config",
    "VGTUI_RUNTIME_DIR": "the only folder of sockets of watched models that is used and searched",
    "NO_COLOR": "no colours",
    "TERM=dumb": "a report rather than the dashboard",
}


def page() -> str:
    """The whole page, as roff."""
    parser = argparse.ArgumentParser(prog="vgtui", description=DESCRIPTION)
    dashboard.add_arguments(parser)
    commands = parser.add_subparsers(title="commands")
    for name, words in COMMANDS.items():
        module = find_command(name)
        module.add_arguments(commands.add_parser(name, description=module.DESCRIPTION, help=words))
    manual = {"manual_title": "User Commands", "description": SUMMARY, "version": vgtui.__version__, "date": " "}
    found = Manpage(parser, manual, format="single-commands-section")
    found.add_section("keys", "=", _table({key.shown: key.help for key in KEYS}))
    found.add_section("exit status", "=", _table(EXIT_CODES))
    found.add_section("files", "=", _table(FILES))
    found.add_section("environment", "=", _table(VARIABLES))
    found.add_section("examples", "=", _verbatim(dashboard.EXAMPLES.partition("\n\ncommands")[0].partition("\n")[2]))
    return str(found)


def _table(rows: dict[str, str] | dict[int | str, str]) -> str:
    return "\n".join(f".TP\n\\fB{_escaped(str(term))}\\fR\n{_escaped(words)}" for term, words in rows.items())


def _verbatim(text: str) -> str:
    return f".nf\n{_escaped(text)}\n.fi"


def _escaped(text: str) -> str:
    """What roff would take for a command, as it is."""
    return "\n".join(f"\\&{line}" for line in text.replace("\\", "\\e").replace("-", "\\-").splitlines())


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
