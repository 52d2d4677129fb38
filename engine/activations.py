"""The activations φ, each with its derivative φ′ beside it.

Both functions write into `out` and may use `scratch`; neither array may overlap `z`. Derivatives also receive h = φ(z),
so that those which follow from the value cost almost nothing. No function allocates an array.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from engine.arrays import Array, ArrayModule
from engine.backend import error_function

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
LEAKY_SLOPE = 0.01


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation φ, its derivative φ′ and the properties that matter for gradients.

    Attributes:
        value: value(xp, z, out, scratch) writes φ(z) into `out`; all arrays have the same shape, which may be any.
        derivative: derivative(xp, z, h, out, scratch) writes φ′(z) into `out`, given h = φ(z).
        largest_derivative: The supremum of |φ′|, which bounds the factor that a layer's activation contributes.
        saturates: Whether φ′ tends to 0 on both sides, so that a unit can saturate.
        rectifies: Whether φ belongs to the ReLU family, where a unit whose output is 0 for the whole batch is dead.
    """

    value: Callable[[ArrayModule, Array, Array, Array], None]
    derivative: Callable[[ArrayModule, Array, Array, Array, Array], None]
    largest_derivative: float
    saturates: bool = False
    rectifies: bool = False


def _sigmoid(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.negative(z, out=out)
    xp.exp(out, out=out)
    xp.add(out, 1, out=out)
    xp.divide(1, out, out=out)


def _sigmoid_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    xp.subtract(1, h, out=out)
    xp.multiply(out, h, out=out)


def _tanh(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.tanh(z, out=out)


def _tanh_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    xp.multiply(h, h, out=out)
    xp.subtract(1, out, out=out)


def _relu(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.maximum(z, 0, out=out)


def _relu_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    xp.greater(h, 0, out=out)


def _leaky_relu(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.multiply(z, LEAKY_SLOPE, out=out)
    xp.maximum(z, out, out=out)


def _leaky_relu_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    xp.greater(z, 0, out=out)
    xp.maximum(out, LEAKY_SLOPE, out=out)


def _elu(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.minimum(z, 0, out=out)
    xp.expm1(out, out=out)
    xp.maximum(z, out, out=out)


def _elu_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    xp.minimum(h, 0, out=out)
    xp.add(out, 1, out=out)


def _selu(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    # unlike elu, this cannot use maximum(z, out): below zero, scale·α(eᶻ − 1) can be less than z
    xp.minimum(z, 0, out=out)
    xp.expm1(out, out=out)
    xp.multiply(out, SELU_SCALE * SELU_ALPHA, out=out)
    xp.maximum(z, 0, out=scratch)
    xp.multiply(scratch, SELU_SCALE, out=scratch)
    xp.add(out, scratch, out=out)


def _selu_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    # scale·α·eᶻ = h + scale·α below zero, and scale above
    xp.minimum(h, 0, out=out)
    xp.add(out, SELU_SCALE * SELU_ALPHA, out=out)
    xp.greater(z, 0, out=scratch)
    xp.multiply(scratch, SELU_SCALE * (SELU_ALPHA - 1), out=scratch)
    xp.subtract(out, scratch, out=out)


def _gelu(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    _normal_cdf(xp, z, out)
    xp.multiply(out, z, out=out)


def _gelu_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    # Φ(z) + z·(density of the standard normal at z)
    _normal_cdf(xp, z, scratch)
    xp.multiply(z, z, out=out)
    xp.multiply(out, -0.5, out=out)
    xp.exp(out, out=out)
    xp.multiply(out, z, out=out)
    xp.multiply(out, 1 / math.sqrt(2 * math.pi), out=out)
    xp.add(out, scratch, out=out)


def _normal_cdf(xp: ArrayModule, z: Array, out: Array) -> None:
    xp.multiply(z, math.sqrt(0.5), out=out)
    error_function(xp)(out, out=out)
    xp.add(out, 1, out=out)
    xp.multiply(out, 0.5, out=out)


def _silu(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    _sigmoid(xp, z, out, scratch)
    xp.multiply(out, z, out=out)


def _silu_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    # s + h(1 − s) = s(1 − h) + h with s = sigmoid(z)
    _sigmoid(xp, z, out, scratch)
    xp.subtract(1, h, out=scratch)
    xp.multiply(out, scratch, out=out)
    xp.add(out, h, out=out)


def _softplus(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.logaddexp(z, 0, out=out)


def _softplus_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    _sigmoid(xp, z, out, scratch)


def _linear(xp: ArrayModule, z: Array, out: Array, scratch: Array) -> None:
    xp.copyto(out, z)


def _linear_derivative(xp: ArrayModule, z: Array, h: Array, out: Array, scratch: Array) -> None:
    out.fill(1)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative, 0.25, saturates=True),
    "tanh": Activation(_tanh, _tanh_derivative, 1.0, saturates=True),
    "relu": Activation(_relu, _relu_derivative, 1.0, rectifies=True),
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_derivative, 1.0, rectifies=True),
    "elu": Activation(_elu, _elu_derivative, 1.0),
    "selu": Activation(_selu, _selu_derivative, SELU_SCALE * SELU_ALPHA),
    "gelu": Activation(_gelu, _gelu_derivative, 1.1289041),
    "silu": Activation(_silu, _silu_derivative, 1.0998393194),
    "softplus": Activation(_softplus, _softplus_derivative, 1.0),
    "linear": Activation(_linear, _linear_derivative, 1.0),
}
"""The activations by name.

Sources: selu, Klambauer et al. 2017; gelu (the exact form, with erf), Hendrycks & Gimpel 2016; silu, Elfwing et al.
2018.
"""
