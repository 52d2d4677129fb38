"""What a source has shown so far, in bounded memory: all of the time since the start, at a falling resolution.

A point in time is one frame or more. The history keeps, for every layer, the least and the greatest value of each
quantity and the mean of every field, so that a moment of the past can be shown as a frame.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.verdict import Verdict
from vgtui.model.columns import Columns, Rows, Scalars, capacity, layer_indices
from vgtui.model.quantities import QUANTITIES, Quantity
from vgtui.terminal.text import shortened
from vgtui.wire.frames import Frame, Header

MAX_PARTS = 64
"""Cures, and pieces of evidence, that are kept of a verdict."""


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
    """Points in time, each one frame or more: every layer's extremes and means, scalars, verdicts, and occasions.

    Attributes:
        length: How many points there are.
        frames_per_point: How many frames a point takes. It doubles when the history is full: then neighbours are
            merged in pairs.
        layers: How many layers a row has: those of the newest run, unless look_at says otherwise.
        revision: Changes whenever the layers do.
    """

    def __init__(self, layers: int) -> None:
        self.length = 0
        self.frames_per_point = 1
        self.revision = 0
        self.layers = self._newest_layers = layers
        self._columns = Columns.make(layers)
        self._frames = 0
        self._verdicts: list[Verdict] = []
        """The last one of each point."""
        self._runs: list[_Run] = []
        self._occasions: dict[tuple[int, str], Occasion] = {}
        """The last one of each kind at a point, so that there are no more of a kind than points."""

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
        return self._columns.capacity

    @property
    def bytes(self) -> int:
        """What the columns of all layers take."""
        return self._columns.bytes

    @property
    def scalars(self) -> Scalars:
        """The means of every point, each (length,). NaN also where unknown."""
        points = slice(self.length)
        return Scalars(*(self._columns.scalars[:, points] / self._columns.frames[points]))

    def least(self, quantity: Quantity) -> Rows:
        """The log10 of the least value at every point, (length, layers).

        −∞ is an exact 0; NaN and ∞ are what they say. Where a value is unknown, or its layer did not exist yet, the
        least value is above the greatest one.
        """
        return self._rows(self._columns.least, quantity)

    def greatest(self, quantity: Quantity) -> Rows:
        """The log10 of the greatest value at every point, (length, layers)."""
        return self._rows(self._columns.greatest, quantity)

    def frames_of(self, point: int) -> int:
        """How many frames a point stands for."""
        return int(self._columns.frames[point])

    def frames_before(self, point: int) -> int:
        """How many frames came before those of a point."""
        return int(self._columns.before[point])

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
        """The point nearest to a step, in the run that the point `beside` belongs to; None: in the newest run."""
        run = self.length - 1 if beside is None else beside
        begin, end = self.begin_of(run), self.end_of(run)
        return begin + int(np.argmin(np.abs(self.scalars.step[begin : end + 1] - step)))

    def frame_of(self, point: int) -> Frame:
        """A point as a frame: the means of its frames, the extremes of the gradient, and the last verdict."""
        scalars = self._columns.scalars_of(point)
        step, epoch, rate = (scalars.pop(name) for name in ("step", "epoch", "steps_per_second"))
        return Frame(
            step=round(step),
            epoch=None if epoch is None else int(epoch),
            steps_per_second=float(rate),
            **scalars,
            layers=self._columns.layers_of(point, self._run_of(point).layers),
            verdict=self._verdicts[point],
        )

    def append(self, frame: Frame) -> None:
        """Take a frame of the newest run into the last point, or begin a new one."""
        if not self._runs:
            self._runs.append(_Run(0, None, self._newest_layers))
        verdict = _bounded(frame)
        if self._last_takes_another():
            self._verdicts[-1] = verdict
        else:
            if self.length == self.capacity:
                self._merge_pairs()
            self._columns.clear(self.length)
            self._verdicts.append(verdict)
            self.length += 1
        self._columns.take(self.length - 1, frame, before=self._frames)
        self._frames += 1

    def mark(self, layers: int, header: Header | None = None, message: str = "") -> None:
        """Another run begins: what follows begins a new point, and may have another number of layers.

        Hidden layers keep their number, counted from the input, and the output layer stays the output layer.
        """
        if self.length:
            self._remember(Occasion(self.length, "change", shortened(message)))
        if layers > self._columns.layers:
            self._grow(layers)
        self._newest_layers = layers
        self._see(layers)
        while self._runs and self._runs[-1].begin == self.length:  # no frame came of that one
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

    def _last_takes_another(self) -> bool:
        """Whether the last point is of the newest run and not full."""
        last = self.length - 1
        return last >= 0 and self.frames_of(last) < self.frames_per_point and self._runs[-1].begin <= last

    def _see(self, layers: int) -> None:
        if layers != self.layers:
            self.layers = layers
            self.revision += 1

    def _remember(self, occasion: Occasion) -> None:
        self._occasions[occasion.point, occasion.kind] = occasion

    def _rows(self, column: Rows, quantity: Quantity) -> Rows:
        rows = column[QUANTITIES.index(quantity), : self.length]
        return rows[:, layer_indices(self.layers, rows.shape[1])]

    def _run_of(self, point: int) -> _Run:
        return next(run for run in reversed(self._runs) if run.begin <= point)

    def _grow(self, layers: int) -> None:
        """Make room for more layers."""
        while self.length > capacity(layers):
            self._merge_pairs()
        self._columns = self._columns.grow(layers, self.length)
        self.revision += 1

    def _merge_pairs(self) -> None:
        """Halve the points; of an odd number, the last stays alone."""
        length = self.length
        for run in self._runs:
            if run.begin % 2 and run.begin < length:  # a mean over two runs describes neither: the later one's stays
                self._columns.clear(run.begin - 1, keep_extremes=True)
        self.length = self._columns.merge(length)
        self._verdicts = [*self._verdicts[1::2], *self._verdicts[-1:][: length % 2]]
        occasions, self._occasions = self.occasions, {}
        for entry in occasions:
            self._remember(replace(entry, point=entry.point // 2))
        self._runs = list({run.begin // 2: replace(run, begin=run.begin // 2) for run in self._runs}.values())
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
