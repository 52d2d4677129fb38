"""BatchNorm: forward and backward side by side (Ioffe & Szegedy 2015, algorithm 1).

Arrays are units × batch, as everywhere in the engine: the samples of a unit are contiguous.
"""

from dataclasses import dataclass

from engine.arrays import Array, ArrayModule

EPSILON = 1e-5
"""Added to a variance before its root is taken, as in PyTorch."""
RUNNING_MOMENTUM = 0.1
"""The weight of a batch in the running statistics, as in PyTorch."""


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """What the forward pass of a layer leaves for its backward pass.

    Attributes:
        standardized: The standardized pre-activations, (units, batch).
        mean: The mean over the batch, (units,).
        variance: The biased variance over the batch, (units,).
        inverse_deviation: 1 / √(variance + EPSILON), (units,).
    """

    standardized: Array
    mean: Array
    variance: Array
    inverse_deviation: Array


def batch_norm_forward(
    xp: ArrayModule, gain: Array, shift: Array, averaging: Array, statistics: BatchStatistics, out: Array
) -> None:
    """Standardize each unit over the batch, then scale and shift it (Ioffe & Szegedy 2015, algorithm 1).

    Args:
        xp: The array module.
        gain: The scale of each unit, (units,).
        shift: The shift of each unit, (units,).
        averaging: (batch,), each entry 1/batch, so that a mean is one matrix-vector product. The batch must have at
            least two samples.
        statistics: `standardized` holds the pre-activations on entry; all arrays are filled on return.
        out: Receives the output, (units, batch).
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
    xp: ArrayModule,
    delta: Array,
    gain: Array,
    averaging: Array,
    statistics: BatchStatistics,
    gain_gradient: Array,
    shift_gradient: Array,
    out: Array,
) -> None:
    """Compute ∂E/∂(input) from ∂E/∂(output), and the gradients of gain and shift.

    Args:
        xp: The array module.
        delta: ∂E/∂(output), (units, batch).
        gain: The scale of each unit, (units,).
        averaging: (batch,), each entry 1/batch.
        statistics: As the forward pass left them.
        gain_gradient: Receives ∂E/∂gain, (units,).
        shift_gradient: Receives ∂E/∂shift, (units,).
        out: Receives ∂E/∂(input), (units, batch).
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


def update_running(xp: ArrayModule, running: Array, batch_mean: Array, batch_variance: Array, batch: int) -> None:
    """Move the running statistics towards those of a batch.

    Args:
        xp: The array module.
        running: Running mean and variance, (2, layers, units), updated in place. As in PyTorch, the running variance is
            the unbiased one.
        batch_mean: (layers, units).
        batch_variance: The biased variance, (layers, units).
        batch: The number of samples in the batch.
    """
    running *= 1 - RUNNING_MOMENTUM
    running[0] += RUNNING_MOMENTUM * batch_mean
    running[1] += (RUNNING_MOMENTUM * batch / (batch - 1)) * batch_variance


def batch_norm_evaluate(
    xp: ArrayModule, z: Array, gain: Array, shift: Array, running_mean: Array, running_variance: Array
) -> None:
    """Normalize pre-activations by the running statistics, in place.

    Args:
        xp: The array module.
        z: Pre-activations, (units, samples).
        gain: The scale of each unit, (units,).
        shift: The shift of each unit, (units,).
        running_mean: (units,).
        running_variance: (units,).
    """
    scale = gain / xp.sqrt(running_variance + EPSILON)
    xp.multiply(z, scale[:, None], out=z)
    xp.add(z, (shift - running_mean * scale)[:, None], out=z)
