"""A chart in a frame: a legend, a picture of lines, and the ticks around it."""

from collections.abc import Sequence
from itertools import groupby

from rich.segment import Segment
from textual.strip import Strip

from vgtui.charts.line_chart import Cell
from vgtui.dashboard.widgets.lines import Lines

LEFT_GUTTER = 6


class Chart(Lines):
    """Subclasses draw the picture; the styles of its cells are colours."""

    def draw(self, width: int, height: int) -> list[Strip]:
        if width < LEFT_GUTTER + 4 or height < 3 or not self.state.frame:
            return []
        return self.picture(width, height)

    def picture(self, columns: int, rows: int) -> list[Strip]:
        """The whole widget, `rows` lines."""
        raise NotImplementedError

    def legend(self, entries: Sequence[tuple[str, str]], width: int) -> Strip:
        """(words, colour) one after the other, cut at the width."""
        return Strip([Segment(f" {words}", self.style(colour)) for words, colour in entries]).crop(0, width)

    def row(self, left: str, cells: Sequence[Cell], right: str = "") -> Strip:
        """A line of the picture between its ticks."""
        muted = self.style(self.palette.muted)
        middle = [
            Segment("".join(cell.character for cell in group), self.style(colour) if colour else muted)
            for colour, group in groupby(cells, key=lambda cell: cell.style)
        ]
        return Strip([Segment(f"{left:>{LEFT_GUTTER - 1}} ", muted), *middle, Segment(right, muted)])
