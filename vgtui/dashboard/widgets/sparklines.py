"""The sparklines beside the layers' numbers: the strip chart, coloured by level."""

from itertools import groupby

import numpy as np
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip

from vgtui.charts.strip_chart import CURSOR, Shown, StripChart, column_of
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.layer_rows import LayerRows, level_colour
from vgtui.terminal.text import first_that_fits
from vgtui.user.themes import Palette

SINCE_THE_START = ("since the start →", "since start →", "time →", "→")


class Sparklines(LayerRows):
    """One sparkline per layer; only cells that a frame has changed are repainted."""

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__(state, palette)
        self._chart = StripChart()
        self._bottom = 0

    def heading(self, width: int) -> str:
        """Say that time runs to the right, in as many words as fit."""
        return first_that_fits(SINCE_THE_START, width)

    @property
    def decades_per_cell(self) -> float:
        """The decades that one cell of height stands for, the same for all layers."""
        return self._chart.decades_per_cell

    def draw(self, width: int, height: int) -> list[Strip]:
        """Update the chart to the history, and draw every row."""
        self._update_chart(width, height)
        return super().draw(width, height)

    def advance(self) -> None:
        """Draw the newest frames of the history, and repaint the cells that changed."""
        width, height = self.size
        changed = self._update_chart(width, height)
        if changed is None or len(self._lines) != height:  # of another size, or not drawn yet
            self.redraw()
            return
        for row, (first, last) in changed.items():
            self._lines[1 + row] = self._line(1 + row, width)
            self.refresh(Region(first, 1 + row, last - first + 1, 1))

    def _update_chart(self, width: int, height: int) -> dict[int, tuple[int, int]] | None:
        """Update the chart to the history; returns the changed columns of each row, or None if all may have changed."""
        room = (height - 1) // self.row_height
        if not self.state.history.length or room < 1 or width < 1:
            return {}
        self._bottom = max(0, self.top + 1 - room)
        rows = self.state.rows
        if isinstance(rows, range):
            shown: Shown = slice(self._bottom, min(self.top + 1, self.state.history.layers))
        else:
            shown = tuple(rows[self._bottom : self.top + 1])
        return self._chart.update(self.state.history, self.state.look.quantity, shown, width, self.row_height)

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """Draw one line of a layer's sparkline, with a cursor if the screen shows the past."""
        place = self.state.rows.index(layer) - self._bottom
        if not 0 <= place < len(self._chart.levels):
            return []
        cells = self._chart.cells[(len(self._chart.levels) - 1 - place) * self.row_height + part]
        quantity, levels = self.state.look.quantity, np.nan_to_num(self._chart.levels[place], nan=0).tolist()
        colours = [level_colour(self.palette, quantity, level) for level in levels]
        if (moment := self.state.moment) is not None:
            place = column_of(moment, self.state.history.length, len(cells))
            cells = [*cells[:place], CURSOR, *cells[place + 1 :]]
            colours[place] = self.palette.accent
        pairs = zip(colours, cells, strict=True)
        return [
            Segment("".join(cell for _, cell in group), self.style(colour, selected))
            for colour, group in groupby(pairs, key=lambda pair: pair[0])
        ]
