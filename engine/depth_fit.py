"""The depth scale of a measured network, the counterpart of `engine.theory.depth_scale`."""

import math

import numpy as np
from numpy.typing import NDArray

MIN_LAYERS = 3
"""Hidden layers that are needed to fit a slope."""


def fitted_depth_scale(delta_norm: NDArray[np.float64]) -> float:
    """Fit the number of layers over which the error signal changes by a factor of e.

    The fit is a least-squares line through ln ‖δ_l‖. The output layer, whose width differs, is left out, as are layers
    whose norm is 0 or not finite.

    Args:
        delta_norm: ‖δ_l‖ of every weight layer, (N + 1,).

    Returns:
        The depth scale in layers; NaN if fewer than MIN_LAYERS layers remain, ∞ if the signal does not change.
    """
    hidden = delta_norm[:-1]
    layers = np.flatnonzero((hidden > 0) & np.isfinite(hidden))
    if len(layers) < MIN_LAYERS:
        return math.nan
    log_norms = np.log(hidden[layers])
    centred = layers - layers.mean()
    slope = float(centred @ (log_norms - log_norms.mean()) / (centred @ centred))
    return math.inf if slope == 0 else 1 / abs(slope)
