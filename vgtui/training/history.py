"""What a run has shown so far, in bounded memory: the whole time since the start stays, its resolution falls."""

import numpy as np
from numpy.typing import NDArray

from vgtui.recordings.frames import Frame

POINTS = 1024
"""Points kept. When they are full, neighbours are merged in pairs by minimum, mean and maximum. For 1 000 layers that
is 8 MB."""

Row = NDArray[np.float32]


class History:
    """Points in time, each one or more frames: every layer's least and greatest log10 norm, loss and accuracies.

    A logarithm of −∞ is a gradient of 0; NaN and ∞ are what they say. The arrays' first axis is time, of `length`
    points. marks: the points at which something was changed. since: per layer, the first point that knows it.
    """

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.frames_per_point = 1
        self.marks: list[int] = []
        self.since = np.zeros(layers, np.intp)
        self.low = np.empty((POINTS, layers), np.float32)
        self.high = np.empty((POINTS, layers), np.float32)
        self.scalars = np.empty((POINTS, 3))  # loss, accuracy, validation accuracy
        self._frames_in_last = 0

    @property
    def layers(self) -> int:
        return len(self.since)

    def append(self, frame: Frame) -> None:
        """Take a frame of `layers` layers into the last point, or begin a new one."""
        with np.errstate(divide="ignore"):
            low, high = np.log10(frame.layers.grad_norm_min), np.log10(frame.layers.grad_norm_max)
        scalars = np.array([frame.loss, frame.accuracy, frame.validation_accuracy])
        if self.length and self._frames_in_last < self.frames_per_point:
            last = self.length - 1
            np.minimum(self.low[last], low, out=self.low[last])
            np.maximum(self.high[last], high, out=self.high[last])
            self._frames_in_last += 1
            self.scalars[last] += (scalars - self.scalars[last]) / self._frames_in_last
            return
        if self.length == POINTS:
            self._merge_pairs()
        self.low[self.length], self.high[self.length], self.scalars[self.length] = low, high, scalars
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
        kept = min(layers, self.layers) - 1
        since = np.full(layers, self.length, np.intp)
        since[:kept], since[-1] = self.since[:kept], self.since[-1]
        self.since = since
        for name in ("low", "high"):
            old = getattr(self, name)
            new = np.full((POINTS, layers), np.nan, np.float32)
            new[:, :kept], new[:, -1] = old[:, :kept], old[:, -1]
            setattr(self, name, new)

    def _merge_pairs(self) -> None:
        half = POINTS // 2
        self.low[:half] = np.minimum(self.low[0::2], self.low[1::2])
        self.high[:half] = np.maximum(self.high[0::2], self.high[1::2])
        self.scalars[:half] = (self.scalars[0::2] + self.scalars[1::2]) / 2
        self.since = (self.since + 1) // 2
        self.marks = sorted({mark // 2 for mark in self.marks})
        self.length = half
        self.frames_per_point *= 2
