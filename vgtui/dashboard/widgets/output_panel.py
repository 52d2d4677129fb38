"""The output of a command, as in a terminal: it follows the end, and scrolls back."""

from typing import Literal

from pyte.screens import Char
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from vgtui.dashboard.session.command import Command, size_on
from vgtui.dashboard.view.emulator import Emulator, printable
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.lines import Lines
from vgtui.terminal.text import first_that_fits
from vgtui.user.themes import Palette

Size = Literal["beside", "large", "hidden"]
SIZES: tuple[Size, ...] = ("beside", "large", "hidden")
"""What the key goes through."""
CORNERS = 4
"""Cells of the border that a title cannot use."""
WHEEL_LINES = 3
_COLOURS = {"brown": "yellow", "bfightmagenta": "bright_magenta", "brightbrown": "bright_yellow"}
"""Names that pyte has for colours of a terminal, where rich has others."""


class OutputPanel(Lines):
    """What a command has written.

    Args:
        command: The command.
        state: The run.
        palette: The colours.
    """

    def __init__(self, command: Command, state: RunView, palette: Palette) -> None:
        super().__init__(state, palette)
        self._command = command
        self._emulator = Emulator(80, 24)
        self._from_end = 0
        self._is_new = True

    @property
    def key_words(self) -> str:
        """What ctrl+c and the key of this panel do, or how the command ended."""
        code = self._command.exit_code
        if code is not None:
            return f"ended with exit code {code}"
        return "ending …" if self._command.is_ending else "ctrl+c twice ends it"

    def take(self, data: bytes) -> None:
        """Take what the command has written."""
        above = self._emulator.height
        self._emulator.feed_bytes(data)
        if self._from_end:  # what is looked at stays where it is
            self._from_end += self._emulator.height - above
        self._is_new = True

    def fit(self, columns: int, lines: int) -> None:
        """Fit the command's terminal to a screen of this size: it is that of this panel when it is large."""
        self._command.resize(columns, lines)
        width, height = size_on(columns, lines)
        if (width, height) != (self._emulator.columns, self._emulator.lines):
            self._emulator.resize(height, width)
            self._is_new = True

    def show_new(self) -> None:
        """Draw what is new since the last time, and what becomes of the command."""
        self._title()
        if self._is_new:
            self._is_new = False
            self.redraw()

    def scroll(self, lines: int) -> None:
        """Look so many lines further back; negative is towards the end."""
        room = self.size.height
        self._from_end = min(max(self._from_end + lines, 0), max(self._emulator.height - room, 0))
        self.redraw()
        self._title()

    def scroll_page(self, pages: int) -> None:
        """Look so many pages further back."""
        self.scroll(pages * max(self.size.height - 1, 1))

    def jump(self, end: int) -> None:
        """Look at the first line (0), or at the newest (1)."""
        self.scroll(-self._from_end if end else self._emulator.height)

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the newest lines, or those that were scrolled back to."""
        first = max(self._emulator.height - height - self._from_end, 0)
        return [Strip(self._segments(row)).crop(0, width) for row in self._emulator.rows(first, height)]

    def _segments(self, row: list[Char]) -> list[Segment]:
        """The cells of a line, those of one style together."""
        segments: list[Segment] = []
        words, last = "", None
        for cell in row:
            look = cell._replace(data="")
            if look != last and words:
                segments.append(Segment(words, self._style_of(last)))
                words = ""
            words, last = words + printable(cell), look
        return [*segments, Segment(words, self._style_of(last))] if words else segments

    def _style_of(self, look: Char | None) -> Style:
        if look is None:
            return self.style(self.palette.text)
        return Style(
            color=_colour(look.fg, self.palette.text),
            bgcolor=_colour(look.bg, self.palette.background),
            bold=look.bold,
            italic=look.italics,
            underline=look.underscore,
            strike=look.strikethrough,
            reverse=look.reverse,
        )

    def _title(self) -> None:
        """Set title and subtitle only if they differ, as setting one repaints the whole panel."""
        room = self.size.width - CORNERS
        title = first_that_fits([f"Output: {self._command.shown}", "Output", ""], room)
        key = self.state.look.keymap.shown("output")
        size = f"{key} changes the size"
        back = f"{self._from_end} lines back" if self._from_end else ""
        forms = [[back, self.key_words, size], [back, self.key_words], [self.key_words]]
        subtitle = first_that_fits([" · ".join(filter(None, form)) for form in forms], room)
        if title != self.border_title:
            self.border_title = title
        if subtitle != self.border_subtitle:
            self.border_subtitle = subtitle

    def on_mouse_scroll_up(self) -> None:
        """Look further back."""
        self.scroll(WHEEL_LINES)

    def on_mouse_scroll_down(self) -> None:
        """Look further towards the end."""
        self.scroll(-WHEEL_LINES)


def _colour(name: str, default: str) -> str:
    """Rich's name of one of pyte's colours."""
    if name == "default":
        return default
    if name in _COLOURS:
        return _COLOURS[name]
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name.lower()):
        return f"#{name}"
    return name.replace("bright", "bright_")
