"""The sparklines beside the layers' numbers: the strip chart, coloured by level."""

from itertools import groupby

import numpy as np
from rich.segment import Segment
from textual.geometry import Region

from vgtui.charts.strip_chart import StripChart
from vgtui.dashboard.state import RunState
from vgtui.dashboard.widgets.layer_rows import LayerRows, level_colour
from vgtui.themes import Palette


class Sparklines(LayerRows):
    """One sparkline a layer; only what a frame has changed is repainted."""

    heading = "since the start →"

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__(state, palette)
        self._chart = StripChart()
        self._bottom = 0

    @property
    def decades_per_cell(self) -> float:
        return self._chart.decades_per_cell

    def advance(self) -> None:
        """Take the history's newest frames."""
        shown_rows = (self.size.height - 1) // self.row_height
        if not self.state.history.length or shown_rows < 1 or self.size.width < 1:
            return
        self._bottom = max(0, self.top + 1 - shown_rows)
        shown = slice(self._bottom, min(self.top + 1, self.state.history.layers))
        changed = self._chart.update(self.state.history, shown, self.size.width, self.row_height)
        if changed is None:
            self.refresh()
        else:
            self.refresh(*(Region(first, 1 + row, self.size.width - first, 1) for row, first in changed.items()))

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        place = layer - self._bottom
        if not 0 <= place < len(self._chart.levels):
            return []
        cells = self._chart.cells[(len(self._chart.levels) - 1 - place) * self.row_height + part]
        colours = [
            level_colour(self.palette, level) for level in np.nan_to_num(self._chart.levels[place], nan=0).tolist()
        ]
        pairs = zip(colours, cells, strict=True)
        return [
            Segment("".join(cell for _, cell in group), self.style(colour, selected))
            for colour, group in groupby(pairs, key=lambda pair: pair[0])
        ]
