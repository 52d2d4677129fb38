"""The chosen quantity of one layer over the whole history."""

import math

import numpy as np
from textual.strip import Strip

from vgtui.charts.canvas import DOTS_ACROSS
from vgtui.charts.line_chart import Line, draw_lines, tick_rows
from vgtui.charts.strip_chart import points_per_dot
from vgtui.dashboard.widgets.chart import LEFT_GUTTER, Chart


class LayerHistory(Chart):
    """The minimum and maximum of the chosen quantity in each span of time, on a log axis."""

    @property
    def hint(self) -> str:
        """Empty: the title says what is shown."""
        return ""

    def update_title(self) -> None:
        """Name the chosen quantity in the border."""
        self.border_title = f"{self.state.look.quantity.title}, since the start →"

    def picture(self, columns: int, rows: int) -> list[Strip]:
        """Draw the minimum and the maximum over time; nothing if no value is finite."""
        history, quantity, layer = self.state.history, self.state.look.quantity, self.state.selected
        width = columns - LEFT_GUTTER
        per_dot = points_per_dot(history.length, width * DOTS_ACROSS)
        starts = np.arange(0, history.length, per_dot)
        least = np.minimum.reduceat(history.least(quantity)[:, layer], starts).astype(np.float64)
        greatest = np.maximum.reduceat(history.greatest(quantity)[:, layer], starts).astype(np.float64)
        finite = [value for value in (*least.tolist(), *greatest.tolist()) if math.isfinite(value)]
        if not finite:
            return []
        low, high = math.floor(min(finite)), math.ceil(max(finite))
        span = (float(low), float(max(high, low + 1)))
        xs, colour = range(len(starts)), self.palette.series.measured
        lines = [Line(colour, xs, values.tolist()) for values in (least, greatest)]
        picture = draw_lines(lines, (0, width * DOTS_ACROSS - 1), span, width, rows)
        self.add_cursor(picture)
        ticks = tick_rows(span, rows, most=max(2, rows // 3))
        return [self.row(ticks.get(number, ""), cells) for number, cells in enumerate(picture)]
