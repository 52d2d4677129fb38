"""A plain forward pass of the network in complex numbers, against which the engine is tested.

It shares no code with the engine. The complex step f′(x) = Im f(x + ih)/h has no cancellation, so derivatives are
accurate to the last digits (Squire & Trapp 1998). Samples × units here, as in a textbook.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from engine.config import NetworkConfig

Array = NDArray[Any]
STEP = 1e-30


def _where_positive(positive: Callable[[Array], Array], other: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda z: np.where(z.real > 0, positive(z), other(z))


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _normal_cdf(z: Array) -> Array:
    """Φ for complex numbers, which scipy.special.erf accepts."""
    result: Array = (1 + erf(z / np.sqrt(2))) / 2
    return result


PHI: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": _where_positive(lambda z: z, lambda z: 0 * z),
    "leaky_relu": _where_positive(lambda z: z, lambda z: 0.01 * z),
    "elu": _where_positive(lambda z: z, lambda z: np.exp(z) - 1),
    "selu": _where_positive(lambda z: SELU_SCALE * z, lambda z: SELU_SCALE * SELU_ALPHA * (np.exp(z) - 1)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "gelu": lambda z: z * _normal_cdf(z),
    "linear": lambda z: z,
}


@dataclass(frozen=True)
class Pass:
    """The z and the output of every hidden layer, (samples, units), the logits and the mean cross-entropy."""

    pre_activations: list[Array]
    outputs: list[Array]
    logits: Array
    loss: complex


def forward(config: NetworkConfig, parameters: Mapping[str, Array], inputs: Array, labels: NDArray[np.int64]) -> Pass:
    """Run the training pass over a batch of inputs, (samples, features)."""
    h = np.asarray(inputs, dtype=np.complex128)
    zs, outputs = [], []
    for layer in range(config.hidden_layers):
        z = h @ parameters[f"layers.{layer}.weight"]
        if config.batch_norm:
            centred = z - z.mean(axis=0)
            z = centred / np.sqrt((centred**2).mean(axis=0) + 1e-5)
            z = z * parameters[f"layers.{layer}.norm.gain"] + parameters[f"layers.{layer}.norm.bias"]
        else:
            z = z + parameters[f"layers.{layer}.bias"]
        activated = PHI[config.activation](z)
        h = h + activated if config.skip_connections and h.shape[1] == config.width else activated
        zs.append(z)
        outputs.append(h)
    last = config.hidden_layers
    logits = h @ parameters[f"layers.{last}.weight"] + parameters[f"layers.{last}.bias"]
    shifted = logits - logits.real.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return Pass(zs, outputs, logits, complex(losses.mean()))


def complex_step_gradient(
    config: NetworkConfig,
    parameters: Mapping[str, NDArray[np.float64]],
    name: str,
    inputs: Array,
    labels: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Compute ∂E/∂(the parameter `name`), in its shape."""
    gradient = np.empty(parameters[name].shape)
    for index in np.ndindex(gradient.shape):
        moved = parameters[name].astype(np.complex128)
        moved[index] += 1j * STEP
        gradient[index] = forward(config, {**parameters, name: moved}, inputs, labels).loss.imag / STEP
    return gradient
