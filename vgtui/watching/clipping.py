"""What clipping did to the gradients of a step, from their norms before and after it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

BEFORE = "before clipping"
"""The field for the norms of the gradients as backpropagation gave them, beside the fields of LayerMeasurements."""
TOLERANCE = 1e-3
"""Norms before and after that differ by a smaller share were not clipped."""


class Clipping:
    """Tells the gradients as they were made from what clipping left of them.

    Only the last layer's gradient is measured before clipping until a step was clipped; from then on all are.
    """

    def __init__(self, layers: int, is_visible: bool) -> None:
        """Begin with the last layer.

        Args:
            layers: The number of layers.
            is_visible: Whether a gradient is whole when it is made. It is not where processes exchange theirs.
        """
        self._layers = layers
        self.measured: Iterable[int] = range(layers - 1, layers) if is_visible else ()
        """The layers whose gradients are to be measured before clipping."""

    def undo(self, fields: dict[str, Any], scale: float, knows_scale: bool) -> float | None:
        """Turn grad_norm and delta_norm into what backpropagation gave, without the loss's scale, before clipping.

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
        if made is None:
            return None
        left = fields["grad_norm"]
        seen = ~(np.ma.getmaskarray(made) | np.ma.getmaskarray(left))
        before, after = np.ma.getdata(made) / scale, np.ma.getdata(left)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factor = float(np.linalg.norm(after[seen]) / np.linalg.norm(before[seen]))
        if abs(factor - 1) <= TOLERANCE:
            return 1.0
        if not knows_scale:  # the scale or clipping may have changed it
            fields.pop("delta_norm", None)
            return None
        if seen.sum() == np.sum(~np.ma.getmaskarray(left)):  # every layer was measured, not the last one alone
            fields["grad_norm"] = np.ma.MaskedArray(np.where(seen, before, after), mask=np.ma.getmaskarray(left))
        if not np.isfinite(factor):
            return None
        self.measured = range(self._layers)
        return factor
