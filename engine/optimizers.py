"""The optimizers, with PyTorch's formulas, on one flat vector of all parameters.

An optimizer turns the gradient g into the update Δ that is added to the parameters θ. η is the learning rate and μ the
momentum. Vectors are (parameters,).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.arrays import Array, ArrayModule
from engine.config import TrainingConfig


class Optimizer(Protocol):
    """Turns gradients into updates and keeps its own state between them.

    Attributes:
        vectors: The state, by name.
    """

    vectors: dict[str, Array]

    def update(self, gradient: Array, step: int, out: Array) -> None:
        """Compute the update Δ.

        Args:
            gradient: g; may be overwritten.
            step: The number of updates before this one.
            out: Receives Δ.
        """


class Sgd:
    """Δ = −η g."""

    def __init__(self, xp: ArrayModule, training: TrainingConfig, parameters: Array) -> None:
        self._xp = xp
        self._rate = training.learning_rate
        self.vectors: dict[str, Array] = {}

    def update(self, gradient: Array, step: int, out: Array) -> None:
        """Compute the update Δ; see Optimizer.update."""
        self._xp.multiply(gradient, -self._rate, out=out)


class Momentum:
    """v ← μ v + g, Δ = −η v (as in PyTorch, the rate is not part of the velocity v)."""

    def __init__(self, xp: ArrayModule, training: TrainingConfig, parameters: Array) -> None:
        self._xp = xp
        self._rate = training.learning_rate
        self._momentum = training.momentum
        self._velocity = xp.zeros_like(parameters)
        self.vectors = {"velocity": self._velocity}

    def update(self, gradient: Array, step: int, out: Array) -> None:
        """Compute the update Δ; see Optimizer.update."""
        self._xp.multiply(self._velocity, self._momentum, out=self._velocity)
        self._xp.add(self._velocity, gradient, out=self._velocity)
        self._xp.multiply(self._velocity, -self._rate, out=out)


class Nesterov(Momentum):
    """v ← μ v + g, Δ = −η (g + μ v)."""

    def update(self, gradient: Array, step: int, out: Array) -> None:
        """Compute the update Δ; see Optimizer.update."""
        super().update(gradient, step, out)
        self._xp.multiply(out, self._momentum, out=out)
        self._xp.multiply(gradient, self._rate, out=gradient)
        self._xp.subtract(out, gradient, out=out)


class Adam:
    """Δ = −η m̂ / (√v̂ + ε), where m̂ and v̂ are running means of g and g², corrected for their start at 0."""

    MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, xp: ArrayModule, training: TrainingConfig, parameters: Array) -> None:
        self._xp = xp
        self._rate = training.learning_rate
        self._mean = xp.zeros_like(parameters)
        self._square = xp.zeros_like(parameters)
        self.vectors = {"mean": self._mean, "square": self._square}

    def update(self, gradient: Array, step: int, out: Array) -> None:
        """Compute the update Δ; see Optimizer.update."""
        xp = self._xp
        _move(xp, self._mean, gradient, self.MEAN_DECAY, out)
        xp.multiply(gradient, gradient, out=gradient)
        _move(xp, self._square, gradient, self.SQUARE_DECAY, out)
        xp.sqrt(self._square, out=out)
        xp.divide(out, (1 - self.SQUARE_DECAY ** (step + 1)) ** 0.5, out=out)
        xp.add(out, self.EPSILON, out=out)
        xp.divide(self._mean, out, out=out)
        xp.multiply(out, -self._rate / (1 - self.MEAN_DECAY ** (step + 1)), out=out)


class RmsProp:
    """Δ = −η g / (√v + ε), where v is a running mean of g²."""

    SQUARE_DECAY, EPSILON = 0.99, 1e-8

    def __init__(self, xp: ArrayModule, training: TrainingConfig, parameters: Array) -> None:
        self._xp = xp
        self._rate = training.learning_rate
        self._square = xp.zeros_like(parameters)
        self._scratch = xp.empty_like(parameters)
        self.vectors = {"square": self._square}

    def update(self, gradient: Array, step: int, out: Array) -> None:
        """Compute the update Δ; see Optimizer.update."""
        xp = self._xp
        xp.multiply(gradient, gradient, out=self._scratch)
        _move(xp, self._square, self._scratch, self.SQUARE_DECAY, out)
        xp.sqrt(self._square, out=out)
        xp.add(out, self.EPSILON, out=out)
        xp.divide(gradient, out, out=out)
        xp.multiply(out, -self._rate, out=out)


def _move(xp: ArrayModule, mean: Array, value: Array, decay: float, scratch: Array) -> None:
    """Move a running mean towards a value: decay · mean + (1 − decay) · value."""
    xp.multiply(mean, decay, out=mean)
    xp.multiply(value, 1 - decay, out=scratch)
    xp.add(mean, scratch, out=mean)


@dataclass(frozen=True, slots=True)
class OptimizerKind:
    """An optimizer and its properties.

    Attributes:
        create: create(xp, training, parameters) makes the optimizer.
        state_vectors: Vectors of the parameters' size that it keeps.
        source: The paper that describes it.
        decoupled_decay: Whether weight decay is subtracted from the parameters, −η λ θ, rather than added to the
            gradient, λ θ.
    """

    create: Callable[[ArrayModule, TrainingConfig, Array], Optimizer]
    state_vectors: int
    source: str
    decoupled_decay: bool = False


OPTIMIZERS: dict[str, OptimizerKind] = {
    "sgd": OptimizerKind(Sgd, 0, "stochastic gradient descent"),
    "momentum": OptimizerKind(Momentum, 1, "SGD with momentum, Polyak 1964"),
    "nesterov": OptimizerKind(Nesterov, 1, "SGD with Nesterov's momentum, Sutskever et al. 2013"),
    "adam": OptimizerKind(Adam, 2, "Kingma & Ba 2015, algorithm 1"),
    "adamw": OptimizerKind(Adam, 2, "Adam with decoupled weight decay, Loshchilov & Hutter 2019", decoupled_decay=True),
    "rmsprop": OptimizerKind(RmsProp, 2, "Tieleman & Hinton 2012"),
}
"""The optimizers by name, with PyTorch's defaults; rate, momentum and weight decay come from the configuration."""
