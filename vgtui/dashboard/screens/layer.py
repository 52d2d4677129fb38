"""A look inside one layer: its histograms, its numbers, its history, its factor in the chain rule."""

from collections.abc import Callable

from rich.columns import Columns
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from engine.chain_rule import chain_rule
from engine.diagnosis import layer_label
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.histogram_chart import HistogramChart
from vgtui.dashboard.widgets.layer_history import LayerHistory
from vgtui.model.quantities import entry
from vgtui.terminal.text import UNKNOWN, count_text, norm_text, share_text, short_number
from vgtui.user.themes import Palette

REFRESH_SECONDS = 1.0
"""How often the histograms are requested while the screen is open."""


class LayerScreen(Overlay):
    """A look inside a layer. ← and → go to its neighbours.

    Args:
        state: The run on the screen.
        palette: The colours.
        choose: Called with another layer to look inside.
        inspect: Asks the source for the histograms of a layer.
    """

    BINDINGS = [
        ("left,down", "go(-1)", "Towards the input"),
        ("right,up", "go(1)", "Towards the output"),
        ("enter,q", "close", "Close"),
    ]

    def __init__(
        self, state: RunView, palette: Palette, choose: Callable[[int], None], inspect: Callable[[int], None]
    ) -> None:
        super().__init__(state, palette)
        self._choose, self._inspect = choose, inspect
        self._histograms = (
            HistogramChart(state, palette, "activations", "Activations h"),
            HistogramChart(state, palette, "weights", "Weights W"),
            HistogramChart(state, palette, "gradients", "Gradient ∂E/∂W"),
        )
        self._history = LayerHistory(state, palette)
        self._facts = Static()

    def compose(self) -> ComposeResult:
        """Compose the numbers, the three histograms and the history."""
        with Vertical(id="layer", classes="dialog") as box:
            box.border_subtitle = "← → neighbours · escape closes"
            yield self._facts
            yield Horizontal(*self._histograms, id="histograms")
            yield self._history

    def on_mount(self) -> None:
        """Request the histograms, now and at regular intervals, and draw what is known."""
        self._ask()
        self.set_interval(REFRESH_SECONDS, self._ask)
        self.state_changed()

    def action_go(self, step: int) -> None:
        """Look inside the layer this many places nearer to the output; negative is nearer to the input."""
        layer = min(max(self.state.selected + step, 0), self.state.layers - 1)
        if layer != self.state.selected:
            self._choose(layer)
            self._ask()
            self.state_changed()

    def _ask(self) -> None:
        if not self.state.why_not_examined:
            self._inspect(self.state.selected)

    def state_changed(self) -> None:
        """Draw the title, the numbers, the histograms and the history anew."""
        label = layer_label(self.state.selected, self.state.layers)
        title = f"Inside {label} ({self.state.layers - 1} hidden layers)"
        box = self.query_one("#layer")
        if box.border_title != title:
            box.border_title = title
        self._facts.update(self._words())
        self._history.update_title()
        for part in (*self._histograms, self._history):
            part.palette = self.palette
            part.redraw()

    def _words(self) -> Text | Columns:
        state, palette = self.state, self.palette
        if state.frame is None or state.shown is None or state.shown.network is None:
            return Text("no frame yet", palette.muted)
        layer, layers = state.selected, state.frame.layers
        info = state.shown.layers[layer] if layer < len(state.shown.layers) else None
        chain = chain_rule(state.shown.network, layers)
        shares = {"saturated": entry(layers.saturated, layer), "dead units": entry(layers.dead, layer)}
        facts = {
            "step": count_text(state.frame.step),
            "shape": f"{info.fan_in} → {info.fan_out}" if info else UNKNOWN,
            "‖∂E/∂W‖": norm_text(float(layers.grad_norm[layer])),
            "‖∂E/∂z‖": norm_text(float(layers.delta_norm[layer])),
            "factor ‖δ_l‖/‖δ_l+1‖": short_number(entry(chain.factor, layer)),
            "rms φ′": short_number(entry(chain.activation, layer)),
            "‖W‖": short_number(float(layers.weight_norm[layer])),
            "‖ΔW‖/‖W‖": short_number(entry(layers.update_ratio, layer)),
            **{name: share_text(share) for name, share in shares.items() if share is not None},
        }
        texts = [Text.assemble((f"{name} ", palette.muted), (value, palette.text)) for name, value in facts.items()]
        texts.append(Text(state.health[layer], palette.health[state.health[layer]]))
        return Columns(texts, padding=(0, 3))
