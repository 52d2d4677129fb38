"""The heat map: layers by time as numbers to be coloured, as many bands and columns as there is room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgtui.charts.strip_chart import points_per_dot
from vgtui.model.history import History
from vgtui.model.quantities import Quantity


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """levels[band, column]: the least log10 of a band of neighbouring layers in a span of time; the output is on top.

    −∞ is an exact 0, NaN and ∞ are what they say. known is False where no frame is, or no such layer was.

    Attributes:
        layers: The layers of each band.
        marks: Columns in which something was changed.
    """

    levels: NDArray[np.float32]
    known: NDArray[np.bool_]
    layers: Sequence[range]
    marks: frozenset[int]


def heat_map(history: History, quantity: Quantity, columns: int, most_bands: int) -> HeatMap:
    """The whole history in at most `columns` columns and `most_bands` bands; neighbours share a cell by their least."""
    bands = bands_of(history.layers, most_bands)
    starts = np.array([band.start for band in reversed(bands)])
    per_column = points_per_dot(history.length, columns)
    times = np.arange(0, history.length, per_column)
    least, greatest = history.least(quantity), history.greatest(quantity)
    if len(times):
        least = np.minimum.reduceat(np.minimum.reduceat(least, times, axis=0), starts, axis=1)
        greatest = np.maximum.reduceat(np.maximum.reduceat(greatest, times, axis=0), starts, axis=1)
    levels = np.full((len(bands), columns), np.nan, np.float32)
    known = np.zeros((len(bands), columns), np.bool_)
    levels[:, : len(times)] = least.T[::-1]
    known[:, : len(times)] = ~(least > greatest).T[::-1]
    return HeatMap(levels, known, bands, frozenset(mark // per_column for mark in history.marks))


def bands_of(layers: int, most_bands: int) -> list[range]:
    """The layers of each band, the band at the output first: one each where there is room, else as even as can be."""
    bands = min(layers, most_bands)
    ends = [number * layers // bands for number in range(bands + 1)]
    return [range(start, end) for start, end in pairwise(ends)][::-1]
