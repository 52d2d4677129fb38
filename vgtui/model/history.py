"""What a source has shown so far, in bounded memory: the whole time since the start stays, its resolution falls.

A point in time is one frame or more. Of those it keeps, for every layer, the least and the greatest of each quantity
and the mean of every field, so that a moment of the past can be shown as a frame.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.diagnosis import Verdict
from engine.telemetry import LayerMeasurements
from vgtui.model.quantities import QUANTITIES, Quantity
from vgtui.terminal.text import shortened
from vgtui.wire.frames import Frame, Header, Number

MOST_POINTS = 1024
"""Points kept. When they are full, neighbours are merged in pairs by minimum, mean and maximum."""
MOST_ENTRIES = 2**18
"""Points times layers: from 256 layers on there are fewer points. All together they take MOST_BYTES."""
LEAST_POINTS = 64
"""However many layers there are: above 4 096, memory grows with them."""

MAX_PARTS = 64
"""Cures, and pieces of evidence, that are kept of a verdict."""

LOSS, ACCURACY, VALIDATION, STEP, EPOCH, RATE = range(6)
"""The columns of `scalars`."""
_SCORES = (LOSS, ACCURACY, VALIDATION, EPOCH)
"""Those that may be unknown."""

_EXTREMES = ("grad_norm_min", "grad_norm_max")
"""Fields that are kept as the extremes of a quantity."""
_SUMMED = tuple(entry.name for entry in fields(LayerMeasurements) if entry.name not in _EXTREMES)
_MASKED = ("saturated", "dead", "update_ratio")
"""Fields that may be unknown now and then: the mean is of those frames that know them."""
_WHOLE = tuple(name for name in _SUMMED if name not in _MASKED)
"""Fields that vgtui's own runs always know; of somebody's model there is no mean where a frame of a point does not."""

_SHOWN = tuple({field: None for quantity in QUANTITIES for field in (quantity.least, quantity.greatest)})
"""The fields of all quantities, each once."""
_PLACES = np.array([[_SHOWN.index(field) for field in (entry.least, entry.greatest)] for entry in QUANTITIES])

BYTES_PER_ENTRY = 2 * 4 * len(QUANTITIES) + 8 * len(_SUMMED) + 4 * len(_MASKED) + 1
MOST_BYTES = BYTES_PER_ENTRY * MOST_ENTRIES
"""31 MB, for 256 layers and more; 20 layers take 2.4 MB."""

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that happened at a point: a change of the run, a fault, or a note."""

    point: int
    kind: Literal["change", "fault", "note"]
    message: str


@dataclass(frozen=True, slots=True)
class _Run:
    """Where a run begins, what its header was where that is known, and how many weight layers it has."""

    begin: int
    header: Header | None
    layers: int


class History:
    """Points in time, each one or more frames: every layer's extremes and means, scalars, verdicts, and occasions.

    A logarithm of −∞ is an exact 0; NaN and ∞ are what they say. Where a value is unknown, or its layer was not there
    yet, the interval is empty: its least is above its greatest. scalars: (points, 6), the columns named above;
    NaN also where unknown. layers: of the run that is looked at, the newest unless
    look_at says otherwise. revision: changes whenever the layers do.
    """

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.frames_per_point = 1
        self._occasions: dict[tuple[int, str], Occasion] = {}
        """One of a kind at a point, the last: there are no more of them than points."""
        self.revision = 0
        self.layers = self._newest_layers = layers
        self.scalars = np.empty((MOST_POINTS, 6))
        self._counts = np.zeros(MOST_POINTS, np.int64)
        self._before = np.zeros(MOST_POINTS, np.int64)
        self._frames = 0
        self._verdicts: list[Verdict] = []
        self._runs: list[_Run] = []
        # sums, not means: NaN and ∞ stay what they are, and pairs of points are merged by adding
        self._extremes, self._sums, self._known, self._gaps = _empty(layers)
        self._scored = np.zeros((MOST_POINTS, len(_SCORES)), bool)

    @property
    def occasions(self) -> list[Occasion]:
        """What happened, in order."""
        return sorted(self._occasions.values(), key=lambda entry: entry.point)

    @property
    def marks(self) -> list[int]:
        """The points at which something was changed."""
        return sorted(occasion.point for occasion in self._occasions.values() if occasion.kind == "change")

    @property
    def capacity(self) -> int:
        """How many points there is room for."""
        return int(self._extremes.shape[2])

    @property
    def bytes(self) -> int:
        """What the arrays take."""
        return self._extremes.nbytes + self._sums.nbytes + self._known.nbytes + self._gaps.nbytes

    def least(self, quantity: Quantity) -> Rows:
        """(length, layers)."""
        return self._rows(quantity, 0)

    def greatest(self, quantity: Quantity) -> Rows:
        """(length, layers)."""
        return self._rows(quantity, 1)

    def frames_of(self, point: int) -> int:
        """How many frames a point stands for."""
        return int(self._counts[point])

    def frames_before(self, point: int) -> int:
        """How many frames came before those of a point."""
        return int(self._before[point])

    def header_of(self, point: int) -> Header | None:
        """The run that a point belongs to; of a point in which one ended and another began, the later one."""
        return self._run_of(point).header

    def begin_of(self, point: int) -> int:
        """The first point of the run that a point belongs to."""
        return self._run_of(point).begin

    def end_of(self, point: int) -> int:
        """The last point of the run that a point belongs to."""
        return min((run.begin for run in self._runs if run.begin > point), default=self.length) - 1

    def look_at(self, point: int | None) -> None:
        """Give rows of as many layers as the run at this point has; None: the newest run."""
        self._see(self._newest_layers if point is None else self._run_of(point).layers)

    def point_of(self, step: int, beside: int | None = None) -> int:
        """The point nearest to a step, of the run that the point `beside` belongs to; None: of the newest run."""
        run = self.length - 1 if beside is None else beside
        begin, end = self.begin_of(run), self.end_of(run)
        return begin + int(np.argmin(np.abs(self.scalars[begin : end + 1, STEP] - step)))

    def frame_of(self, point: int) -> Frame:
        """A point as a frame: the means of its frames, with the extremes of the gradient, and the last verdict."""
        layers = self._run_of(point).layers
        places = _places(layers, self._room)
        least, greatest = (np.power(10.0, self._extremes[0, side, point, places], dtype=np.float64) for side in (0, 1))
        values = {"grad_norm_min": least, "grad_norm_max": greatest}
        sums = dict(zip(_SUMMED, self._sums[:, point, places], strict=True))
        for field, known in zip(_MASKED, self._known[:, point, places], strict=True):
            values[field] = np.ma.MaskedArray(sums.pop(field) / np.maximum(known, 1), mask=known == 0)
        gaps = np.unpackbits(self._gaps[point, places][None], axis=0, count=len(_WHOLE)).astype(bool)
        for field, gap in zip(_WHOLE, gaps, strict=True):
            values[field] = _masked(sums[field] / self._counts[point], gap)
        gap = gaps[_WHOLE.index("grad_norm")]
        if self._counts[point] == 1:  # a logarithm in single precision has lost digits
            values["grad_norm_min"] = _nearest(least, values["grad_norm"])
            values["grad_norm_max"] = _nearest(greatest, values["grad_norm"])
        values |= {field: _masked(values[field], gap) for field in _EXTREMES}
        scalars = self.scalars[point]
        loss, accuracy, validation, epoch = (
            Number(value) if known else None
            for value, known in zip(scalars[list(_SCORES)], self._scored[point], strict=True)
        )
        return Frame(
            step=round(scalars[STEP]),
            epoch=None if epoch is None else int(epoch),
            loss=loss,
            accuracy=accuracy,
            validation_accuracy=validation,
            steps_per_second=float(scalars[RATE]),
            layers=LayerMeasurements(**values),
            verdict=self._verdicts[point],
        )

    def append(self, frame: Frame) -> None:
        """Take a frame of `layers` layers into the last point, or begin a new one."""
        places = _places(self._newest_layers, self._room)
        extremes = _logarithms(frame)
        numbers = (
            frame.loss, frame.accuracy, frame.validation_accuracy, frame.step, frame.epoch, frame.steps_per_second
        )  # fmt: skip
        scalars = np.array(numbers, dtype=np.float64)  # None becomes NaN
        scored = np.array([numbers[column] is not None for column in _SCORES])
        values = (getattr(frame.layers, field) for field in _SUMMED)
        sums = np.array([row.filled(0) if isinstance(row, np.ma.MaskedArray) else row for row in values])
        known = np.array([~np.ma.getmaskarray(getattr(frame.layers, field)) for field in _MASKED])
        gaps = np.packbits([np.ma.getmaskarray(getattr(frame.layers, field)) for field in _WHOLE], axis=0)[0]
        if not self._runs:
            self._runs.append(_Run(0, None, self._newest_layers))
        self._frames += 1
        last = self.length - 1
        if self.length and self._counts[last] < self.frames_per_point and self._runs[-1].begin <= last:
            least, greatest = self._extremes[:, 0, last], self._extremes[:, 1, last]
            least[:, places] = np.minimum(least[:, places], extremes[:, 0])
            greatest[:, places] = np.maximum(greatest[:, places], extremes[:, 1])
            count = self._counts[last] = self._counts[last] + 1
            self.scalars[last] += (scalars - self.scalars[last]) / count
            self._sums[:, last, places] += sums
            self._known[:, last, places] += known
            self._gaps[last, places] |= gaps
            self._scored[last] &= scored
            self._verdicts[last] = _bounded(frame)
            return
        if self.length == self.capacity:
            self._merge_pairs()
        new = self.length
        self._extremes[:, 0, new], self._extremes[:, 1, new] = np.inf, -np.inf
        self._extremes[:, :, new, places] = extremes
        self._sums[:, new, places], self._known[:, new, places], self._gaps[new, places] = sums, known, gaps
        self._scored[new] = scored
        self.scalars[new], self._counts[new], self._before[new] = scalars, 1, self._frames - 1
        self._verdicts.append(_bounded(frame))
        self.length += 1

    def mark(self, layers: int, header: Header | None = None, message: str = "") -> None:
        """Another run begins: what follows begins a new point, and may have another number of layers.

        Hidden layers keep their number, counted from the input, and the output layer stays the output layer.
        """
        if self.length:
            self._remember(Occasion(self.length, "change", shortened(message)))
        if layers > self._room:
            self._adopt(layers)
        self._newest_layers = layers
        self._see(layers)
        while self._runs and self._runs[-1].begin == self.length:  # of that one no frame came
            self._runs.pop()
        self._runs.append(_Run(self.length, header, layers))

    def note(self, kind: Literal["fault", "note"], message: str) -> None:
        """Something happened at the newest point."""
        self._remember(Occasion(max(self.length - 1, 0), kind, shortened(message)))

    def cut(self, point: int) -> None:
        """Forget a point and all that came after it."""
        self._frames = self.frames_before(point)
        self.frames_per_point = self.frames_per_point if point else 1
        self.length = point
        del self._verdicts[point:]
        self._occasions = {key: entry for key, entry in self._occasions.items() if entry.point < point}
        self._runs = [run for run in self._runs if run.begin < point]
        self._newest_layers = self.layers = self._runs[-1].layers if self._runs else self.layers
        self.revision += 1

    @property
    def _room(self) -> int:
        """The layers of the deepest network so far."""
        return int(self._sums.shape[-1])

    def _see(self, layers: int) -> None:
        if layers != self.layers:
            self.layers = layers
            self.revision += 1

    def _remember(self, occasion: Occasion) -> None:
        self._occasions[occasion.point, occasion.kind] = occasion

    def _rows(self, quantity: Quantity, side: int) -> Rows:
        rows = self._extremes[QUANTITIES.index(quantity), side, : self.length]
        return rows if self.layers == rows.shape[1] else rows[:, _places(self.layers, rows.shape[1])]

    def _run_of(self, point: int) -> _Run:
        return next(run for run in reversed(self._runs) if run.begin <= point)

    def _adopt(self, layers: int) -> None:
        """Make room for more layers."""
        adopted = _empty(layers)
        while self.length > adopted[0].shape[2]:
            self._merge_pairs()
        places = _places(self._room, layers)
        points = slice(0, self.length)
        adopted[0][..., points, places] = self._extremes[..., points, :]
        adopted[1][..., points, places] = self._sums[..., points, :]
        adopted[2][..., points, places] = self._known[..., points, :]
        adopted[3][points, places] = self._gaps[points, :]
        self._extremes, self._sums, self._known, self._gaps = adopted
        self.revision += 1

    def _merge_pairs(self) -> None:
        """Halve the points; of an odd number, the last stays alone."""
        length, starts = self.length, np.arange(0, self.length, 2)
        half = len(starts)
        for begin in (run.begin for run in self._runs):
            if begin % 2 and begin < length:  # a mean over two runs says nothing of either: the later one's stays
                self._sums[:, begin - 1] = self._known[:, begin - 1] = self._counts[begin - 1] = 0
                self._gaps[begin - 1] = 0
                self._scored[begin - 1] = self._scored[begin]
                self.scalars[begin - 1] = self.scalars[begin]
                self._before[begin - 1] = self._before[begin]
        self._extremes[:, 0, :half] = np.minimum.reduceat(self._extremes[:, 0, :length], starts, axis=1)
        self._extremes[:, 1, :half] = np.maximum.reduceat(self._extremes[:, 1, :length], starts, axis=1)
        self.scalars[:half] = means(self.scalars[:length], 2)
        self._sums[:, :half] = np.add.reduceat(self._sums[:, :length], starts, axis=1)
        self._known[:, :half] = np.add.reduceat(self._known[:, :length], starts, axis=1)
        self._gaps[:half] = np.bitwise_or.reduceat(self._gaps[:length], starts)
        self._scored[:half] = np.logical_and.reduceat(self._scored[:length], starts)
        self._counts[:half] = np.add.reduceat(self._counts[:length], starts)
        self._before[:half] = self._before[starts]
        self._verdicts = [*self._verdicts[1::2], *self._verdicts[-1:][: length % 2]]
        occasions, self._occasions = self.occasions, {}
        for entry in occasions:
            self._remember(replace(entry, point=entry.point // 2))
        self._runs = list({run.begin // 2: replace(run, begin=run.begin // 2) for run in self._runs}.values())
        self.length = half
        self.frames_per_point *= 2


def _bounded(frame: Frame) -> Verdict:
    """The verdict on a frame; of one that says more than any of vgtui's own would, the beginning."""
    verdict, layers = frame.verdict, len(frame.layers.grad_norm)
    return replace(
        verdict,
        message=shortened(verdict.message),
        cures=tuple(
            replace(cure, text=shortened(cure.text), value=cure.value if cure.setting else None)
            for cure in verdict.cures[:MAX_PARTS]
        ),
        evidence=tuple(
            replace(entry, layers=entry.layers[:layers], field=shortened(entry.field))
            for entry in verdict.evidence[:MAX_PARTS]
        ),
    )


def means(values: NDArray[np.float64], every: int) -> NDArray[np.float64]:
    """The mean of every `every` rows; the last may have fewer."""
    starts = np.arange(0, len(values), every)
    counts = np.diff(np.append(starts, len(values)))
    averaged: NDArray[np.float64] = np.add.reduceat(values, starts) / counts[:, None]
    return averaged


def _places(layers: int, room: int) -> NDArray[np.intp]:
    """Where the layers of a network stand among those of a deeper one: the output layer is always the last."""
    places = np.arange(layers)
    places[-1] = room - 1
    return places


def _empty(layers: int) -> tuple[Rows, NDArray[np.float64], NDArray[np.int32], NDArray[np.uint8]]:
    """Extremes (quantity, least or greatest, point, layer) that are empty intervals; sums, and of fields that may be
    unknown how many values are known, (field, point, layer); a bit for each other field that is not, (point, layer)."""
    points = MOST_POINTS
    while points * layers > MOST_ENTRIES and points > LEAST_POINTS:
        points //= 2
    extremes = np.empty((len(QUANTITIES), 2, points, layers), np.float32)
    extremes[:, 0], extremes[:, 1] = np.inf, -np.inf
    sums, known = ((len(names), points, layers) for names in (_SUMMED, _MASKED))
    return extremes, np.zeros(sums), np.zeros(known, np.int32), np.zeros((points, layers), np.uint8)


def _masked(values: NDArray[np.float64], unknown: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.ma.MaskedArray(values, mask=unknown) if unknown.any() else values


def _nearest(values: NDArray[np.float64], exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, and where they are the exact ones but for rounding, those."""
    near: NDArray[np.float64] = np.where(np.isclose(values, exact, rtol=1e-4, atol=0), exact, values)
    return near


def _logarithms(frame: Frame) -> Rows:
    """The frame's log10 extremes, (quantity, least or greatest, layer)."""
    values = [getattr(frame.layers, field) for field in _SHOWN]
    with np.errstate(divide="ignore"):
        logs = np.log10([np.ma.getdata(row) for row in values])
    extremes: Rows = logs[_PLACES].astype(np.float32)
    for (quantity, side), place in np.ndenumerate(_PLACES):
        if isinstance(values[place], np.ma.MaskedArray):
            extremes[quantity, side, np.ma.getmaskarray(values[place])] = -np.inf if side else np.inf
    return extremes
