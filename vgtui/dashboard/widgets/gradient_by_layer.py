"""The chart "by layer": the profile from input to output, with theory, pinned runs and the previous run."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.strip import Strip

from engine.theory import Prediction
from vgtui.charts.canvas import DOTS_ACROSS
from vgtui.charts.line_chart import Cell, Line, draw_lines, logarithms, tick_rows
from vgtui.charts.strip_chart import SIGN_WORDS, sign_of
from vgtui.dashboard.widgets.chart import LEFT_GUTTER, Chart, Entry
from vgtui.model.quantities import ACTIVATION, GRADIENT, SIGNAL, Quantity
from vgtui.terminal.text import whole_words
from vgtui.wire.frames import Frame, TimeProfile

MIN_DECADES = 2
TICK_EVERY = 3
"""Rows between two ticks of the vertical axis."""
THEORY = ("┄ theory at init", "┄ theory")
RESERVED = (0, 12, 24)
"""Cells to leave for other entries when the legend says why there is no theory."""
GHOST = "·"
DASH = 3
"""Dots between two dots of a dashed line."""


class GradientByLayer(Chart):
    """log10 of the chosen quantity over the layers."""

    @property
    def hint(self) -> str:
        """What to look for in the profile of the gradient, or how to read that of another quantity."""
        if self.state.profile_over_time is not None:
            return "The first step of time on the left: a fall to the left is a gradient that vanishes in time."
        if self.state.look.quantity is not GRADIENT:
            return "The same numbers, the input on the left."
        return "A fall to the left is a vanishing gradient."

    def update_title(self) -> None:
        """Name the chosen quantity in the border."""
        title = f"{self.state.look.quantity.title} by layer"
        if self.state.profile_over_time is not None:
            title = "Error signal by time step"
        if title != self.border_title:  # setting the title repaints the whole chart
            self.border_title = title

    def picture(self, columns: int, rows: int) -> list[Strip]:
        """Draw the legend, the profiles of all runs, theory if it is on, and the numbers of layers."""
        frame = self.state.frame
        assert frame
        if (profile := self.state.profile_over_time) is not None:
            return self._over_time(profile, columns, rows)
        quantity, series = self.state.look.quantity, self.palette.series
        values = quantity.of(frame.layers)
        width = columns - LEFT_GUTTER
        measured = _line(values, series.measured, joined=True)
        legend = [Entry((f"━ {self.state.status.name or 'measured'}",), series.measured)]
        lines: list[Line] = []
        theory: list[Line] = []
        if ghost := self.state.ghost_shown:
            lines.append(_line(quantity.of(ghost.layers), series.ghost, marker=GHOST))
            last_run = f"{GHOST} last run"
            legend.append(Entry((f"{last_run} ({ghost.label})", last_run), series.ghost))
        for run, marker, entry in self.companions():
            lines.append(_line(quantity.of(run.layers), entry.colour, marker=marker))
            legend.append(entry)
        if self.state.look.theory:
            curve, forms = self._theory(quantity, frame)
            if curve is not None:
                theory.append(_dashed(logarithms(curve), series.theory, width))
            if curve is None:  # the form is a sentence
                forms = (*(whole_words(forms[0], columns - 1 - reserved) for reserved in RESERVED), "no theory")
            legend.insert(1, Entry(forms, series.theory))
        legend += [Entry(forms, self.palette.health["vanished"]) for forms in _signs_of(values)]
        # theory is drawn on top: where it holds, it would be hidden
        lines += [measured, *theory]
        heads = self.legend(legend, columns, rows)
        span = _decades(lines)
        height = rows - 1 - len(heads)
        if height < 1:
            return heads
        most = round(max(max(line.xs, default=0) for line in lines)) + 1
        picture = draw_lines(lines, (0, max(most - 1, 1)), span, width, height)
        self._add_signs(values, picture[-1], most)
        ticks = tick_rows(span, height, most=max(2, height // TICK_EVERY))
        body = [self.row(ticks.get(number, ""), cells) for number, cells in enumerate(picture)]
        return [*heads, *body, self._ticks(_labels(most), most, width, "layer ")]

    def _over_time(self, profile: TimeProfile, columns: int, rows: int) -> list[Strip]:
        """Draw the error signal of a layer at each step of time."""
        colour = self.palette.series.measured
        line = _line(profile.norm, colour, joined=True)
        label = self.state.full_label(profile.layer)
        heads = self.legend([Entry((f"━ {label}", "━"), colour)], columns, rows)
        height, width = rows - 1 - len(heads), columns - LEFT_GUTTER
        if height < 1:
            return heads
        span, times = _decades([line]), len(profile.norm)
        picture = draw_lines([line], (0, max(times - 1, 1)), span, width, height)
        self._add_signs(profile.norm, picture[-1], times)
        ticks = tick_rows(span, height, most=max(2, height // TICK_EVERY))
        body = [self.row(ticks.get(number, ""), cells) for number, cells in enumerate(picture)]
        return [*heads, *body, self._ticks(_times(times), times, width, "time ")]

    def _theory(self, quantity: Quantity, frame: Frame) -> tuple[NDArray[np.float64] | None, Sequence[str]]:
        """The curve of theory with the forms of its entry, or None with the reason."""
        theory = self.state.theory()
        if not isinstance(theory, Prediction):
            return None, (theory or "no theory",)
        first = self.state.first
        if quantity is ACTIVATION:
            return theory.activation_spread, THEORY
        if quantity not in (GRADIENT, SIGNAL):
            return None, (f"no theory for {quantity.symbol}",)
        if first is None:
            return None, ("no theory: the run's first frame is not available",)
        if quantity is SIGNAL:
            return theory.signal_profile * first.layers.delta_norm[-1], THEORY
        return theory.gradient_profile * first.layers.grad_norm[-1], ("┄ theory at init, one sample", *THEORY)

    def _add_signs(self, values: NDArray[np.float64], bottom: list[Cell], most: int) -> None:
        """Mark values without a logarithm on the lowest row."""
        for layer, value in enumerate(values.tolist()):
            if (sign := sign_of(value)) is None:
                continue
            bottom[_column(layer, most, len(bottom))] = Cell(sign, self.palette.health["vanished"])

    def _ticks(self, labels: list[tuple[int, str]], count: int, width: int, name: str) -> Strip:
        line = [" "] * width
        end = width
        for place, words in reversed(labels):
            start = min(max(_column(place, count, width) - len(words) // 2, 0), width - len(words))
            if start + len(words) < end or end == width:
                line[start : start + len(words)] = words
                end = start
        return Strip([Segment(name.rjust(LEFT_GUTTER) + "".join(line), self.style(self.palette.muted))])


def _line(values: NDArray[np.float64], colour: str, *, joined: bool = False, marker: str = "") -> Line:
    known = values.filled(np.nan) if isinstance(values, np.ma.MaskedArray) else values
    return Line(colour, range(len(values)), logarithms(known), joined, marker)


def _signs_of(values: NDArray[np.float64]) -> list[Sequence[str]]:
    """The forms of an entry for each sign among the values."""
    present = {sign_of(value) for value in values.tolist()}
    return [(f"{sign} {words}", sign) for sign, words in SIGN_WORDS.items() if sign in present]


def _dashed(logs: list[float], colour: str, width: int) -> Line:
    """A line through all layers as evenly spaced dots, to distinguish it from a joined line."""
    xs = np.linspace(0, len(logs) - 1, max(2, width * DOTS_ACROSS // DASH))
    ys = np.interp(xs, np.arange(len(logs)), logs)
    return Line(colour, xs.tolist(), ys.tolist(), joined=False)


def _decades(lines: list[Line]) -> tuple[float, float]:
    """The whole decades that contain all points, at least MIN_DECADES."""
    finite = [y for line in lines for y in line.ys if math.isfinite(y)] or [0.0]
    low, high = math.floor(min(finite)), math.ceil(max(finite))
    return min(low, high - MIN_DECADES), high


def _column(layer: int, layers: int, width: int) -> int:
    return round(layer / max(layers - 1, 1) * (width - 1))


def _times(count: int) -> list[tuple[int, str]]:
    """The steps of time with a label: the first, round numbers, and the last."""
    return [*_labels(count)[:-1], (count - 1, str(count))]


def _labels(layers: int) -> list[tuple[int, str]]:
    """The layers with a label: the first, round numbers, and the output."""
    hidden = layers - 1
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if hidden / step <= 6)
    rounds = [number for number in range(every, hidden + 1, every) if number > 1]
    return [(0, "1"), *((number - 1, str(number)) for number in rounds), (hidden, "out")]
