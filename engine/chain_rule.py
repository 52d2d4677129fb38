"""The chain rule, measured: by which factor the error signal changes from each layer to the one before it, and why.

‖δ_l‖ / ‖δ_{l+1}‖ is what one layer contributes to the product that makes gradients vanish or explode. It is split
into what the activation gives, the root mean square of φ′(z_l), and the rest, which the weights give (with BatchNorm
and skip connections where there are any).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.activations import ACTIVATIONS
from engine.config import NetworkConfig
from engine.telemetry import LayerMeasurements

Values: TypeAlias = np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class ChainRule:
    """One entry a weight layer. factor = activation · weights; masked at the output, and where it would be 0/0.

    product: ‖δ_l‖ / ‖δ_N‖, the product of the factors of this layer and of all above it; 1 at the output.
    bound: what the derivatives alone allow at most, (max |φ′|)ⁿ with n activations from here to the output; None where
    that says nothing, because max |φ′| is 1 or more, or because skip connections or BatchNorm bypass it.
    """

    factor: Values
    activation: Values
    weights: Values
    product: Values
    bound: Values | None


def chain_rule(network: NetworkConfig, layers: LayerMeasurements) -> ChainRule:
    """The factors of a measurement. NaN and ∞ stay what they are; under an error signal of 0 a factor is unknown."""
    signals, last = layers.delta_norm, len(layers.delta_norm) - 1
    slopes = np.ma.MaskedArray(layers.derivative_rms, mask=np.arange(last + 1) == last)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = _ratio(signals, np.append(signals[1:], 0.0))
        weights = _ratio(factor.data, slopes.data)
        weights.mask |= factor.mask
        product = _ratio(signals, signals[-1])
    steepest = ACTIVATIONS[network.activation].largest_derivative
    bypassed = network.skip_connections or network.batch_norm
    bound = None
    if steepest < 1 and not bypassed:
        bound = np.ma.MaskedArray(steepest ** np.arange(last, -1, -1, dtype=np.float64), mask=False)
    return ChainRule(factor, slopes, weights, product, bound)


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64] | np.float64) -> Values:
    """one / other, masked where other is 0."""
    return np.ma.MaskedArray(np.divide(one, other), mask=np.broadcast_to(np.equal(other, 0), one.shape).copy())
