"""The chain rule, live: the factor of each layer, and the product of the factors from the output down."""

from rich.segment import Segment

from engine.chain_rule import ChainRule, chain_rule
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.layer_rows import VALUE, LayerRows, LogAxis
from vgtui.model.quantities import entry
from vgtui.terminal.text import column_number, value_text
from vgtui.user.themes import Palette
from vgtui.wire.frames import Frame

PART = 8
"""Width of a factor, in cells."""
FACTORS = 3 * PART + 4
"""Width of "factor = rms φ′ × weights"."""
DECIMALS = 3
MIN_BAR_WIDTH = 8
BOUND_SIGN = "┊"


class ChainRuleRows(LayerRows):
    """‖δ_l‖ / ‖δ_{l+1}‖ = rms φ′ × weights, their running product as a number and a bar, and the bound on φ′'s part."""

    def __init__(self, state: RunView, palette: Palette) -> None:
        super().__init__(state, palette)
        self._axis = LogAxis(-15, 1)
        self._chain: ChainRule | None = None
        self._of: Frame | None = None

    def fit_axis(self, begins: bool) -> None:
        """Extend the axis of the bars to the smallest product. `begins`: the frame is the first of a run."""
        if chain := self._measured():
            self._axis.fit(chain.product, begins)

    @property
    def has_bound(self) -> bool:
        """Whether the derivative of the activation bounds the product."""
        chain = self._measured()
        return chain is not None and chain.bound is not None

    def heading(self, width: int) -> str:
        """Name the columns that fit, with the ends of the axis over the bars."""
        factor, bar = self._columns(width)
        words = f"{'layer':>{self.state.label_width}} "
        if factor:
            words += f"{'factor':>{PART}} = {'rms φ′':>{PART - 1}} × {'weights':>{PART - 1}}"
        words += f"{'product':>{VALUE + 1}} "
        if bar:
            words += self._axis.heading(bar)
        return words

    def segments(self, layer: int, part: int, selected: bool) -> list[Segment]:
        """Draw the layer's factor with its two parts, the product and its bar, as far as they fit."""
        chain = self._measured()
        if part or chain is None:
            return []
        with_factor, bar = self._columns(self.size.width)
        text, muted = self.style(self.palette.text, selected), self.style(self.palette.muted, selected)
        health = self.style(self.palette.health[self.state.health[layer]], selected)
        parts = [self.label(layer, selected)]
        if with_factor:
            if layer == self.state.layers - 1:
                parts.append(Segment(f"{'':>{FACTORS}}", text))
            else:
                factor, slope, weights = (
                    entry(values, layer) for values in (chain.factor, chain.activation, chain.weights)
                )
                words = [column_number(value, DECIMALS) for value in (factor, slope, weights)]
                parts.append(Segment(f"{words[0]:>{PART}} ", text))
                parts.append(Segment(f"= {words[1]:>{PART - 1}} × {words[2]:>{PART - 1}}", muted))
        product = entry(chain.product, layer)
        parts.append(Segment(f"{value_text(product):>{VALUE + 1}} ", health))
        if bar:
            parts += self._bar(product, entry(chain.bound, layer) if chain.bound is not None else None, bar, selected)
        return parts

    def _bar(self, product: float | None, bound: float | None, width: int, selected: bool) -> list[Segment]:
        health = self.style(self.palette.health["learning"], selected)
        bar = f"{self._axis.bar(product, width):<{width}}"
        if bound is None or bound == 0:
            return [Segment(bar, health)]
        place = min(int(self._axis.place(bound, width)), width - 1)
        sign = Segment(BOUND_SIGN, self.style(self.palette.series.theory, selected))
        return [Segment(bar[:place], health), sign, Segment(bar[place + 1 :], health)]

    def _columns(self, width: int) -> tuple[bool, int]:
        """Whether there is room for the factors, and the width of the bars; 0 for no bars."""
        left = width - self.state.label_width - 1 - VALUE - 2
        with_factor = left >= FACTORS
        bar = left - FACTORS * with_factor - 1
        return with_factor, bar if bar >= MIN_BAR_WIDTH else 0

    def _measured(self) -> ChainRule | None:
        """The factors of the present frame, computed once per frame."""
        frame, shown = self.state.frame, self.state.shown
        if frame is None or shown is None or shown.network is None:
            return None
        if frame is not self._of:
            self._of, self._chain = frame, chain_rule(shown.network, frame.layers)
        return self._chain
