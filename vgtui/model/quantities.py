"""What can be shown of every layer: the quantities between which a key chooses, and the span of each one's axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.telemetry import LayerMeasurements


@dataclass(frozen=True, slots=True)
class Quantity:
    """A norm, or another number of every layer.

    Attributes:
        value: The measurement with its value, one of engine.telemetry.MEASUREMENTS.
        least: That with its least value since the frame before, where that is measured.
        greatest: That with its greatest value.
        floor: The power of ten at which colours, and at first bars, begin.
        ceiling: The power of ten at which they end.
    """

    title: str
    symbol: str
    value: str
    least: str
    greatest: str
    floor: int
    ceiling: int

    def of(self, layers: LayerMeasurements) -> NDArray[np.float64]:
        """Its value in every layer; masked where it is unknown."""
        return layers.of(self.value)

    def is_known(self, layers: LayerMeasurements) -> bool:
        """Whether any layer has it."""
        return not np.ma.getmaskarray(self.of(layers)).all()


def _single(title: str, symbol: str, value: str, floor: int, ceiling: int) -> Quantity:
    """A quantity that is measured once a frame."""
    return Quantity(title, symbol, value, value, value, floor, ceiling)


GRADIENT = Quantity("Gradient norm", "‖∂E/∂W‖", "grad_norm", "grad_norm_min", "grad_norm_max", -15, 1)
SIGNAL = _single("Error signal", "‖∂E/∂z‖", "delta_norm", -15, 1)
ACTIVATION = _single("Spread of activations", "sd(h)", "activation_std", -7, 1)
RMS = _single("RMS of activations", "rms(h)", "activation_rms", -7, 1)
UPDATE = _single("Update ratio", "‖ΔW‖/‖W‖", "update_ratio", -15, 1)
MOMENTUM = _single("Optimizer's mean", "‖m‖", "momentum_norm", -15, 1)
SECOND_MOMENT = _single("Optimizer's square", "‖√v‖", "second_moment_norm", -15, 1)
ZEROS = _single("Zeros in the gradient", "share 0", "grad_zero_share", -7, 0)
NOISE = _single("Gradient noise scale", "trΣ/|G|²", "noise_scale", 0, 7)
ATTENTION = _single("Attention logit", "max qk", "max_attention_logit", -3, 3)

QUANTITIES = (GRADIENT, SIGNAL, ACTIVATION, RMS, UPDATE, MOMENTUM, SECOND_MOMENT, ZEROS, NOISE, ATTENTION)
"""In the order of the key, which leaves out those that no layer of the frame has."""


def entry(values: NDArray[np.float64], layer: int) -> float | None:
    """A layer's value, None where it is masked."""
    value: float | None = values.tolist()[layer]
    return value
