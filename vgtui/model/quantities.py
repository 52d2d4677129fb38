"""What can be shown of every layer: the quantities between which a key chooses, and the span of each one's axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.telemetry import LayerMeasurements


@dataclass(frozen=True, slots=True)
class Quantity:
    """A norm, or a ratio of norms, of every layer.

    Attributes:
        value: The field of LayerMeasurements with its value.
        least: The field with its least value since the frame before, where that is measured.
        greatest: The field with its greatest value.
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
        values: NDArray[np.float64] = getattr(layers, self.value)
        return values


GRADIENT = Quantity("Gradient norm", "‖∂E/∂W‖", "grad_norm", "grad_norm_min", "grad_norm_max", -15, 1)
SIGNAL = Quantity("Error signal", "‖∂E/∂z‖", "delta_norm", "delta_norm", "delta_norm", -15, 1)
ACTIVATION = Quantity("Spread of activations", "sd(h)", "activation_std", "activation_std", "activation_std", -7, 1)
UPDATE = Quantity("Update ratio", "‖ΔW‖/‖W‖", "update_ratio", "update_ratio", "update_ratio", -15, 1)

QUANTITIES = (GRADIENT, SIGNAL, ACTIVATION, UPDATE)


def entry(values: NDArray[np.float64], layer: int) -> float | None:
    """A layer's value, None where it is masked."""
    value: float | None = values.tolist()[layer]
    return value
