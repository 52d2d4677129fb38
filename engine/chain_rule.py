"""The chain rule, measured: the factor by which each layer changes the error signal, and what causes it.

‖δ_l‖ / ‖δ_{l+1}‖ is what one layer contributes to the product that makes gradients vanish or explode. It is split into
the activation's part, the root mean square of φ′(z_l), and the rest, which comes from the weights (and from BatchNorm
and skip connections where the network has them).
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
    """The factors of the chain rule, one entry per weight layer.

    Attributes:
        factor: ‖δ_l‖ / ‖δ_{l+1}‖ = activation · weights. Masked at the output, and where the divisor is 0.
        activation: The root mean square of φ′(z_l). Masked at the output.
        weights: The rest of the factor. Masked where `factor` is, and where `activation` is 0.
        product: ‖δ_l‖ / ‖δ_N‖, the product of the factors of this layer and of all layers above it; 1 at the output.
        bound: The most that the derivatives alone allow, (max |φ′|)ⁿ with n activations between here and the output.
            None where it says nothing: max |φ′| is 1 or more, or skip connections or BatchNorm bypass it.
    """

    factor: Values
    activation: Values
    weights: Values
    product: Values
    bound: Values | None


def chain_rule(network: NetworkConfig, layers: LayerMeasurements) -> ChainRule:
    """Compute the factors of a measurement.

    Args:
        network: The configuration of the measured network.
        layers: The measurement.

    Returns:
        The factors. NaN and ∞ are kept; a factor below a layer whose error signal is 0 is masked.
    """
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


def _ratio(dividend: NDArray[np.float64], divisor: NDArray[np.float64] | np.float64) -> Values:
    """Divide two vectors; the result is masked where the divisor is 0."""
    mask = np.broadcast_to(np.equal(divisor, 0), dividend.shape).copy()
    return np.ma.MaskedArray(np.divide(dividend, divisor), mask=mask)
