"""A look inside one layer: how its activations, weights and weight gradients are distributed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 48


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many finite values fall into each of equal bins from `low` to `high`, which are the least and the greatest.

    zeros: values of exactly 0, which are in their bin too. non_finite: NaN and ∞, which are in none.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    zeros: int
    non_finite: int

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Histogram":
        """Of an array of any shape, on the host."""
        flat = values.ravel().astype(np.float64)
        finite = flat[np.isfinite(flat)]
        zeros, non_finite = int(np.count_nonzero(finite == 0)), len(flat) - len(finite)
        if not len(finite):
            return cls(0.0, 0.0, (0,) * BINS, 0, non_finite)
        low, high = float(finite.min()), float(finite.max())
        # scaled first: the span of numbers near the largest float would be ∞
        scale = max(abs(low), abs(high)) or 1.0
        span = high / scale - low / scale or 1.0
        bins = ((finite / scale - low / scale) / span * BINS).astype(np.intp)
        counts = np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)
        return cls(low, high, tuple(counts.tolist()), zeros, non_finite)


@dataclass(frozen=True, slots=True)
class Inspection:
    """A layer on the batch of the coming update: its outputs h (the logits at the last), weights W and ∂E/∂W."""

    layer: int
    activations: Histogram
    weights: Histogram
    gradients: Histogram
