"""The depth scale of a measured network: the counterpart of `engine.theory.depth_scale`."""

import math

import numpy as np
from numpy.typing import NDArray

MIN_LAYERS = 3
"""Fewer hidden layers say nothing about a slope."""


def fitted_depth_scale(delta_norm: NDArray[np.float64]) -> float:
    """The number of layers over which the error signal changes by e, by least squares through ln ‖δ_l‖.

    delta_norm: every weight layer's, (N + 1,), of which the output layer's, with another width, is left out. A layer
    whose norm is 0 or not finite is left out too. NaN where fewer than three remain, ∞ where nothing changes.
    """
    hidden = delta_norm[:-1]
    layers = np.flatnonzero((hidden > 0) & np.isfinite(hidden))
    if len(layers) < MIN_LAYERS:
        return math.nan
    heights = np.log(hidden[layers])
    places = layers - layers.mean()
    slope = float(places @ (heights - heights.mean()) / (places @ places))
    return math.inf if slope == 0 else 1 / abs(slope)
