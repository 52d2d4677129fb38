"""Which layers a sampled step measures: all of them, or where that is too dear, some in each sampled step in turn."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WITH_ALL = ("noise_scale", "max_attention_logit")
"""Fields that are measured only where all layers are; they keep their last numbers meanwhile."""
LEAST = 2**16
"""The entries whose measurement costs as much as what every layer costs, however small."""


class Turns:
    """Goes round the layers of a model, and keeps the last numbers of those whose turn it is not."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Begin with a round of a single turn.

        Args:
            sizes: The number of weights of each layer.
        """
        self._ends = np.cumsum([size + LEAST for size in sizes])
        self._last: dict[str, NDArray[np.float64]] = {}
        self._ahead: list[range] = []
        self._parts = 1
        self._took = 0.0
        self.whole_took = 0.0
        """Seconds that the last round took."""

    @property
    def all(self) -> range:
        """All layers."""
        return range(len(self._ends))

    def take(self, parts: int) -> range:
        """Return the layers of the coming sampled step.

        Args:
            parts: The number of turns of a round, if one begins now.
        """
        if not self._ahead:
            self._ahead = self._split(parts)
            self._parts = len(self._ahead)
        return self._ahead.pop(0)

    def took(self, seconds: float, turn: range) -> None:
        """Note how long a turn's measurement took."""
        self._took += seconds
        if self.is_last(turn):
            self.whole_took, self._took = self._took, 0.0

    def is_last(self, turn: range) -> bool:
        """Return whether a turn ends its round."""
        return turn.stop == len(self._ends)

    def complete(self, fields: dict[str, NDArray[np.float64]], turn: range) -> dict[str, NDArray[np.float64]]:
        """Give the layers whose turn it is not the numbers that they had last.

        Args:
            fields: A number for each layer by field, masked where unknown.
            turn: The layers that were measured.

        Returns:
            The same fields, and those of the other layers.
        """
        if len(turn) == len(self._ends):
            self._last = fields
            return fields
        found: dict[str, NDArray[np.float64]] = {}
        for name in self._last.keys() | fields.keys():
            if name in WITH_ALL and name in self._last:
                found[name] = self._last[name]
                continue
            values, mask = _copied(self._last.get(name), len(self._ends))
            new, is_unknown = _copied(fields.get(name), len(self._ends))
            values[turn.start : turn.stop] = new[turn.start : turn.stop]
            mask[turn.start : turn.stop] = is_unknown[turn.start : turn.stop]
            found[name] = np.ma.MaskedArray(values, mask=mask) if mask.any() else values
        self._last = found
        return found

    def _split(self, parts: int) -> list[range]:
        """Divide the layers into turns that cost about the same."""
        bounds = np.searchsorted(self._ends, np.linspace(0, self._ends[-1], parts + 1)[1:-1], side="left") + 1
        edges = sorted({0, len(self._ends), *map(int, bounds)})
        return [range(first, last) for first, last in pairwise(edges)]


def _copied(values: NDArray[np.float64] | None, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return copies of the numbers of a field and of where they are unknown; of None, all are."""
    if values is None:
        return np.zeros(count), np.ones(count, np.bool_)
    return np.array(np.ma.getdata(values)), np.array(np.ma.getmaskarray(values))
