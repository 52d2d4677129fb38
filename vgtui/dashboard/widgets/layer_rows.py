"""The base of widgets with one row per layer, and the numbers and words beside the sparklines."""

import math

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.strip import Strip

from engine.verdict import Health, VerdictKind
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.lines import Lines
from vgtui.model.quantities import GRADIENT, SIGNAL, Quantity, entry
from vgtui.terminal.text import value_text
from vgtui.user.themes import VERDICT_HEALTH, Palette

VALUE, BAR, WORD = 7, 12, 9
"""Widths in cells."""
BAR_STEP = 5
"""Decades by which an axis grows when a layer is beyond its end."""
BEYOND_THE_GRADIENT: dict[VerdictKind, str] = {
    "dead": "dead",
    "saturated": "saturated",
    "frozen": "frozen",
    "not-connected": "cut off",
    "not-in-optimizer": "forgotten",
    "zero-weights": "all zero",
}
"""The words of verdicts on a layer that do not show in its gradient."""


def level_colour(palette: Palette, quantity: Quantity, level: float) -> str:
    """The colour of a log10 value; −∞ has the lowest one, ∞ the highest, NaN its own."""
    if math.isnan(level):
        return palette.health["NaN"]
    share = (level - quantity.floor) / (quantity.ceiling - quantity.floor)
    return palette.levels[round(min(max(share, 0.0), 1.0) * (len(palette.levels) - 1))]


class LogAxis:
    """A log axis that only grows within a run, so that bars can be compared over time.

    Args:
        floor: log10 of its initial lower end.
        ceiling: log10 of its initial upper end.
    """

    def __init__(self, floor: int, ceiling: int) -> None:
        self._first = floor, ceiling
        self.floor, self.ceiling = floor, ceiling

    def fit(self, values: NDArray[np.float64], begins: bool) -> None:
        """Extend the axis to the smallest and largest finite values above 0.

        Args:
            values: The values of all layers, (layers,).
            begins: Whether they are the first of a run; the axis then returns to its initial ends.
        """
        if begins:
            self.floor, self.ceiling = self._first
        known = np.ma.compressed(values) if isinstance(values, np.ma.MaskedArray) else values
        finite = known[(known > 0) & np.isfinite(known)]
        if len(finite):
            least, greatest = math.log10(float(finite.min())), math.log10(float(finite.max()))
            self.floor -= BAR_STEP * max(0, math.ceil((self.floor - least) / BAR_STEP))
            if greatest > self.ceiling + 1:  # tolerate values a little above the ceiling
                self.ceiling += BAR_STEP * math.ceil((greatest - self.ceiling) / BAR_STEP)

    def place(self, value: float, width: int) -> float:
        """The position of a value above 0 on an axis of `width` cells, limited to its ends."""
        share = (math.log10(value) - self.floor) / (self.ceiling - self.floor)
        return min(max(share, 0.0), 1.0) * width

    def bar(self, value: float | None, width: int) -> str:
        """A bar up to the value: at least half a cell if it is finite and above 0, otherwise empty."""
        if value is None or not 0 < value < math.inf:
            return ""
        halves = max(1, round(2 * self.place(value, width)))
        return "━" * (halves // 2) + "╸" * (halves % 2)

    def heading(self, width: int) -> str:
        """The ends of the axis, over `width` cells."""
        return f"{f'1e{self.floor}':<{width // 2}}{f'1e{self.ceiling}':>{width - width // 2}}"


class LayerRows(Lines):
    """A heading, and below it a row for each layer, the output layer on top.

    Attributes:
        top: The row at the top, counted from the input.
        row_height: The lines of a row.
    """

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__(state, palette)
        self.top = 0
        self.row_height = 1

    def heading(self, width: int) -> str:
        """The heading above the rows."""
        raise NotImplementedError

    def layer_at(self, line: int) -> int | None:
        """The layer on a line of the widget."""
        place = self._place(line)
        return place[0] if place else None

    def _place(self, line: int) -> tuple[int, int] | None:
        """The layer on a line of the widget, and which of its lines that is.

        None above the output layer, where `top` is still that of a deeper run.
        """
        row, part = divmod(line - 1, self.row_height)
        place, rows = self.top - row, self.state.rows
        return (rows[place], part) if line >= 1 and 0 <= place < len(rows) else None

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw the heading, and the rows from `top` down."""
        words = Segment(self.heading(width), self.style(self.palette.muted))
        heading = Strip([words]).adjust_cell_length(width, words.style)
        return [heading, *(self._line(y, width) for y in range(1, height))]

    def _line(self, y: int, width: int) -> Strip:
        place = self._place(y)
        if place is None or not self.state.frame:
            return Strip.blank(width, self.style(self.palette.text))
        selected = place[0] == self.state.selected
        return Strip(self.segments(*place, selected)).adjust_cell_length(width, self.style(self.palette.text, selected))

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """The segments on line `part` of a layer's row."""
        raise NotImplementedError

    def label(self, layer: int, selected: bool) -> Segment:
        """The layer's number or name, with a sign if it is chosen."""
        sign, colour = ("▸", self.palette.accent) if selected else (" ", self.palette.muted)
        room = self.state.label_width - 1
        words = self.state.label(layer)
        return Segment(
            f"{sign}{words:<{room}} " if self.state.outline else f"{sign}{words:>{room}} ", self.style(colour, selected)
        )


class LayerNumbers(LayerRows):
    """The layer's number, the value of the chosen quantity, and a bar on a log axis that all layers share.

    For a watched model: the layer's name, with its kind and shape in place of the bar.
    """

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__(state, palette)
        self.with_bar = True
        self._axis = LogAxis(GRADIENT.floor, GRADIENT.ceiling)
        self._quantity = GRADIENT

    @property
    def columns(self) -> int:
        """The width in cells."""
        return self.state.label_width + 1 + VALUE + 1 + (self._beside + 1 if self.with_bar else 0)

    @property
    def _beside(self) -> int:
        """The width of the column beside the value."""
        return self.state.kind_width or BAR

    def heading(self, width: int) -> str:
        """Name the quantity, and head the bars, or the kinds and shapes, if they are shown."""
        symbol = self.state.look.quantity.symbol
        beside = f"{'kind, shape':<{self._beside}}" if self.state.outline else self._axis.heading(BAR)
        return f"{symbol:>{self.state.label_width + 1 + VALUE}} " + beside * self.with_bar

    def fit_axis(self, begins: bool) -> None:
        """Extend the axis of the bars to the smallest value. `begins`: the frame is the first of a run."""
        quantity = self.state.look.quantity
        if quantity is not self._quantity:
            self._quantity, self._axis = quantity, LogAxis(quantity.floor, quantity.ceiling)
        if self.state.frame:
            self._axis.fit(quantity.of(self.state.frame.layers), begins)

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """Draw the label, the value, and the bar or the kind and shape, on the first line of the row."""
        frame = self.state.frame
        if part or frame is None:
            return []
        quantity = self.state.look.quantity
        value = entry(quantity.of(frame.layers), layer)
        style = self.style(self._colour(quantity, layer, value), selected)
        parts = [self.label(layer, selected), Segment(f"{value_text(value):>{VALUE}} ", style)]
        if self.with_bar and self.state.outline:  # the chart beside shows the profile
            words = f"{self.state.kind(layer):<{self._beside}} "
            parts.append(Segment(words, self.style(self.palette.muted, selected)))
        elif self.with_bar:
            parts.append(Segment(f"{self._axis.bar(value, BAR):<{BAR}} ", style))
        return parts

    def _colour(self, quantity: Quantity, layer: int, value: float | None) -> str:
        """The colour of the gradient's health, or of another quantity's level."""
        if quantity is GRADIENT:
            return self.palette.health[self.state.health[layer]]
        if value is None:
            return self.palette.muted
        return level_colour(
            self.palette, quantity, math.log10(value) if value > 0 else value if math.isnan(value) else -math.inf
        )


class LayerSecond(LayerRows):
    """A second number beside the chosen one."""

    columns = VALUE + 1

    @property
    def _quantity(self) -> Quantity:
        """The error signal beside the gradient, in which ReLU may hide the effect; the gradient beside the rest."""
        return SIGNAL if self.state.look.quantity is GRADIENT else GRADIENT

    def heading(self, width: int) -> str:
        """Name the second quantity."""
        return f" {self._quantity.symbol:>{VALUE}}"

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """Draw the second value, on the first line of the row."""
        frame = self.state.frame
        if part or frame is None:
            return []
        value = entry(self._quantity.of(frame.layers), layer)
        return [Segment(f" {value_text(value):>{VALUE}}", self.style(self.palette.text, selected))]


class LayerWords(LayerRows):
    """The health of each layer in a word."""

    columns = 1 + WORD + 1

    def heading(self, width: int) -> str:
        """Name the column."""
        return " health"

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """Draw the word, on the first line of the row."""
        if part or self.state.frame is None:
            return []
        word, colour = self._word(layer)
        return [Segment(f" {word:<{WORD}} ", self.style(self.palette.health[colour], selected))]

    def _word(self, layer: int) -> tuple[str, Health]:
        """The verdict on the layer, or the health of its gradient; with the name of its colour."""
        assert self.state.frame
        verdict, health = self.state.frame.verdict, self.state.health[layer]
        if verdict.kind in BEYOND_THE_GRADIENT and any(layer in evidence.layers for evidence in verdict.evidence):
            return BEYOND_THE_GRADIENT[verdict.kind], VERDICT_HEALTH[verdict.kind]
        return health, health
