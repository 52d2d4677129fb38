"""`vgtui config`: every option's value where nothing else is said, and where it comes from."""

import argparse
import os

import msgspec

from vgtui.cli.arguments import add_run_options, settings_from_arguments
from vgtui.cli.output.columns import Columns
from vgtui.model.options import ALL_OPTIONS
from vgtui.terminal.capabilities import tell
from vgtui.terminal.text import plain
from vgtui.user.defaults import Default, read_defaults, unknown_variables
from vgtui.user.settings_file import load_settings, settings_path
from vgtui.user.variables import FILE_VARIABLE

DESCRIPTION = "Show every option's value and where it comes from: command line, environment, settings file, built in."
EXAMPLES = """\
examples:
  vgtui config
  VGTUI_LR=0.01 vgtui config --activation relu
  vgtui config --example > ~/.config/vgtui/settings.toml     a settings file to begin with
  vgtui config --json | jq .options.lr"""
COMMAND_LINE = "command line"
COLUMNS = Columns("<16", "<16", "<14", "", gap=" ")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --json, --example and the options of a run."""
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--example", action="store_true", help="print a settings file that has every option, commented")
    add_run_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Print the value of every option and where it comes from, or an example of a settings file."""
    if chosen.example:
        print(example())
        return 0
    defaults = read_defaults()
    settings_from_arguments(chosen)  # refuses a value out of range, wherever it came from
    rows = {field: _row(chosen, default) for field, default in defaults.items()}
    for name in unknown_variables():
        tell(f"{name}: is not an option of vgtui, and does nothing")
    path, keys = settings_path(), load_settings().keys
    if chosen.json:
        options = {defaults[f].option.name: {"value": value, "from": origin} for f, (value, origin) in rows.items()}
        print(msgspec.json.encode({"file": str(path), "options": options, "keys": keys}).decode())
        return 0
    there = "" if os.path.exists(path) else " (not there; vgtui config --example prints one)"
    print(f"settings file: {plain(str(path))}{there}")
    print("\n" + COLUMNS.row("option", "value", "from", "variable"))
    for field, (value, origin) in rows.items():
        option = defaults[field].option
        print(COLUMNS.row(option.name, plain(option.show(value)), origin, option.variable))
    for name, key in keys.items():
        print(COLUMNS.row(f"keys.{name}", plain(key), "settings file").rstrip())
    return 0


def _row(chosen: argparse.Namespace, default: Default) -> tuple[object, str]:
    field = default.option.field
    return (getattr(chosen, field), COMMAND_LINE) if hasattr(chosen, field) else (default.value, default.origin)


def example() -> str:
    """A settings file with every option as a comment, at its built-in value."""
    lines = [f"# vgtui's settings: take away the # before a line to change it. {FILE_VARIABLE} names another file.", ""]
    lines.append("[options]")
    for option in ALL_OPTIONS:
        value = option.default if option.kind == "switch" else option.show(option.default)
        word = str(value).lower() if isinstance(value, bool) else value if _is_number(value) else f'"{value}"'
        choices = f": {', '.join(option.choices)}" if option.choices else ""
        lines.append(f"# {option.name} = {word}  # {option.help}{choices}")
    lines += ["", "[keys]", '# batch_norm = "B"  # an action by its name, and the key that it shall have']
    return "\n".join(lines)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
