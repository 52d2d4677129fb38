"""Does the gradient reach a layer? Each layer's gradient norm against a reference, and a word for it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.verdict import BOUNDS, Health, Verdict

LEARNING = ("healthy", "converged")
"""The verdicts under which layers learn."""
NEAREST = 3
"""The fewest layers next to the loss whose median is the reference; a small head beside them does not move it."""


def layer_health(
    grad_norm: NDArray[np.float64],
    verdict: Verdict,
    is_matrix: Sequence[bool] | None = None,
    ties: Sequence[str] = (),
) -> list[Health]:
    """Describe the health of every layer in a word.

    Args:
        grad_norm: The gradient norm of every weight layer, (layers,), masked where it is unknown.
        verdict: The verdict on the same step: a layer is "learning" where something is learned, and else "reached".
        is_matrix: Which layers are matrices; None of vgtui's own network. Of a model, only a matrix is "weak",
            "vanished" or "exploding" by comparison.
        ties: How each layer is tied to the training; empty if all are trained.

    Returns:
        A word per layer, by its norm relative to the reference. "exploding" also follows from the norm alone.
    """
    reference = reference_norm(grad_norm, is_matrix)
    references = np.where(is_matrix if is_matrix is not None else True, reference, np.nan)
    words = [
        _health(norm, own, learns=verdict.kind in LEARNING)
        for norm, own in zip(grad_norm.tolist(), np.broadcast_to(references, grad_norm.shape).tolist(), strict=True)
    ]
    return ["frozen" if tie == "frozen" else word for word, tie in zip(words, ties or words, strict=True)]


def reference_norm(grad_norm: NDArray[np.float64], is_matrix: Sequence[bool] | None = None) -> float:
    """Return the gradient norm to which the others are compared.

    Args:
        grad_norm: The gradient norm of every weight layer, (layers,), masked where it is unknown.
        is_matrix: Which layers are matrices. Without it the layers are vgtui's own, and the output layer is the
            reference; with it, the median of the matrices nearest to the loss, a third of them and NEAREST at least.

    Returns:
        The norm; NaN if none is known.
    """
    known = ~np.ma.getmaskarray(grad_norm)
    if is_matrix is None:
        norms = np.ma.getdata(grad_norm)[known]
        return float(norms[-1]) if len(norms) else float("nan")
    matrices = np.ma.getdata(grad_norm)[known & np.asarray(is_matrix, dtype=bool)]
    if not len(matrices):
        return reference_norm(grad_norm)
    if len(matrices) <= NEAREST:  # too few for a median: the last one
        return float(matrices[-1])
    return float(np.median(matrices[-max(NEAREST, len(matrices) // 3) :]))


def output_norm(grad_norm: NDArray[np.float64]) -> float:
    """Return the output layer's gradient norm, the last one known, or NaN if none is."""
    return reference_norm(grad_norm)


def _health(norm: float | None, reference: float, learns: bool) -> Health:
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
    return "learning" if learns else "reached"
