"""The verdict in words, the keys that would help, and the numbers of the chosen layer."""

import numpy as np
from rich.text import Text
from textual.widget import Widget

from engine.diagnosis import Health, VerdictKind
from vgtui.dashboard.keymap import cure_key
from vgtui.dashboard.state import RunState
from vgtui.dashboard.text import count_text, norm_text, plain, share_text, short_number
from vgtui.recordings.frames import Frame
from vgtui.themes import Palette

COLOUR_OF: dict[VerdictKind, Health] = {
    "healthy": "learning",
    "vanishing": "vanished",
    "vanished": "zero",
    "exploding": "exploding",
    "non-finite": "NaN",
    "saturated": "weak",
    "dead": "vanished",
    "frozen": "weak",
}
"""Which colour of health a verdict has."""
ROOM_FOR_LAYER = 5
"""Lines from which the chosen layer is described too."""


class VerdictPanel(Widget):
    """Text that wraps; its most important sentence comes first."""

    BORDER_TITLE = "Verdict"

    def __init__(self, state: RunState, palette: Palette) -> None:
        super().__init__()
        self.state = state
        self.palette = palette

    def render(self) -> Text:
        state = self.state
        if state.fault:
            return Text.assemble(
                (f"fault: {plain(state.fault)}; press ", self.palette.health["vanished"]),
                ("r", f"bold {self.palette.accent}"),
                (" to start again", self.palette.health["vanished"]),
            )
        if not state.frame:
            return Text("starting the training process …", self.palette.muted)
        sentence = self._sentence(state.frame)
        if self.size.height >= ROOM_FOR_LAYER:
            sentence.append("\n")
            sentence.append_text(self._layer(state.frame))
        return sentence

    def _sentence(self, frame: Frame) -> Text:
        verdict = frame.verdict
        text = Text(verdict.message, self.palette.health[COLOUR_OF[verdict.kind]])
        if verdict.kind == "non-finite":
            text.append(f", found at step {count_text(frame.step)}; training is paused")
        rate = self.state.wanted.training.learning_rate
        keys = [cure_key(cure, rate) for cure in verdict.cures]
        if keys:
            text.append("; try ", self.palette.text)
            for place, key in enumerate(keys):
                if place:
                    text.append(" or " if place == len(keys) - 1 else ", ", self.palette.text)
                text.append(key, f"bold {self.palette.accent}")
        return text

    def _layer(self, frame: Frame) -> Text:
        layer, layers = self.state.selected, frame.layers
        name = "output layer" if layer == self.state.layers - 1 else f"layer {layer + 1}"
        facts = [
            f"gradient {norm_text(float(layers.grad_norm[layer]))}",
            f"output {short_number(float(layers.activation_mean[layer]))}"
            f" ± {short_number(float(layers.activation_std[layer]))}",
            f"φ′ {short_number(float(layers.derivative_rms[layer]))}",
        ]
        if (saturated := _known(layers.saturated, layer)) is not None:
            facts.append(f"saturated {share_text(saturated)}")
        if (dead := _known(layers.dead, layer)) is not None:
            facts.append(f"dead {share_text(dead)}")
        facts.append(f"weights {short_number(float(layers.weight_norm[layer]))}")
        facts.append(f"last update {short_number(_known(layers.update_ratio, layer))} of them")
        return Text.assemble((f"{name}: ", self.palette.accent), (" · ".join(facts), self.palette.muted))


def _known(values: "np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]", layer: int) -> float | None:
    """An entry, None where it is masked."""
    value: float | None = values.tolist()[layer]
    return value
