"""The predictions of mean-field theory for wide layers at initialization, layer by layer.

With weights N(0, σ_w²/fan_in), biases N(0, σ_b²) and z standard normal (Poole et al. 2016, eq. 3; Schoenholz et al.
2017, eq. 9), the variance of a pre-activation changes from one layer to the next as q ← σ_w² E[φ(√q z)²] + σ_b², and a
squared error signal is multiplied by χ = σ_w² E[φ′(√q z)²] from one layer to the layer before it. With BatchNorm and a
large batch, χ = E[φ′(z)²] / Var[φ(z)] for every σ_w (Yang et al. 2019). With skip connections the means do not vanish
and this simple form does not hold; then there is no prediction, as a wrong curve would be worse than none.

The gradient profile is that of a single sample. In a batch, samples that have become similar in the upper layers add
up there: 20 layers of ReLU with He initialization, flat in theory, then fall by half a decade towards the input
(measured).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activations import ACTIVATIONS
from engine.config import NetworkConfig
from engine.network import layer_shapes

Vector = NDArray[np.float64]

NODES = 200
"""Nodes of the Gauss-Legendre rule on each side of 0, where the activations have their kinks."""
PAIR_NODES = 60
"""The same per dimension, for integrals over two dimensions."""
FIXED_POINT_TOLERANCE = 1e-14
"""The relative change below which q is at its fixed point; rounding keeps it from being exactly 0."""
INTEGRATION_LIMIT = 12.0
"""Where integrals end, in standard deviations; beyond, the normal density is below 1e-32."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The prediction for a network with N hidden layers.

    Attributes:
        pre_activation_variance: q of every hidden layer, (N,); 1 with BatchNorm.
        factor: χ of every hidden layer, (N,), which includes the weights above it: ‖δ_l‖² = χ_l ‖δ_{l+1}‖².
        gradient_profile: The gradient norm of every weight layer relative to the output layer's, (N + 1,).
        signal_profile: The error signal of every weight layer relative to the output layer's, for any batch, (N + 1,).
        activation_spread: The standard deviation of every weight layer's output, (N + 1,); of the logits for the last.
        depth_scale: The number of layers over which a gradient norm changes by e, from the χ of the last hidden layer
            that has a hidden layer above it; ∞ if χ is 1.
    """

    pre_activation_variance: Vector
    factor: Vector
    gradient_profile: Vector
    signal_profile: Vector
    activation_spread: Vector
    depth_scale: float


def predict(network: NetworkConfig, features: int, classes: int, input_mean_square: float = 1.0) -> Prediction | str:
    """Predict the gradients of a network at initialization.

    Args:
        network: The network.
        features: Features of the input.
        classes: Classes of the output.
        input_mean_square: The mean square of the standardized input; below 1 if some features are constant.

    Returns:
        The prediction, or a sentence that says why theory has none.
    """
    if network.skip_connections:
        return "no theory: with skip connections the means do not vanish, and the simple form does not hold"
    if input_mean_square == 0:
        return "no theory: no feature of the inputs ever changes"
    shapes = layer_shapes(network, features, classes)
    drawn = [weight_and_bias_variance(network, shape.fan_in, shape.fan_out) for shape in shapes]
    variances, factors = np.ones(network.hidden_layers), np.empty(network.hidden_layers)
    # the ratio of a layer's squared weight gradient to its squared error signal
    shares = np.empty(len(shapes))
    spreads = np.empty(len(shapes))
    mean_square = input_mean_square
    for layer, (weight, bias) in enumerate(drawn[:-1]):
        if not network.batch_norm:
            variances[layer] = weight * mean_square + bias
        # BatchNorm divides by √(σ_w²·Var[h]) and removes the mean from what reaches the weights
        shares[layer] = shapes[layer].fan_in * (1 / weight if network.batch_norm else mean_square)
        mean, mean_square, slope = moments(network.activation, float(variances[layer]))
        spreads[layer] = math.sqrt(max(mean_square - mean**2, 0.0))
        normalized_above = network.batch_norm and layer < network.hidden_layers - 1
        factors[layer] = slope / (mean_square - mean**2) if normalized_above else drawn[layer + 1][0] * slope
    shares[-1] = shapes[-1].fan_in * mean_square
    spreads[-1] = math.sqrt(drawn[-1][0] * mean_square + drawn[-1][1])
    signals = np.append(np.cumprod(factors[::-1])[::-1], 1.0)
    profile = np.sqrt(signals * shares / shares[-1])
    deepest = factors[-2] if network.hidden_layers > 1 else factors[-1]
    return Prediction(variances, factors, profile, np.sqrt(signals), spreads, depth_scale(float(deepest)))


def weight_and_bias_variance(network: NetworkConfig, fan_in: int, fan_out: int) -> tuple[float, float]:
    """Compute the variances of an initialization.

    Args:
        network: The network, with its initialization.
        fan_in: Inputs of the layer.
        fan_out: Outputs of the layer.

    Returns:
        σ_w², which is fan_in times the variance of a weight, and σ_b², the variance of a bias.
    """
    weight = {
        "xavier_normal": 2 * fan_in / (fan_in + fan_out),
        "xavier_uniform": 2 * fan_in / (fan_in + fan_out),
        "he_normal": 2.0,
        "he_uniform": 2.0,
        "lecun_normal": 1.0,
        "orthogonal": min(1.0, fan_in / fan_out),
        "pytorch_default": 1 / 3,
        "gaussian": network.weight_variance,
        "small_normal": 1e-4 * fan_in,
        "standard_normal": float(fan_in),
    }[network.initialization]
    bias = {"pytorch_default": 1 / (3 * fan_in), "gaussian": network.bias_variance}.get(network.initialization, 0.0)
    return weight, bias


def moments(activation: str, variance: float) -> tuple[float, float, float]:
    """Compute the moments of an activation for normal pre-activations, by quadrature on each side of 0.

    Args:
        activation: The name of φ.
        variance: q, the variance of the pre-activations.

    Returns:
        E[φ(√q z)], E[φ(√q z)²] and E[φ′(√q z)²] for z standard normal.
    """
    with np.errstate(all="ignore"):
        h, slope = _value_and_slope(activation, math.sqrt(variance) * _ABSCISSAE)
        return float(_WEIGHTS @ h), float(_WEIGHTS @ h**2), float(_WEIGHTS @ slope**2)


def depth_scale(factor: float) -> float:
    """Return the number of layers over which a gradient norm changes by e, 2/|ln χ|, for the factor χ."""
    return math.inf if factor == 1 else 2 / abs(math.log(factor)) if factor > 0 else 0.0


def fixed_point(
    activation: str, weight_variance: float, bias_variance: float, start: float = 1.0
) -> tuple[float, float]:
    """Find the fixed point of the variance by iteration.

    Args:
        activation: The name of φ.
        weight_variance: σ_w².
        bias_variance: σ_b².
        start: The variance at which the iteration begins.

    Returns:
        The fixed point q* and χ there; an infinite or undefined variance and NaN if the iteration diverges.
    """
    q = start
    for _ in range(100_000):
        next_q = weight_variance * moments(activation, q)[1] + bias_variance
        if not math.isfinite(next_q):
            return next_q, math.nan
        if abs(next_q - q) <= FIXED_POINT_TOLERANCE * max(q, 1e-300):
            break
        q = next_q
    return q, weight_variance * moments(activation, q)[2]


def correlation_depth_scale(activation: str, weight_variance: float, bias_variance: float) -> float:
    """Compute ξ_c, the depth scale of the correlation of two inputs (Schoenholz et al. 2017, section 3).

    The correlation c of two inputs changes from one layer to the next as c ← (σ_w² E[φ(u₁) φ(u₂)] + σ_b²) / q*, with u₁
    and u₂ normal, of variance q* and correlation c. ξ_c = 1/|ln s| for the slope s of this map at its stable fixed
    point c*. If χ ≤ 1, then c* = 1 and s = χ. A network much deeper than ξ_c cannot tell its inputs apart and does not
    train.

    Args:
        activation: The name of φ.
        weight_variance: σ_w².
        bias_variance: σ_b².

    Returns:
        ξ_c in layers; NaN if the variance has no finite fixed point.
    """
    q, slope = fixed_point(activation, weight_variance, bias_variance)
    if not math.isfinite(q):
        return math.nan
    if slope > 1:
        from scipy.optimize import brentq

        def gain(correlation: float) -> float:
            products, _ = _pair_moments(activation, q, correlation)
            return (weight_variance * products + bias_variance) / q - correlation

        below_one = 1 - 1e-9
        if gain(0.0) >= 0 > gain(below_one):
            slope = weight_variance * _pair_moments(activation, q, brentq(gain, 0.0, below_one, xtol=1e-12))[1]
    return depth_scale(slope) / 2


def _pair_moments(activation: str, variance: float, correlation: float) -> tuple[float, float]:
    """Compute E[φ(u₁) φ(u₂)] and E[φ′(u₁) φ′(u₂)] for normal u₁ and u₂ of this variance and correlation."""
    first = _PAIR_ABSCISSAE[:, None]
    second = correlation * first + math.sqrt(1 - correlation**2) * _PAIR_ABSCISSAE[None, :]
    with np.errstate(all="ignore"):
        h, slope = _value_and_slope(activation, math.sqrt(variance) * first)
        other_h, other_slope = _value_and_slope(activation, math.sqrt(variance) * second)
    products, slopes = h * other_h, slope * other_slope
    return float(_PAIR_WEIGHTS @ products @ _PAIR_WEIGHTS), float(_PAIR_WEIGHTS @ slopes @ _PAIR_WEIGHTS)


def _value_and_slope(activation: str, z: Vector) -> tuple[Vector, Vector]:
    """Compute φ(z) and φ′(z)."""
    h, slope, scratch = (np.empty_like(z) for _ in range(3))
    ACTIVATIONS[activation].value(np, z, h, scratch)
    ACTIVATIONS[activation].derivative(np, z, h, slope, scratch)
    return h, slope


def _gaussian_rule(nodes_a_side: int) -> tuple[Vector, Vector]:
    """Return abscissae and weights for integrals over the standard normal density, split into two intervals at 0."""
    nodes, weights = np.polynomial.legendre.leggauss(nodes_a_side)
    right = (nodes + 1) * (INTEGRATION_LIMIT / 2)
    density = weights * (INTEGRATION_LIMIT / 2) * np.exp(-(right**2) / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-right[::-1], right]), np.concatenate([density[::-1], density])


_ABSCISSAE, _WEIGHTS = _gaussian_rule(NODES)
_PAIR_ABSCISSAE, _PAIR_WEIGHTS = _gaussian_rule(PAIR_NODES)
