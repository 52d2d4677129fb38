"""Layers in turn: where measuring all layers in one step is too dear, each step measures a part of them."""

from collections.abc import Collection, Mapping, Set

import numpy as np
from numpy.typing import NDArray


class Turns:
    """Decides which layers a step measures, and keeps the last numbers of the others."""

    def __init__(self, layers: int) -> None:
        """Begin with all of them.

        Args:
            layers: The number of layers.
        """
        self._layers = layers
        self._turn = 0
        self._known: dict[str, NDArray[np.float64]] = {}

    def choose(self, parts: int, always: Collection[int] = ()) -> Set[int] | None:
        """Return the layers that the coming step measures; None if it is all of them.

        Args:
            parts: The number of steps in which each layer is to be measured once.
            always: Layers that each step measures.
        """
        if parts <= 1 or not self._known:
            return None
        self._turn = (self._turn + 1) % parts
        return frozenset(range(self._turn, self._layers, parts)) | frozenset(always)

    def complete(
        self, fields: Mapping[str, NDArray[np.float64]], fresh: Set[int] | None
    ) -> dict[str, NDArray[np.float64]]:
        """Return the numbers of a step with the last ones of the layers that it did not measure.

        Args:
            fields: A number for each layer by field, masked where unknown. One that is measured with all layers alone
                stays as it was.
            fresh: The layers that were measured; None if it was all of them.
        """
        if fresh is None:
            self._known = dict(fields)
            return self._known
        is_fresh = np.isin(np.arange(self._layers), list(fresh))
        unknown = np.ma.MaskedArray(np.zeros(self._layers), mask=True)
        for name, new in fields.items():
            old = self._known.get(name, unknown)
            mask = np.where(is_fresh, np.ma.getmaskarray(new), np.ma.getmaskarray(old))
            self._known[name] = np.ma.MaskedArray(np.where(is_fresh, np.ma.getdata(new), np.ma.getdata(old)), mask=mask)
        return dict(self._known)
