"""The heat map: layers by time as numbers to be coloured, as many bands and columns as there is room for."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgtui.charts.strip_chart import points_per_dot
from vgtui.training.history import History
from vgtui.training.quantities import Quantity


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """levels[band, column]: the least log10 of a band of neighbouring layers in a span of time; the output is on top.

    −∞ is an exact 0, NaN and ∞ are what they say. known is False where no frame is, or no such layer was.
    layers_per_band: how many layers share a band, counted from the input; the band at the output may have fewer. marks:
    columns in which something was changed.
    """

    levels: NDArray[np.float32]
    known: NDArray[np.bool_]
    layers_per_band: int
    marks: frozenset[int]

    def band_of(self, layer: int) -> int:
        """The band in which a layer is."""
        return len(self.levels) - 1 - layer // self.layers_per_band


def heat_map(history: History, quantity: Quantity, columns: int, most_bands: int) -> HeatMap:
    """The whole history in at most `columns` columns and `most_bands` bands; neighbours share a cell by their least."""
    layers_per_band = math.ceil(history.layers / most_bands)
    per_column = points_per_dot(history.length, columns)
    times = np.arange(0, history.length, per_column)
    bands = np.arange(0, history.layers, layers_per_band)
    least, greatest = history.least(quantity), history.greatest(quantity)
    if len(times):
        least = np.minimum.reduceat(np.minimum.reduceat(least, times, axis=0), bands, axis=1)
        greatest = np.maximum.reduceat(np.maximum.reduceat(greatest, times, axis=0), bands, axis=1)
    levels = np.full((len(bands), columns), np.nan, np.float32)
    known = np.zeros((len(bands), columns), np.bool_)
    levels[:, : len(times)] = least.T[::-1]
    known[:, : len(times)] = ~(least > greatest).T[::-1]
    return HeatMap(levels, known, layers_per_band, frozenset(mark // per_column for mark in history.marks))
