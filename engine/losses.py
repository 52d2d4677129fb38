"""Softmax cross-entropy over the batch: its error signal for every step, its value for a measurement."""

from typing import Any

from engine.arrays import Array


def softmax_cross_entropy_delta(xp: Any, logits: Array, targets: Array, out: Array) -> None:
    """∂E/∂logits of the mean cross-entropy E, (softmax − target) / batch.

    logits, targets (one-hot), out: (classes, batch).
    """
    xp.subtract(logits, xp.max(logits, axis=0), out=out)
    xp.exp(out, out=out)
    xp.divide(out, xp.sum(out, axis=0), out=out)
    xp.subtract(out, targets, out=out)
    xp.divide(out, logits.shape[1], out=out)


def softmax_cross_entropy(xp: Any, logits: Array, targets: Array) -> Array:
    """The mean cross-entropy E over the batch, as a 0-d float64 array on the backend's device."""
    wide = logits.astype(xp.float64)
    wide = wide - xp.max(wide, axis=0)
    log_normalizer = xp.log(xp.sum(xp.exp(wide), axis=0))
    return xp.mean(log_normalizer - xp.sum(wide * targets, axis=0))
