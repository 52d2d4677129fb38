"""The initializations, by their published names.

A weight matrix has the shape (fan_in, fan_out). All numbers are drawn on the host, so that both backends start with the
same weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config import NetworkConfig

Matrix = NDArray[np.float64]
Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Initializer:
    """How the weights and biases of a layer are drawn.

    Attributes:
        weight: weight(rng, (fan_in, fan_out), network) returns the weights, (fan_in, fan_out).
        source: The paper and equation, or the distribution.
        bias: bias(rng, (fan_in, fan_out), network) returns the biases, (fan_out,); None for biases of 0.
    """

    weight: Callable[[np.random.Generator, Shape, NetworkConfig], Matrix]
    source: str
    bias: Callable[[np.random.Generator, Shape, NetworkConfig], Matrix] | None = None


def _normal(deviation: float, rng: np.random.Generator, size: int | Shape) -> Matrix:
    return rng.standard_normal(size) * deviation


def _uniform(bound: float, rng: np.random.Generator, size: int | Shape) -> Matrix:
    return rng.uniform(-bound, bound, size)


def _orthogonal(rng: np.random.Generator, shape: Shape) -> Matrix:
    """Draw uniformly from the (semi-)orthogonal matrices, by QR with the signs of R's diagonal (Mezzadri 2007)."""
    fan_in, fan_out = shape
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))
    return q if fan_in >= fan_out else q.T


INITIALIZERS: dict[str, Initializer] = {
    "xavier_normal": Initializer(
        lambda rng, shape, _: _normal((2 / sum(shape)) ** 0.5, rng, shape), "Glorot & Bengio 2010, eq. 12"
    ),
    "xavier_uniform": Initializer(
        lambda rng, shape, _: _uniform((6 / sum(shape)) ** 0.5, rng, shape), "Glorot & Bengio 2010, eq. 16"
    ),
    "he_normal": Initializer(
        lambda rng, shape, _: _normal((2 / shape[0]) ** 0.5, rng, shape), "He et al. 2015, eq. 10"
    ),
    "he_uniform": Initializer(
        lambda rng, shape, _: _uniform((6 / shape[0]) ** 0.5, rng, shape), "He et al. 2015, eq. 10"
    ),
    "lecun_normal": Initializer(
        lambda rng, shape, _: _normal(shape[0] ** -0.5, rng, shape), "LeCun et al. 1998, eq. 16"
    ),
    "orthogonal": Initializer(lambda rng, shape, _: _orthogonal(rng, shape), "Saxe et al. 2014"),
    "pytorch_default": Initializer(
        lambda rng, shape, _: _uniform(shape[0] ** -0.5, rng, shape),
        "U(±1/√fan_in), biases too, as torch.nn.Linear draws them",
        bias=lambda rng, shape, _: _uniform(shape[0] ** -0.5, rng, shape[1]),
    ),
    "gaussian": Initializer(
        lambda rng, shape, network: _normal((network.weight_variance / shape[0]) ** 0.5, rng, shape),
        "N(0, weight_variance/fan_in), biases N(0, bias_variance): Poole et al. 2016",
        bias=lambda rng, shape, network: _normal(network.bias_variance**0.5, rng, shape[1]),
    ),
    "small_normal": Initializer(lambda rng, shape, _: _normal(0.01, rng, shape), "N(0, 0.01²), Krizhevsky et al. 2012"),
    "standard_normal": Initializer(
        lambda rng, shape, _: _normal(1.0, rng, shape), "N(0, 1): far too large, to see it explode"
    ),
}
