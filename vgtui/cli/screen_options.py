"""The options of everything that is shown in the dashboard, and whether there can be one."""

import argparse
from collections.abc import Iterable
from typing import TextIO

from engine.errors import UsageError
from vgtui.cli.arguments import add_option, offer, value_of
from vgtui.model.options import option_of
from vgtui.terminal.capabilities import is_dumb


def add_screen_options(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """Add --theme and --fps in a group of their own, and return the group."""
    screen = parser.add_argument_group("screen")
    offer(add_option(screen, option_of("theme")), _theme_names)
    add_option(screen, option_of("fps"))
    return screen


def _theme_names() -> Iterable[str]:
    from vgtui.user.themes import load_palettes

    return load_palettes()[0]


def screen_of(chosen: argparse.Namespace) -> tuple[str | None, float]:
    """The theme, None for that of the last time, and the largest number of pictures a second.

    Raises:
        UsageError: There is no such theme, or the number is out of range.
    """
    theme, fps = value_of(chosen, "theme"), value_of(chosen, "fps")
    if not 0.1 <= fps <= 60:
        raise UsageError("fps", f"{fps:g} is out of range; it takes a number from 0.1 to 60")
    if theme is not None:
        from vgtui.user.themes import find_palette

        find_palette(theme)
    return theme, fps


def no_screen(*streams: TextIO) -> str | None:
    """Why there can be no dashboard on these, if there cannot."""
    if is_dumb():
        return "TERM=dumb cannot show a dashboard"
    return None if all(stream.isatty() for stream in streams) else "no terminal"
