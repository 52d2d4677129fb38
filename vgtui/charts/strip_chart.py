"""The sparklines: one row of cells a layer, from the first frame to the newest, drawn a column at a time.

All layers stand in one plotext figure. A layer is centred on its own middle, and all have the same decades per cell, so
that height is change; what the level is, the caller says by colour, from `levels`. Only the newest column is drawn
anew, and a row or everything when its centre, the scale or the time axis changes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgtui.charts.canvas import DOTS_ACROSS, DOTS_DOWN, draw
from vgtui.model.history import History
from vgtui.model.quantities import Quantity

DECADES_PER_CELL = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
ZERO, NAN, INFINITE, MARK, CURSOR = "0", "!", "∞", "╎", "┃"
"""What stands in a cell where a gradient has no logarithm, where something was changed, and at the moment shown."""
SIGN_WORDS = {ZERO: "exact 0", NAN: "NaN", INFINITE: "infinite"}
"""What legends say of the signs for what has no logarithm."""


Shown: TypeAlias = slice | tuple[int, ...]
"""Layers, of those that a history has."""
Changes: TypeAlias = dict[int, tuple[int, int]]
"""Rows of cells, each with the first and last column that were drawn anew."""


@dataclass(frozen=True, slots=True)
class _Dots:
    """The history of a quantity as columns of dots: (points, layers) arrays, and the points with a mark."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    marks: frozenset[int]

    @classmethod
    def of(cls, history: History, quantity: Quantity, shown: Shown, per_dot: int) -> "_Dots":
        starts = np.arange(0, history.length, per_dot)
        layers = list(shown) if isinstance(shown, tuple) else shown
        return cls(
            np.minimum.reduceat(history.least(quantity)[:, layers], starts),
            np.maximum.reduceat(history.greatest(quantity)[:, layers], starts),
            frozenset(mark // per_dot for mark in history.marks),
        )

    def __len__(self) -> int:
        return len(self.low)

    def extent(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Every layer's least and greatest finite value; 0 and 0 for a layer that has none."""
        bottoms = np.min(self.low, axis=0, where=np.isfinite(self.low), initial=np.inf)
        tops = np.max(self.high, axis=0, where=np.isfinite(self.high), initial=-np.inf)
        empty = bottoms > tops
        return np.where(empty, 0, bottoms), np.where(empty, 0, tops)


class StripChart:
    """The cells of all sparklines, kept between frames.

    Attributes:
        cells: A character for each row and column, row 0 on top; a layer fills `height` rows, the last one is on top.
        levels: The log10 norm of each layer and column, (layers, columns), for the colour; NaN where there is none.
    """

    def __init__(self) -> None:
        self.cells: list[list[str]] = []
        self.levels: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self.decades_per_cell = DECADES_PER_CELL[0]
        self._height = 1
        self._layout: tuple[object, ...] = ()
        self._centres: NDArray[np.float64] = np.empty(0)
        self._drawn = 0

    def update(self, history: History, quantity: Quantity, shown: Shown, columns: int, height: int) -> Changes | None:
        """Bring the cells up to the history, for the layers in `shown`.

        Returns:
            What looks different, None for all.
        """
        per_dot = points_per_dot(history.length, columns * DOTS_ACROSS)
        dots = _Dots.of(history, quantity, shown, per_dot)
        layers = dots.low.shape[1]
        time = per_dot * history.frames_per_point
        layout = (history, history.revision, quantity, shown, columns, height, time)
        fresh = layout != self._layout
        moved: Sequence[int] = self._fit(dots, height, fresh)
        if fresh:
            self._layout, self._height = layout, height
            self.cells = [[" "] * columns for _ in range(layers * height)]
            self.levels = np.full((layers, columns), np.nan, np.float32)
        last = (len(dots) - 1) // DOTS_ACROSS
        changed: Changes = {}
        if len(moved) < layers:
            self._draw(dots, range(layers), max(0, self._drawn - 1) // DOTS_ACROSS, last, changed)
        if moved:
            self._draw(dots, moved, 0, last, changed)
        self._drawn = len(dots)
        return None if len(moved) == layers else changed

    def _fit(self, dots: _Dots, height: int, fresh: bool) -> Sequence[int]:
        """Choose the scale and the centres. Returns the layers that must be redrawn."""
        bottoms, tops = dots.extent()
        span = float(np.max(tops - bottoms, initial=0))
        scale = next((step for step in DECADES_PER_CELL if step * height >= span), DECADES_PER_CELL[-1])
        middles = (bottoms + tops) / 2
        if fresh or scale > self.decades_per_cell:
            self.decades_per_cell, self._centres = scale, middles
            return range(len(middles))
        half = self.decades_per_cell * height / 2
        outside = (bottoms < self._centres - half) | (tops > self._centres + half)
        self._centres = np.where(outside, middles, self._centres)
        return [int(layer) for layer in np.flatnonzero(outside)]

    def _draw(self, dots: _Dots, layers: Sequence[int], first: int, last: int, changed: Changes) -> None:
        """Draw the columns first … last of these layers as one figure, put it into the cells, and note what changed."""
        per_layer = DOTS_DOWN * self._height
        points = slice(first * DOTS_ACROSS, (last + 1) * DOTS_ACROSS)
        low, high = dots.low[points][:, layers], dots.high[points][:, layers]
        drawable = np.isfinite(low) & np.isfinite(high)
        lower, upper = self._dot_of(low, drawable, layers), self._dot_of(high, drawable, layers)
        xs: list[int] = []
        ys: list[int] = []
        for dot in range(per_layer):
            across, places = np.nonzero(drawable & (lower <= dot) & (dot <= upper))
            xs.extend(across.tolist())
            ys.extend((places * per_layer + dot).tolist())
        picture = draw(xs, ys, last - first + 1, len(layers) * self._height)
        for place, layer in enumerate(layers):
            target = (len(self.levels) - 1 - layer) * self._height
            source = (len(layers) - 1 - place) * self._height
            rows = [list(text) for text in picture[source : source + self._height]]
            self._add_signs(dots, layer, first, last, rows[-1])
            for number, row in enumerate(rows, start=target):
                if self.cells[number][first : last + 1] != row:
                    self.cells[number][first : last + 1] = row
                    changed[number] = (first, last)

    def _dot_of(
        self, logs: NDArray[np.float32], drawable: NDArray[np.bool_], layers: Sequence[int]
    ) -> NDArray[np.intp]:
        """Which dot of its layer's row each (point, layer) falls on, counted from below; 0 where none can be drawn."""
        floors = self._centres[list(layers)] - self.decades_per_cell * self._height / 2
        dots = (np.where(drawable, logs, floors) - floors) * (DOTS_DOWN / self.decades_per_cell)
        return np.clip(dots, 0, DOTS_DOWN * self._height - 1).astype(np.intp)

    def _add_signs(self, dots: _Dots, layer: int, first: int, last: int, row: list[str]) -> None:
        """Set the levels, and put signs into row, which begins at column first: for no logarithm, for a change."""
        for column in range(first, last + 1):
            points = slice(column * DOTS_ACROSS, (column + 1) * DOTS_ACROSS)
            lows, highs = dots.low[points, layer], dots.high[points, layer]
            known = ~(lows > highs)
            if not known.any():
                continue
            self.levels[layer, column] = highs[known][-1]
            if sign := _sign(lows[known], highs[known]):
                row[column - first] = sign
            elif not dots.marks.isdisjoint(range(column * DOTS_ACROSS, (column + 1) * DOTS_ACROSS)):
                row[column - first] = MARK


def column_of(point: int, points: int, columns: int) -> int:
    """The cell of a row that a point of the history is in."""
    return point // points_per_dot(points, columns * DOTS_ACROSS) // DOTS_ACROSS


def points_per_dot(points: int, dots: int) -> int:
    """How many points of the history share a dot of a row: a power of two, so that pairs merge and nothing shifts."""
    merged = 1
    while math.ceil(points / merged) > dots:
        merged *= 2
    return merged


def _sign(low: NDArray[np.float32], high: NDArray[np.float32]) -> str | None:
    if np.isnan(high).any():
        return NAN
    if np.isposinf(high).any():
        return INFINITE
    return ZERO if np.isneginf(low).any() else None


def sign_of(value: float | None) -> str | None:
    """What stands for 0, NaN and ∞, which have no place on a log axis; None for other values."""
    if value is None or (math.isfinite(value) and value != 0):
        return None
    return ZERO if value == 0 else NAN if math.isnan(value) else INFINITE
