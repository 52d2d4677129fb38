"""A chart in a frame: a legend, a picture of lines, and the ticks around it."""

from collections.abc import Sequence
from itertools import groupby
from textwrap import wrap

from rich.segment import Segment
from textual.strip import Strip

from vgtui.charts.line_chart import Cell
from vgtui.charts.strip_chart import CURSOR, column_of
from vgtui.dashboard.widgets.lines import Lines

LEFT_GUTTER = 6
HINT_FROM_LINES = 10


class Chart(Lines):
    """Subclasses draw the picture; the styles of its cells are colours."""

    @property
    def hint(self) -> str:
        """A sentence for those who see the chart for the first time."""
        raise NotImplementedError

    def draw(self, width: int, height: int) -> list[Strip]:
        if width < LEFT_GUTTER + 4 or height < 3 or not self.state.frame:
            return []
        hint: list[str] = []
        if self.state.look.hints and height >= HINT_FROM_LINES:
            hint = wrap(self.hint, width - 2)
        muted = self.style(self.palette.muted)
        return [*self.picture(width, height - len(hint)), *(Strip([Segment(f" {line}", muted)]) for line in hint)]

    def picture(self, columns: int, rows: int) -> list[Strip]:
        """The whole widget but the hint, `rows` lines."""
        raise NotImplementedError

    def add_cursor(self, picture: list[list[Cell]]) -> None:
        """Mark the moment that is shown, in a picture of the whole time."""
        if self.state.moment is not None:
            column = column_of(self.state.moment, self.state.history.length, len(picture[0]))
            for row in picture:
                row[column] = Cell(CURSOR, self.palette.accent)

    def legend(self, entries: Sequence[tuple[str, str]], width: int, most_lines: int = 1) -> list[Strip]:
        """(words, colour) one after the other, in the lines that they need, at most `most_lines`; cut at the width."""
        lines: list[list[Segment]] = [[]]
        for words, colour in entries:
            segment = Segment(f" {words}", self.style(colour))
            used = sum(part.cell_length for part in lines[-1])
            if used and used + segment.cell_length > width and len(lines) < most_lines:
                lines.append([])
            lines[-1].append(segment)
        return [Strip(line).crop(0, width) for line in lines]

    def row(self, left: str, cells: Sequence[Cell], right: str = "") -> Strip:
        """A line of the picture between its ticks."""
        muted = self.style(self.palette.muted)
        middle = [
            Segment("".join(cell.character for cell in group), self.style(colour) if colour else muted)
            for colour, group in groupby(cells, key=lambda cell: cell.style)
        ]
        return Strip([Segment(f"{left:>{LEFT_GUTTER - 1}} ", muted), *middle, Segment(right, muted)])
