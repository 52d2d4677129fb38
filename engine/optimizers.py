"""Each optimizer, with PyTorch's formulas, on one flat vector of all parameters.

An optimizer turns the gradient g into the update Δ that is added to the parameters θ. Vectors are (parameters,).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from engine.activations import Array
from engine.config import TrainingConfig


class Optimizer(Protocol):
    """Keeps its own state between updates."""

    def update(self, gradient: Array, out: Array) -> None:
        """Write Δ for this gradient into out."""


class Sgd:
    """Δ = −η g."""

    def __init__(self, xp: Any, training: TrainingConfig, parameters: Array) -> None:
        self._xp = xp
        self._rate = training.learning_rate

    def update(self, gradient: Array, out: Array) -> None:
        self._xp.multiply(gradient, -self._rate, out=out)


class Momentum:
    """v ← μ v + g, Δ = −η v (PyTorch's form: the rate is outside of the velocity)."""

    def __init__(self, xp: Any, training: TrainingConfig, parameters: Array) -> None:
        self._xp = xp
        self._rate = training.learning_rate
        self._momentum = training.momentum
        self._velocity = xp.zeros_like(parameters)

    def update(self, gradient: Array, out: Array) -> None:
        self._xp.multiply(self._velocity, self._momentum, out=self._velocity)
        self._xp.add(self._velocity, gradient, out=self._velocity)
        self._xp.multiply(self._velocity, -self._rate, out=out)


@dataclass(frozen=True, slots=True)
class OptimizerKind:
    """An optimizer's class and the most vectors of the parameters' size that it keeps."""

    create: Callable[[Any, TrainingConfig, Array], Optimizer]
    state_vectors: int
    source: str


OPTIMIZERS: dict[str, OptimizerKind] = {
    "sgd": OptimizerKind(Sgd, 0, "stochastic gradient descent"),
    "momentum": OptimizerKind(Momentum, 1, "SGD with momentum, Polyak 1964"),
}
