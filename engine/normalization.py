"""BatchNorm: forward and backward side by side (Ioffe & Szegedy 2015, algorithm 1).

Arrays are units × batch, as everywhere in the engine: a unit's samples lie side by side.
"""

from dataclasses import dataclass
from typing import Any

from engine.arrays import Array

EPSILON = 1e-5
RUNNING_MOMENTUM = 0.1


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """What the forward pass of one layer leaves for the backward pass: (units, batch), then three of (units,)."""

    standardized: Array
    mean: Array
    variance: Array
    inverse_deviation: Array


def batch_norm_forward(
    xp: Any, gain: Array, shift: Array, averaging: Array, statistics: BatchStatistics, out: Array
) -> None:
    """Standardise each unit over the batch, then scale and shift it.

    statistics.standardized holds the pre-activations, (units, batch), on entry and their standardised form on
    return. gain, shift: (units,). averaging: (batch,), 1/batch each, so that a mean is one matrix-vector product.
    Writes (units, batch) into out. The variance is the biased one. The batch must be 2 or more.
    """
    z = statistics.standardized
    xp.matmul(z, averaging, out=statistics.mean)
    xp.subtract(z, statistics.mean[:, None], out=z)
    xp.multiply(z, z, out=out)
    xp.matmul(out, averaging, out=statistics.variance)
    xp.add(statistics.variance, EPSILON, out=statistics.inverse_deviation)
    xp.sqrt(statistics.inverse_deviation, out=statistics.inverse_deviation)
    xp.reciprocal(statistics.inverse_deviation, out=statistics.inverse_deviation)
    xp.multiply(z, statistics.inverse_deviation[:, None], out=z)
    xp.multiply(z, gain[:, None], out=out)
    xp.add(out, shift[:, None], out=out)


def batch_norm_backward(
    xp: Any,
    delta: Array,
    gain: Array,
    averaging: Array,
    statistics: BatchStatistics,
    gain_gradient: Array,
    shift_gradient: Array,
    out: Array,
) -> None:
    """From ∂E/∂(output) to ∂E/∂(input), and the gradients of gain and shift.

    delta: (units, batch). Writes (units, batch) into out, (units,) into both gradients.
    """
    batch = averaging.shape[0]
    xp.multiply(delta, statistics.standardized, out=out)
    xp.matmul(out, averaging, out=gain_gradient)
    xp.matmul(delta, averaging, out=shift_gradient)
    xp.multiply(statistics.standardized, gain_gradient[:, None], out=out)
    xp.subtract(delta, out, out=out)
    xp.subtract(out, shift_gradient[:, None], out=out)
    xp.multiply(out, (gain * statistics.inverse_deviation)[:, None], out=out)
    xp.multiply(gain_gradient, batch, out=gain_gradient)
    xp.multiply(shift_gradient, batch, out=shift_gradient)


def update_running(xp: Any, running: Array, batch_mean: Array, batch_variance: Array, batch: int) -> None:
    """Move the running mean and variance, (2, layers, units), towards the batch's.

    As in PyTorch, the variance that is remembered is the unbiased one.
    """
    running *= 1 - RUNNING_MOMENTUM
    running[0] += RUNNING_MOMENTUM * batch_mean
    running[1] += (RUNNING_MOMENTUM * batch / (batch - 1)) * batch_variance


def batch_norm_evaluate(
    xp: Any, z: Array, gain: Array, shift: Array, running_mean: Array, running_variance: Array
) -> None:
    """Normalise z, (units, samples), in place by the running statistics, (units,) each."""
    scale = gain / xp.sqrt(running_variance + EPSILON)
    xp.multiply(z, scale[:, None], out=z)
    xp.add(z, (shift - running_mean * scale)[:, None], out=z)
