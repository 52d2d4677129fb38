"""What a run has shown so far, in bounded memory: the whole time since the start stays, its resolution falls."""

import numpy as np
from numpy.typing import NDArray

from vgtui.recordings.frames import Frame
from vgtui.training.quantities import QUANTITIES, Quantity

MOST_POINTS = 1024
"""Points kept. When they are full, neighbours are merged in pairs by minimum, mean and maximum."""
MOST_ENTRIES = 2**19
"""Points times layers: from 512 layers on there are fewer points. Each entry takes 32 bytes, all together 16 MiB."""
LEAST_POINTS = 64

LOSS, ACCURACY, VALIDATION, STEP = range(4)
"""The columns of `scalars`."""

Rows = NDArray[np.float32]


class History:
    """Points in time, each one or more frames: every layer's least and greatest log10 of each quantity, and scalars.

    A logarithm of −∞ is an exact 0; NaN and ∞ are what they say. Where a value is unknown, or its layer was not there
    yet, the interval is empty: its least is above its greatest. scalars: (points, 4), the columns named above. marks:
    the points at which something was changed. revision: changes whenever the layers do.
    """

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.frames_per_point = 1
        self.marks: list[int] = []
        self.revision = 0
        self.scalars = np.empty((MOST_POINTS, 4))
        self._extremes = _empty(layers)
        self._frames_in_last = 0

    @property
    def layers(self) -> int:
        return int(self._extremes.shape[-1])

    @property
    def capacity(self) -> int:
        """How many points there is room for."""
        return int(self._extremes.shape[2])

    def least(self, quantity: Quantity) -> Rows:
        """(length, layers), a view."""
        return self._extremes[QUANTITIES.index(quantity), 0, : self.length]

    def greatest(self, quantity: Quantity) -> Rows:
        """(length, layers), a view."""
        return self._extremes[QUANTITIES.index(quantity), 1, : self.length]

    def append(self, frame: Frame) -> None:
        """Take a frame of `layers` layers into the last point, or begin a new one."""
        rows = _logarithms(frame)
        scalars = np.array([frame.loss, frame.accuracy, frame.validation_accuracy, frame.step])
        if self.length and self._frames_in_last < self.frames_per_point:
            last = self.length - 1
            least, greatest = self._extremes[:, 0, last], self._extremes[:, 1, last]
            np.minimum(least, rows[:, 0], out=least)
            np.maximum(greatest, rows[:, 1], out=greatest)
            self._frames_in_last += 1
            self.scalars[last] += (scalars - self.scalars[last]) / self._frames_in_last
            return
        if self.length == self.capacity:
            self._merge_pairs()
        self._extremes[:, :, self.length], self.scalars[self.length] = rows, scalars
        self.length += 1
        self._frames_in_last = 1

    def mark(self, layers: int) -> None:
        """Something was changed: what follows begins a new point, and may have another number of layers.

        Hidden layers keep their number, counted from the input, and the output layer stays the output layer.
        """
        if self.length:
            self._frames_in_last = self.frames_per_point
            if self.length not in self.marks:
                self.marks.append(self.length)
        if layers != self.layers:
            self._adopt(layers)

    def _adopt(self, layers: int) -> None:
        adopted = _empty(layers)
        while self.length > adopted.shape[2]:
            self._merge_pairs()
        kept = min(layers, self.layers) - 1
        adopted[:, :, : self.length, :kept] = self._extremes[:, :, : self.length, :kept]
        adopted[:, :, : self.length, -1] = self._extremes[:, :, : self.length, -1]
        self._extremes = adopted
        self.revision += 1

    def _merge_pairs(self) -> None:
        """Halve the points; of an odd number, the last stays alone."""
        starts = np.arange(0, self.length, 2)
        half = len(starts)
        self._extremes[:, 0, :half] = np.minimum.reduceat(self._extremes[:, 0, : self.length], starts, axis=1)
        self._extremes[:, 1, :half] = np.maximum.reduceat(self._extremes[:, 1, : self.length], starts, axis=1)
        self.scalars[:half] = means(self.scalars[: self.length], 2)
        self.marks = sorted({mark // 2 for mark in self.marks})
        self.length = half
        self.frames_per_point *= 2


def means(values: NDArray[np.float64], every: int) -> NDArray[np.float64]:
    """The mean of every `every` rows; the last may have fewer."""
    starts = np.arange(0, len(values), every)
    counts = np.diff(np.append(starts, len(values)))
    averaged: NDArray[np.float64] = np.add.reduceat(values, starts) / counts[:, None]
    return averaged


def _empty(layers: int) -> Rows:
    """Extremes (quantity, least or greatest, point, layer) that are empty intervals."""
    points = MOST_POINTS
    while points * layers > MOST_ENTRIES and points > LEAST_POINTS:
        points //= 2
    extremes = np.empty((len(QUANTITIES), 2, points, layers), np.float32)
    extremes[:, 0], extremes[:, 1] = np.inf, -np.inf
    return extremes


def _logarithms(frame: Frame) -> Rows:
    """The frame's log10 extremes, (quantity, least or greatest, layer)."""
    rows = np.empty((len(QUANTITIES), 2, len(frame.layers.grad_norm)), np.float32)
    with np.errstate(divide="ignore"):
        for row, quantity in zip(rows, QUANTITIES, strict=True):
            for side, field, unknown in ((0, quantity.least, np.inf), (1, quantity.greatest, -np.inf)):
                values = getattr(frame.layers, field)
                row[side] = np.log10(np.ma.getdata(values))
                row[side][np.ma.getmaskarray(values)] = unknown
    return rows
