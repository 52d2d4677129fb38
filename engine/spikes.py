"""Does a number stand out from those before it? Robustly: a spike does not raise the bound for the next one."""

import math
from collections import deque

import numpy as np

WINDOW = 128
"""The values before a number that it is compared with."""
SIGMAS = 6.0
"""The standard deviations above the median from which a number is a spike."""
MIN_VALUES = 32
"""Values before which nothing is a spike: the spread of fewer is not known."""
TO_SIGMA = 1.4826
"""The standard deviation of normal numbers, over the median of their distances to the median."""


class Spikes:
    """Finds the spikes among numbers that come one by one."""

    def __init__(self, *, is_logarithmic: bool = False) -> None:
        """Begin without any number.

        Args:
            is_logarithmic: Whether the logarithms are compared, as of norms, which spread over decades. Their least
                spread is 5 %; that of other numbers is 1 % of the median, so that what hardly moves has no spikes.
        """
        self._is_logarithmic = is_logarithmic
        self._values: deque[float] = deque(maxlen=WINDOW)

    def add(self, value: float) -> float:
        """Take in a number.

        Args:
            value: The number. One that is not finite, or a logarithm that does not exist, is passed over.

        Returns:
            By how many standard deviations it lies above the median of those before it if it is a spike, else 0.
        """
        if not math.isfinite(value) or (self._is_logarithmic and value <= 0):
            return 0.0
        number = math.log(value) if self._is_logarithmic else value
        found = 0.0
        if len(self._values) >= MIN_VALUES:
            values = np.array(self._values)
            median = float(np.median(values))
            least = 0.05 if self._is_logarithmic else 0.01 * abs(median)
            sigma = max(TO_SIGMA * float(np.median(np.abs(values - median))), least)
            rise = number - median
            found = rise / sigma if sigma > 0 and rise > SIGMAS * sigma else 0.0
        self._values.append(number)
        return found
