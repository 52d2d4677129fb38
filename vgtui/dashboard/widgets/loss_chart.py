"""The chart of loss and accuracy since the start, across all changes."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from textual.strip import Strip

from vgtui.charts.canvas import DOTS_ACROSS
from vgtui.charts.line_chart import Cell, Line, draw_lines
from vgtui.charts.strip_chart import MARK, points_per_dot
from vgtui.dashboard.view.state import Ghost
from vgtui.dashboard.widgets.chart import LEFT_GUTTER, Chart, Entry
from vgtui.terminal.text import short_number

RIGHT_GUTTER = 5
DASHED, DOTTED = (3, 4), (1, 2)
"""Of each period of columns (second), the first few (first) are drawn."""


class LossChart(Chart):
    """The loss on a log axis on the left, the accuracies from 0 to 100 % on the right."""

    BORDER_TITLE = "Loss and accuracy"

    @property
    def hint(self) -> str:
        """The loss and the accuracy of guessing; "" for a watched model, or before a run."""
        header = self.state.header_shown
        own = header.own if header else None
        if own is None:
            return ""
        classes = own.dataset.classes
        return f"Guessing {classes} classes: loss {math.log(classes):.2f}, right in {100 / classes:.0f} %."

    def picture(self, columns: int, rows: int) -> list[Strip]:
        """Draw the legend, the loss and the accuracies of this run, and those of the runs beside it."""
        assert self.state.frame
        frame, history, series = self.state.frame, self.state.history, self.palette.series
        companions = self.companions()
        legend = [
            Entry((f"━ loss {short_number(frame.loss)}", "━ loss"), series.loss),
            Entry((f"╍ accuracy {short_number(frame.accuracy)}", "╍ accuracy"), series.accuracy),
            Entry((f"┅ validation {short_number(frame.validation_accuracy)}", "┅ validation"), series.validation),
            *(entry for _, _, entry in companions),
        ]
        heads = self.legend(legend, columns, rows)
        width, height = columns - LEFT_GUTTER - RIGHT_GUTTER, rows - len(heads)
        if width < 2 or height < 1:
            return heads
        per_dot = points_per_dot(history.length, width * DOTS_ACROSS)
        averaged = history.scalars.means(per_dot)
        xs, ends = range(len(averaged.step)), (0, width * DOTS_ACROSS - 1)
        loss, accuracy, validation = _log10(averaged.loss), averaged.accuracy, averaged.validation_accuracy
        span = _loss_span(loss)
        shares = [
            Line(series.validation, xs, validation.tolist(), dashes=DOTTED),
            Line(series.accuracy, xs, accuracy.tolist(), dashes=DASHED),
        ]
        beside = self._beside(companions, averaged.step, history.marks, per_dot)
        losses = [*(line for pair in beside for line in pair[:1]), Line(series.loss, xs, loss.tolist())]
        shares = [*(line for pair in beside for line in pair[1:]), *shares]
        picture = draw_lines(losses, ends, span, width, height)
        for row, over in zip(picture, draw_lines(shares, ends, (0.0, 1.0), width, height), strict=True):
            row[:] = [upper if upper.style else lower for lower, upper in zip(row, over, strict=True)]
        for column in {mark // per_dot // DOTS_ACROSS for mark in history.marks}:
            for row in picture:
                if column < width and not row[column].style:
                    row[column] = Cell(MARK, self.palette.border)
        self.add_cursor(picture)
        left = {0: short_number(10 ** span[1]), height - 1: short_number(10 ** span[0])}
        right = {0: " 100%", height // 2: "  50%", height - 1: "   0%"}
        body = [self.row(left.get(number, ""), cells, right.get(number, "")) for number, cells in enumerate(picture)]
        return [*heads, *body]

    def _beside(
        self,
        companions: Sequence[tuple[Ghost, str, Entry]],
        steps: NDArray[np.float64],
        marks: list[int],
        per_dot: int,
    ) -> list[tuple[Line, Line]]:
        """Loss and accuracy of pinned runs and of the other lane, at the steps of the present run."""
        begin = -(-marks[-1] // per_dot) if marks else 0
        pairs = []
        for run, marker, entry in companions:
            losses, shares = (
                np.interp(steps[begin:], run.steps, values, right=np.nan) for values in (run.loss, run.accuracy)
            )
            xs = range(begin, len(steps))
            pairs.append(
                (
                    Line(entry.colour, xs, _log10(losses).tolist(), False, marker),
                    Line(entry.colour, xs, shares.tolist(), False, marker),
                )
            )
        return pairs


def _log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: NDArray[np.float64] = np.log10(values)
    return logs


def _loss_span(logs: NDArray[np.float64]) -> tuple[float, float]:
    """The whole decades that contain the finite losses."""
    finite = logs[np.isfinite(logs)]
    if not len(finite):
        return -1.0, 1.0
    low, high = math.floor(float(finite.min())), math.ceil(float(finite.max()))
    return float(low), float(max(high, low + 1))
