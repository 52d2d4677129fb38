"""The chart "gradient by layer": the profile from the input to the output, with the ghost of the run before."""

import math

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.strip import Strip

from vgtui.charts.line_chart import Cell, Line, draw_lines, logarithms, tick_rows
from vgtui.charts.strip_chart import INFINITE, NAN, ZERO
from vgtui.dashboard.widgets.chart import LEFT_GUTTER, Chart

LEAST_DECADES = 2
TICK_EVERY = 3
"""Rows between two ticks of the vertical axis."""


class GradientByLayer(Chart):
    """log10 ‖∂E/∂W‖ over the layers."""

    BORDER_TITLE = "Gradient by layer"

    def picture(self, columns: int, rows: int) -> list[Strip]:
        assert self.state.frame
        norms, ghost = self.state.frame.layers.grad_norm, self.state.ghost
        series = self.palette.series
        lines = [_line(norms, series.measured, joined=True)]
        legend = [("━ measured", series.measured)]
        if ghost:
            lines.insert(0, _line(ghost.grad_norm, series.ghost, joined=False))
            legend.append((f"· last run ({ghost.label})", series.ghost))
        span = _decades(lines)
        width, height = columns - LEFT_GUTTER, rows - 2
        most = max(len(line.xs) for line in lines)
        picture = draw_lines(lines, (0, max(most - 1, 1)), span, width, height)
        self._add_signs(norms, picture[-1], most)
        ticks = tick_rows(span, height, most=max(2, height // TICK_EVERY))
        body = [self.row(ticks.get(number, ""), cells) for number, cells in enumerate(picture)]
        return [self.legend(legend, columns), *body, self._layer_ticks(most, width)]

    def _add_signs(self, norms: NDArray[np.float64], bottom: list[Cell], most: int) -> None:
        """What has no logarithm stands on the lowest row."""
        for layer, norm in enumerate(norms.tolist()):
            sign = ZERO if norm == 0 else NAN if math.isnan(norm) else INFINITE if math.isinf(norm) else None
            if sign:
                bottom[_column(layer, most, len(bottom))] = Cell(sign, self.palette.health["vanished"])

    def _layer_ticks(self, layers: int, width: int) -> Strip:
        line = [" "] * width
        end = width
        for layer, words in reversed(_labels(layers)):
            start = min(max(_column(layer, layers, width) - len(words) // 2, 0), width - len(words))
            if start + len(words) < end or end == width:
                line[start : start + len(words)] = words
                end = start
        return Strip([Segment("layer ".rjust(LEFT_GUTTER) + "".join(line), self.style(self.palette.muted))])


def _line(norms: NDArray[np.float64], colour: str, *, joined: bool) -> Line:
    return Line(colour, range(len(norms)), logarithms(norms), joined)


def _decades(lines: list[Line]) -> tuple[float, float]:
    """Whole decades that hold all points, at least LEAST_DECADES."""
    finite = [y for line in lines for y in line.ys if math.isfinite(y)] or [0.0]
    low, high = math.floor(min(finite)), math.ceil(max(finite))
    return min(low, high - LEAST_DECADES), high


def _column(layer: int, layers: int, width: int) -> int:
    return round(layer / max(layers - 1, 1) * (width - 1))


def _labels(layers: int) -> list[tuple[int, str]]:
    """Weight layers with their names: the first, the round ones, and the output."""
    hidden = layers - 1
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if hidden / step <= 6)
    rounds = [number for number in range(every, hidden + 1, every) if number > 1]
    return [(0, "1"), *((number - 1, str(number)) for number in rounds), (hidden, "out")]
