"""Softmax cross-entropy over the batch: its error signal, for every step, and its value, for measurements."""

from engine.arrays import Array, ArrayModule


def softmax_cross_entropy_delta(xp: ArrayModule, logits: Array, targets: Array, out: Array) -> None:
    """Compute ∂E/∂logits of the mean cross-entropy E: (softmax − target) / batch.

    Args:
        xp: The array module.
        logits: (classes, batch).
        targets: One-hot, (classes, batch).
        out: Receives the error signal, (classes, batch).
    """
    xp.subtract(logits, xp.max(logits, axis=0), out=out)
    xp.exp(out, out=out)
    xp.divide(out, xp.sum(out, axis=0), out=out)
    xp.subtract(out, targets, out=out)
    xp.divide(out, logits.shape[1], out=out)


def softmax_cross_entropy(xp: ArrayModule, logits: Array, targets: Array) -> Array:
    """Compute the mean cross-entropy E over the batch.

    Args:
        xp: The array module.
        logits: (classes, batch).
        targets: One-hot, (classes, batch).

    Returns:
        A 0-d float64 array on the device.
    """
    wide = logits.astype(xp.float64)
    wide = wide - xp.max(wide, axis=0)
    log_normalizer = xp.log(xp.sum(xp.exp(wide), axis=0))
    return xp.mean(log_normalizer - xp.sum(wide * targets, axis=0))
