"""What a command has written, as a terminal would show it: lines of characters with their colours."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pyte
from pyte.screens import Char, Margins

from vgtui.terminal.text import plain

MAX_LINES_ABOVE = 10_000
"""How many lines are kept that have left the screen."""
Row = Mapping[int, Char]


class Emulator(pyte.Screen):
    """A terminal's screen, with the lines that have left it at the top.

    Args:
        columns: Its width.
        lines: Its height.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.above: deque[Row] = deque(maxlen=MAX_LINES_ABOVE)
        super().__init__(columns, lines)
        self._stream = pyte.ByteStream(self)

    def feed_bytes(self, data: bytes) -> None:
        """Take what the command has written. Sequences that are not understood change nothing else."""
        try:
            self._stream.feed(data)
        except Exception:  # pyte raises what it likes at sequences that are made up; text goes on after them
            self._stream = pyte.ByteStream(self)

    def index(self) -> None:
        """Move the cursor down; at the bottom, the top line leaves the screen and is kept."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y == bottom and top == 0:
            self.above.append(self.buffer[0])
        super().index()

    def erase_in_display(self, how: int = 0, *args: object, **kwargs: object) -> None:
        """Erase a part of the screen; 3 is the lines above it too."""
        if how == 3:
            self.above.clear()
        with suppress(TypeError):
            super().erase_in_display(how, *args, **kwargs)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Take another size. Lines that no longer fit leave at the top, and only if the cursor is below them."""
        lines, columns = lines or self.lines, columns or self.columns
        self.margins = None
        for _ in range(self.cursor.y - lines + 1):
            row, self.cursor.y = self.cursor.y, self.lines - 1
            self.index()
            self.cursor.y = row - 1
        for row in [row for row in self.buffer if row >= lines]:
            del self.buffer[row]
        for line in self.buffer.values():
            for column in [column for column in line if column >= columns]:
                del line[column]
        self.lines, self.columns = lines, columns
        self.cursor.x = min(self.cursor.x, columns - 1)
        self.dirty.update(range(lines))

    @property
    def height(self) -> int:
        """The number of lines with anything on them, those that have left the screen included."""
        last = max((row for row, line in self.buffer.items() if _has_text(line)), default=-1)
        return len(self.above) + last + 1

    def rows(self, first: int, count: int) -> Iterator[list[Char]]:
        """Yield the characters of so many lines from this one on."""
        for number in range(first, first + count):
            inside = number - len(self.above)
            line = self.above[number] if inside < 0 else self.buffer.get(inside, {})
            width = max(line, default=-1) + 1
            yield [line.get(column, self.default_char) for column in range(width)]


def _has_text(line: Row) -> bool:
    return any(cell.data != " " or cell.reverse or cell.bg != "default" for cell in line.values())


def printable(cell: Char) -> str:
    """A cell's text without anything that commands a terminal; "" for the second half of a wide character."""
    data: str = cell.data
    return data if data.isprintable() else plain(data[:1])
