"""What a lesson can ask for: numbers of a frame, by names that a lesson's file uses."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgtui.wire.frames import Frame


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a frame, and what people call it. NaN where there is none."""

    words: str
    of: Callable[[Frame], float]


def _number(value: np.float64 | None) -> float:
    return math.nan if value is None else float(value)


def _ratio(values: NDArray[np.float64]) -> float:
    return float(values[0] / values[-1]) if values[-1] else math.nan


def _greatest(values: NDArray[np.float64]) -> float:
    known = np.ma.compressed(np.ma.asarray(values))
    return float(known.max()) if len(known) else 0.0


MEASURES: dict[str, Measure] = {
    "step": Measure("step", lambda frame: frame.step),
    "loss": Measure("loss", lambda frame: _number(frame.loss)),
    "accuracy": Measure("accuracy of the batch", lambda frame: _number(frame.accuracy)),
    "validation_accuracy": Measure("validation accuracy", lambda frame: _number(frame.validation_accuracy)),
    "gradient_ratio": Measure("gradient, layer 1 / output", lambda frame: _ratio(frame.layers.grad_norm)),
    "signal_ratio": Measure("error signal, layer 1 / output", lambda frame: _ratio(frame.layers.delta_norm)),
    "largest_gradient": Measure("largest gradient norm", lambda frame: float(frame.layers.grad_norm.max())),
    "slope": Measure("rms φ′, mean of the layers", lambda frame: float(frame.layers.derivative_rms[:-1].mean())),
    "saturated": Measure("saturated, the worst layer", lambda frame: _greatest(frame.layers.saturated)),
    "dead": Measure("dead units, the worst layer", lambda frame: _greatest(frame.layers.dead)),
}
"""By the name that a lesson uses."""
