"""A chart in a frame: a legend, a picture of lines, and the ticks around it."""

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text
from textual.widget import Widget

from vgtui.charts.line_chart import Cell
from vgtui.dashboard.state import RunState
from vgtui.themes import Palette

LEFT_GUTTER = 6


class Chart(Widget):
    """Subclasses draw; this puts the rows together. Styles of cells are colours."""

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__()
        self.state = state
        self.palette = palette

    def render(self) -> Text:
        columns, rows = self.size.width, self.size.height
        if columns < LEFT_GUTTER + 4 or rows < 3 or not self.state.frame:
            return Text("")
        return Text("\n").join(self.picture(columns, rows))

    def picture(self, columns: int, rows: int) -> list[Text]:
        """The whole widget, `rows` lines."""
        raise NotImplementedError

    def legend(self, entries: Sequence[tuple[str, str]], width: int) -> Text:
        """(words, colour) one after the other, cut at the width."""
        line = Text(no_wrap=True)
        for words, colour in entries:
            line.append(f" {words}", colour)
        line.truncate(width, overflow="ellipsis")
        return line

    def row(self, left: str, cells: Sequence[Cell], right: str = "") -> Text:
        """A line of the picture between its ticks."""
        line = Text(f"{left:>{LEFT_GUTTER - 1}} ", self.palette.muted, no_wrap=True)
        for style, group in groupby(cells, key=lambda cell: cell.style):
            line.append("".join(cell.character for cell in group), style or self.palette.muted)
        return line.append(right, self.palette.muted)
