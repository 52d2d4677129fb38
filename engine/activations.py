"""Each activation φ: its value and its derivative φ′ side by side.

Both write into `out`, which may not overlap `z`. `h` is φ(z), so that a derivative which the value gives for free
costs nothing more. `xp` is the array module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Array = Any
"""An array of the backend's module: NumPy and CuPy share no type."""

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
LEAKY_SLOPE = 0.01


@dataclass(frozen=True, slots=True)
class Activation:
    """φ and φ′, with what a reader of the gradients needs to know about them.

    value(xp, z, out) and derivative(xp, z, h, out) work on arrays of any shape.
    largest_derivative: the supremum of abs φ′, the bound on what a layer's activation lets through.
    saturates: φ′ tends to 0 on both sides, so that a unit can be saturated.
    rectifies: of the ReLU family: a unit whose output is 0 for the whole batch is dead.
    """

    value: Callable[[Any, Array, Array], None]
    derivative: Callable[[Any, Array, Array, Array], None]
    largest_derivative: float
    saturates: bool = False
    rectifies: bool = False


def _sigmoid(xp: Any, z: Array, out: Array) -> None:
    xp.negative(z, out=out)
    xp.exp(out, out=out)
    xp.add(out, 1, out=out)
    xp.reciprocal(out, out=out)


def _sigmoid_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    xp.subtract(1, h, out=out)
    xp.multiply(out, h, out=out)


def _tanh(xp: Any, z: Array, out: Array) -> None:
    xp.tanh(z, out=out)


def _tanh_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    xp.multiply(h, h, out=out)
    xp.subtract(1, out, out=out)


def _relu(xp: Any, z: Array, out: Array) -> None:
    xp.maximum(z, 0, out=out)


def _relu_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    xp.sign(h, out=out)


def _leaky_relu(xp: Any, z: Array, out: Array) -> None:
    xp.multiply(z, LEAKY_SLOPE, out=out)
    xp.maximum(z, out, out=out)


def _leaky_relu_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    xp.heaviside(z, 0, out=out)
    xp.maximum(out, LEAKY_SLOPE, out=out)


def _elu(xp: Any, z: Array, out: Array) -> None:
    xp.minimum(z, 0, out=out)
    xp.expm1(out, out=out)
    xp.maximum(z, out, out=out)


def _elu_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    xp.minimum(h, 0, out=out)
    xp.add(out, 1, out=out)


def _selu(xp: Any, z: Array, out: Array) -> None:
    xp.minimum(z, 0, out=out)
    xp.expm1(out, out=out)
    xp.multiply(out, SELU_ALPHA, out=out)
    xp.copyto(out, z, where=z > 0)  # no maximum as for elu: below zero α(eᶻ − 1) is the smaller of the two
    xp.multiply(out, SELU_SCALE, out=out)


def _selu_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    # scale·α·eᶻ = h + scale·α below zero, and scale above
    xp.minimum(h, 0, out=out)
    xp.add(out, SELU_SCALE * SELU_ALPHA, out=out)
    xp.copyto(out, SELU_SCALE, where=z > 0)


def _silu(xp: Any, z: Array, out: Array) -> None:
    _sigmoid(xp, z, out)
    xp.multiply(out, z, out=out)


def _silu_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    # φ′ = s + h(1 − s) with s = sigmoid(z)
    _sigmoid(xp, z, out)
    rest = h - h * out
    xp.add(out, rest, out=out)


def _softplus(xp: Any, z: Array, out: Array) -> None:
    xp.logaddexp(z, 0, out=out)


def _softplus_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    _sigmoid(xp, z, out)


def _linear(xp: Any, z: Array, out: Array) -> None:
    xp.copyto(out, z)


def _linear_derivative(xp: Any, z: Array, h: Array, out: Array) -> None:
    out.fill(1)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative, 0.25, saturates=True),
    "tanh": Activation(_tanh, _tanh_derivative, 1.0, saturates=True),
    "relu": Activation(_relu, _relu_derivative, 1.0, rectifies=True),
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_derivative, 1.0, rectifies=True),
    "elu": Activation(_elu, _elu_derivative, 1.0),
    "selu": Activation(_selu, _selu_derivative, SELU_SCALE * SELU_ALPHA),
    "silu": Activation(_silu, _silu_derivative, 1.0998393194),
    "softplus": Activation(_softplus, _softplus_derivative, 1.0),
    "linear": Activation(_linear, _linear_derivative, 1.0),
}
"""Every activation by its name. Klambauer et al. 2017 for selu, Elfwing et al. 2018 for silu."""
