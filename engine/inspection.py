"""A look inside a layer: the distributions of its activations, weights and weight gradients."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 48
"""Bins of a histogram."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram over BINS bins of equal width.

    Attributes:
        low: The smallest finite value, where the first bin begins.
        high: The largest finite value, where the last bin ends.
        counts: The number of finite values in each bin.
        zeros: How many values are exactly 0; their bin counts them too.
        non_finite: How many values are NaN or ∞; no bin counts them.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    zeros: int
    non_finite: int

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Histogram":
        """Make the histogram of a host array of any shape."""
        flat = values.ravel().astype(np.float64)
        finite = flat[np.isfinite(flat)]
        zeros, non_finite = int(np.count_nonzero(finite == 0)), len(flat) - len(finite)
        if not len(finite):
            return cls(0.0, 0.0, (0,) * BINS, 0, non_finite)
        low, high = float(finite.min()), float(finite.max())
        # scale first: the span of values near the largest float would overflow
        scale = max(abs(low), abs(high)) or 1.0
        span = high / scale - low / scale or 1.0
        bins = ((finite / scale - low / scale) / span * BINS).astype(np.intp)
        counts = np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)
        return cls(low, high, tuple(counts.tolist()), zeros, non_finite)


@dataclass(frozen=True, slots=True)
class Inspection:
    """The distributions in one weight layer, on the batch of the next update.

    Attributes:
        layer: The weight layer, counted from 0 at the input.
        activations: Its outputs h; the logits for the output layer.
        weights: Its weights W, without biases.
        gradients: ∂E/∂W.
    """

    layer: int
    activations: Histogram
    weights: Histogram
    gradients: Histogram
