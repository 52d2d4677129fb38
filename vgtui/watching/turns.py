"""Which layers a sampled step measures: all of them, or where that is too dear, some in each sampled step in turn."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WITH_ALL = ("noise_scale", "max_attention_logit")
"""Fields that are measured only where all layers are; they keep their last numbers meanwhile."""
LEAST_SHARE = 0.1
"""The share of a turn's time that its layers are taken for at least."""
LEAST = 2**16
"""The entries whose measurement costs as much as what every layer costs, however small."""


class Turns:
    """Goes round the layers of a model, and keeps the last numbers of those whose turn it is not."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Begin with a round of a single turn.

        Args:
            sizes: The number of weights of each layer.
        """
        self._costs = np.array([size + LEAST for size in sizes], np.float64)
        """What each layer costs: by its size at first, then as it was measured, in seconds."""
        self._last: dict[str, NDArray[np.float64]] = {}
        self._ahead: list[range] = []
        self._seconds: list[tuple[range, float]] = []
        """The turns of the present round, and what they took."""
        self.whole_took = 0.0
        """Seconds that a turn of all layers takes."""
        self.turn_took = 0.0
        """Seconds that each turn takes, however few layers it has."""

    @property
    def all(self) -> range:
        """All layers."""
        return range(len(self._costs))

    def take(self, parts: int) -> range:
        """Return the layers of the coming sampled step.

        Args:
            parts: The number of turns of a round, if one begins now.
        """
        if not self._ahead:
            self._ahead = self._split(parts)
        return self._ahead.pop(0)

    def took(self, seconds: float, turn: range) -> None:
        """Note how long a turn's measurement took."""
        if turn == self.all:
            self._seconds.clear()
            self.whole_took = seconds
            return
        self._seconds.append((turn, seconds))
        if not self.is_last(turn):
            return
        taken, self._seconds = self._seconds, []
        if len(taken) > 1 and taken[0][0].start == 0:
            total = sum(seconds for _, seconds in taken)
            self.turn_took = max(0.0, total - self.whole_took) / (len(taken) - 1)
            for places, each in taken:
                part = self._costs[places.start : places.stop]
                part *= max(each - self.turn_took, LEAST_SHARE * each) / part.sum()

    def is_last(self, turn: range) -> bool:
        """Return whether a turn ends its round."""
        return turn.stop == len(self._costs)

    def complete(self, fields: dict[str, NDArray[np.float64]], turn: range) -> dict[str, NDArray[np.float64]]:
        """Give the layers whose turn it is not the numbers that they had last.

        Args:
            fields: A number for each layer by field, masked where unknown.
            turn: The layers that were measured.

        Returns:
            The same fields, and those of the other layers.
        """
        if len(turn) == len(self._costs):
            self._last = fields
            return fields
        found: dict[str, NDArray[np.float64]] = {}
        for name in self._last.keys() | fields.keys():
            if name in WITH_ALL and name in self._last:
                found[name] = self._last[name]
                continue
            values, mask = _copied(self._last.get(name), len(self._costs))
            new, is_unknown = _copied(fields.get(name), len(self._costs))
            values[turn.start : turn.stop] = new[turn.start : turn.stop]
            mask[turn.start : turn.stop] = is_unknown[turn.start : turn.stop]
            found[name] = np.ma.MaskedArray(values, mask=mask) if mask.any() else values
        self._last = found
        return found

    def _split(self, parts: int) -> list[range]:
        """Divide the layers into turns that cost about the same."""
        ends = np.cumsum(self._costs)
        bounds = np.searchsorted(ends, np.linspace(0, ends[-1], parts + 1)[1:-1], side="left") + 1
        # one layer may cost more than all others together
        bounds = np.clip(bounds, 1, max(1, len(self._costs) - 1))
        edges = sorted({0, len(self._costs), *map(int, bounds)})
        return [range(first, last) for first, last in pairwise(edges)]


def _copied(values: NDArray[np.float64] | None, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return copies of the numbers of a field and of where they are unknown; of None, all are."""
    if values is None:
        return np.zeros(count), np.ones(count, np.bool_)
    return np.array(np.ma.getdata(values)), np.array(np.ma.getmaskarray(values))
