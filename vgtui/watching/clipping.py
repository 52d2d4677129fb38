"""What clipping did to the gradients of a step, from their norms before and after it."""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEFORE = "before clipping"
"""The field for the norms of the gradients as backpropagation gave them, beside the fields of LayerMeasurements."""
TOLERANCE = 1e-3
"""Norms before and after that differ by a smaller share were not clipped."""
SAME = 1e-5
"""The share by which the factors of layers may differ that were all clipped by one."""


class Clipping:
    """Tells the gradients as they were made from what clipping left of them.

    At first, all layers are measured before clipping. As long as nothing is clipped, it is three of them from then on:
    the first, the last, and the one with the largest gradient.
    """

    def __init__(self, layers: int, is_visible: bool) -> None:
        """Begin with all layers.

        Args:
            layers: The number of layers.
            is_visible: Whether a gradient is whole when it is made. It is not where processes exchange theirs.
        """
        self._layers = layers
        self.measured: Collection[int] = range(layers) if is_visible else ()
        """The layers whose gradients are to be measured before clipping."""

    def undo(self, fields: dict[str, Any], scale: float, knows_scale: bool) -> float | None:
        """Turn grad_norm and delta_norm into what backpropagation gave, without the loss's scale, before clipping.

        What was not measured before clipping is divided by the factor of what was, if that is one; else it is unknown.

        Args:
            fields: A norm for each layer by field, of which BEFORE is removed.
            scale: The factor by which the loss was multiplied.
            knows_scale: Whether that factor is known, so that a difference is due to clipping.

        Returns:
            The norm of all gradients after clipping, over that before. None if it is unknown.
        """
        made = fields.pop(BEFORE, None)
        if "delta_norm" in fields:
            fields["delta_norm"] = fields["delta_norm"] / scale
        if made is None or "grad_norm" not in fields:
            return None
        left = fields["grad_norm"]
        is_left = ~np.ma.getmaskarray(left)
        seen = ~np.ma.getmaskarray(made) & is_left
        before, after = np.ma.getdata(made) / scale, np.ma.getdata(left)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factor = float(np.linalg.norm(after[seen]) / np.linalg.norm(before[seen]))
            factors = (after / before)[seen & (before > 0)]
        if abs(factor - 1) <= TOLERANCE:
            self._measure_few(after, seen)
            return 1.0
        if not knows_scale:  # the scale or clipping may have changed it
            fields.pop("delta_norm", None)
            return None
        if not np.isfinite(factor):
            return None
        is_one = len(factors) > 1 and np.ptp(factors) <= SAME * factor and factor > 0
        others = after / factor if is_one else after
        mask = ~seen if not is_one else ~is_left
        fields["grad_norm"] = np.ma.MaskedArray(np.where(seen, before, others), mask=mask)
        self.measured = range(self._layers)
        return factor

    def _measure_few(self, norms: NDArray[np.float64], seen: NDArray[np.bool_]) -> None:
        places = np.flatnonzero(seen)
        if len(places):
            self.measured = sorted({int(places[0]), int(places[-1]), int(places[np.argmax(norms[places])])})
