"""Does the gradient reach a layer? Each layer's gradient norm against a reference, and a word for it."""

import numpy as np
from numpy.typing import NDArray

from engine.verdict import BOUNDS, Health


def layer_health(grad_norm: NDArray[np.float64]) -> list[Health]:
    """Describe the health of every layer in a word.

    Args:
        grad_norm: The gradient norm of every weight layer, (layers,), masked where it is unknown.

    Returns:
        A word per layer, by its norm relative to the output layer's. "exploding" also follows from the norm alone.
    """
    reference = output_norm(grad_norm)
    return [_health(norm, reference) for norm in grad_norm.tolist()]


def output_norm(grad_norm: NDArray[np.float64]) -> float:
    """Return the gradient norm to which the others are compared: the last one known, or NaN if none is."""
    known = grad_norm.compressed() if isinstance(grad_norm, np.ma.MaskedArray) else grad_norm
    return float(known[-1]) if len(known) else float("nan")


def _health(norm: float | None, reference: float) -> Health:
    if norm is None:
        return "unknown"
    if np.isnan(norm):
        return "NaN"
    if np.isinf(norm):
        return "infinite"
    if norm == 0:
        return "zero"
    if norm < BOUNDS["vanished"].value * reference:
        return "vanished"
    if norm < BOUNDS["vanishing"].value * reference:
        return "weak"
    if norm > BOUNDS["exploding"].value * reference or norm > BOUNDS["exploding norm"].value:
        return "exploding"
    return "learning"
