"""What the parts of the layer panel share, one row a layer, and the numbers and words beside the sparklines."""

import math

from rich.segment import Segment
from textual.strip import Strip

from engine.diagnosis import layer_health
from vgtui.dashboard.state import RunState
from vgtui.dashboard.text import norm_text
from vgtui.dashboard.widgets.lines import Lines
from vgtui.themes import Palette

LABEL, VALUE, BAR, DELTA, WORD = 4, 7, 12, 7, 9
"""Widths in cells."""
LEVEL_FLOOR, LEVEL_CEILING = -16.0, 0.0
"""The log10 norms between which the colours of a theme's `levels` are spread."""
BAR_FLOOR, BAR_CEILING, BAR_STEP = -15, 1, 5
"""The decades of the bars' axis, and by how many it grows downwards when a layer falls below."""


def level_colour(palette: Palette, level: float) -> str:
    """The colour of a log10 norm; −∞ has the lowest, ∞ and NaN the highest."""
    if math.isnan(level):
        return palette.health["NaN"]
    share = (level - LEVEL_FLOOR) / (LEVEL_CEILING - LEVEL_FLOOR)
    return palette.levels[int(min(max(share, 0.0), 1.0) * (len(palette.levels) - 1))]


class LayerRows(Lines):
    """`height` lines a layer, the output layer on top, from layer `top` downwards. The first line is a heading."""

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__(state, palette)
        self.top = 0
        self.row_height = 1

    @property
    def heading(self) -> str:
        """What stands above the column."""
        raise NotImplementedError

    def layer_at(self, line: int) -> tuple[int, int] | None:
        """The layer on a line of the widget, and which of its lines it is."""
        row, part = divmod(line - 1, self.row_height)
        layer = self.top - row
        return (layer, part) if line >= 1 and layer >= 0 else None

    def draw(self, width: int, height: int) -> list[Strip]:
        heading = Strip([Segment(f"{self.heading:<{width}}"[:width], self.style(self.palette.muted))], width)
        return [heading, *(self._line(y, width) for y in range(1, height))]

    def _line(self, y: int, width: int) -> Strip:
        place = self.layer_at(y)
        if place is None or not self.state.frame:
            return Strip.blank(width, self.style(self.palette.text))
        selected = place[0] == self.state.selected
        return Strip(self.segments(*place, selected)).adjust_cell_length(width, self.style(self.palette.text, selected))

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """What stands on line `part` of a layer's row."""
        raise NotImplementedError


class LayerNumbers(LayerRows):
    """The layer's number, its gradient norm, and a bar on a log axis that all layers share."""

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__(state, palette)
        self.with_bar = True
        self._floor = BAR_FLOOR

    @property
    def columns(self) -> int:
        return LABEL + 1 + VALUE + 1 + (BAR + 1 if self.with_bar else 0)

    @property
    def heading(self) -> str:
        label = f"{'':>{LABEL}} {'‖∂E/∂W‖':>{VALUE}} "
        return label + f"{f'1e{self._floor}':<{BAR // 2}}{'1e' + str(BAR_CEILING):>{BAR - BAR // 2}}" * self.with_bar

    def fit_axis(self, begins: bool) -> None:
        """Let the bars' axis reach the smallest norm; it never shrinks within a run."""
        if begins:
            self._floor = BAR_FLOOR
        frame = self.state.frame
        norms = [float(norm) for norm in frame.layers.grad_norm if 0 < norm < math.inf] if frame else []
        if norms:
            while math.log10(min(norms)) < self._floor:
                self._floor -= BAR_STEP

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        frame = self.state.frame
        if part or frame is None:
            return []
        norm = float(frame.layers.grad_norm[layer])
        label = "out" if layer == self.state.layers - 1 else str(layer + 1)
        colour = self.palette.health[layer_health(frame.layers.grad_norm)[layer]]
        parts = [
            Segment(
                f"{label:>{LABEL}} ", self.style(self.palette.accent if selected else self.palette.muted, selected)
            ),
            Segment(f"{norm_text(norm):>{VALUE}} ", self.style(colour, selected)),
        ]
        if self.with_bar:
            parts.append(Segment(f"{self._bar(norm):<{BAR}} ", self.style(colour, selected)))
        return parts

    def _bar(self, norm: float) -> str:
        if not 0 < norm < math.inf:
            return ""
        share = (math.log10(norm) - self._floor) / (BAR_CEILING - self._floor)
        halves = max(1, round(min(share, 1.0) * 2 * BAR))
        return "━" * (halves // 2) + "╸" * (halves % 2)


class LayerWords(LayerRows):
    """The error signal's norm, and the layer's health in a word."""

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__(state, palette)
        self.with_delta = True

    @property
    def columns(self) -> int:
        return 1 + (DELTA + 1 if self.with_delta else 0) + WORD + 1

    @property
    def heading(self) -> str:
        return f" {'‖∂E/∂z‖':>{DELTA}} " * self.with_delta + " " * (not self.with_delta) + "health"

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        frame = self.state.frame
        if part or frame is None:
            return []
        word = layer_health(frame.layers.grad_norm)[layer]
        delta = f" {norm_text(float(frame.layers.delta_norm[layer])):>{DELTA}}" if self.with_delta else ""
        return [
            Segment(f"{delta} ", self.style(self.palette.text, selected)),
            Segment(f"{word:<{WORD}}", self.style(self.palette.health[word], selected)),
        ]
