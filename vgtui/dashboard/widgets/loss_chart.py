"""The chart of loss and accuracy since the start, over every change."""

import math

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from vgtui.charts.canvas import DOTS_ACROSS
from vgtui.charts.line_chart import Cell, Line, draw_lines
from vgtui.charts.strip_chart import MARK
from vgtui.dashboard.text import short_number
from vgtui.dashboard.widgets.chart import LEFT_GUTTER, Chart

RIGHT_GUTTER = 5


class LossChart(Chart):
    """The loss on a log axis at the left, the accuracies from 0 to 100 % at the right."""

    BORDER_TITLE = "Loss and accuracy"

    def picture(self, columns: int, rows: int) -> list[Text]:
        assert self.state.frame
        frame, history, series = self.state.frame, self.state.history, self.palette.series
        width, height = columns - LEFT_GUTTER - RIGHT_GUTTER, rows - 1
        if width < 2:
            return [Text("")]
        ends = (0.0, float(max(history.length - 1, 1)))
        xs = np.linspace(0, history.length - 1, min(history.length, width * DOTS_ACROSS)).astype(int)
        loss = _log10(history.loss[xs])
        span = _loss_span(loss)
        picture = draw_lines([Line(series.loss, xs.tolist(), loss.tolist())], ends, span, width, height)
        shares = [
            Line(colour, xs.tolist(), values[xs].tolist())
            for colour, values in (
                (series.validation, history.validation_accuracy),
                (series.accuracy, history.accuracy),
            )
        ]
        for row, over in zip(picture, draw_lines(shares, ends, (0.0, 1.0), width, height), strict=True):
            row[:] = [upper if upper.style else lower for lower, upper in zip(row, over, strict=True)]
        for mark in history.marks:
            column = min(round(mark / ends[1] * (width - 1)), width - 1)
            for row in picture:
                if not row[column].style:
                    row[column] = Cell(MARK, self.palette.border)
        left = {0: short_number(10 ** span[1]), height - 1: short_number(10 ** span[0])}
        right = {0: " 100%", height // 2: "  50%", height - 1: "   0%"}
        legend = [
            (f"━ loss {short_number(float(frame.loss))}", series.loss),
            (f"━ accuracy {short_number(float(frame.accuracy))}", series.accuracy),
            (f"━ validation {short_number(float(frame.validation_accuracy))}", series.validation),
        ]
        body = [self.row(left.get(number, ""), cells, right.get(number, "")) for number, cells in enumerate(picture)]
        return [self.legend(legend, columns), *body]


def _log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: NDArray[np.float64] = np.log10(values)
    return logs


def _loss_span(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Whole decades around the finite losses."""
    finite = logs[np.isfinite(logs)]
    if not len(finite):
        return -1.0, 1.0
    low, high = math.floor(float(finite.min())), math.ceil(float(finite.max()))
    return float(low), float(max(high, low + 1))
