"""The columns of a history: what is kept of every point in time, and how two points become one.

A point is one frame or more. Every column has an empty value, which changes nothing when it is merged with another, so
a new point is an empty one that takes a frame, and merging needs no special cases.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from engine.telemetry import ALL_FIELDS, OPTIONAL_FIELDS, LayerMeasurements
from vgtui.model.quantities import QUANTITIES
from vgtui.wire.frames import Frame, Number

MAX_POINTS = 1024
"""Points kept, of networks with up to 256 layers."""
MAX_ENTRIES = 2**18
"""Points × layers: above 256 layers there are fewer points. All entries together take MAX_BYTES."""
MIN_POINTS = 64
"""Points kept however many layers there are: above 4 096 layers, memory grows with them."""

Rows = NDArray[np.float32]

_EXTREMES = ("grad_norm_min", "grad_norm_max")
"""Fields of LayerMeasurements that are kept as the extremes of a quantity."""
_SUMMED = tuple(name for name in ALL_FIELDS if name not in _EXTREMES)
_COUNTED = ("saturated", "dead", "update_ratio", *OPTIONAL_FIELDS)
"""Fields that may be unknown now and then: their mean is over the frames that know them."""
_GAPPED = tuple(name for name in _SUMMED if name not in _COUNTED)
"""Fields that vgtui's own runs always know. In your model, a point has no mean where one of its frames has no value."""

_SHOWN = tuple({name: None for quantity in QUANTITIES for name in (quantity.least, quantity.greatest)})
"""The fields of all quantities, each once."""
_LEAST = [_SHOWN.index(quantity.least) for quantity in QUANTITIES]
_GREATEST = [_SHOWN.index(quantity.greatest) for quantity in QUANTITIES]


class Scalars(NamedTuple):
    """The numbers of a frame that are not of a layer, each (points,). NaN also where unknown."""

    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64]
    step: NDArray[np.float64]
    epoch: NDArray[np.float64]
    steps_per_second: NDArray[np.float64]

    def means(self, every: int) -> "Scalars":
        """The mean of every `every` points; the last mean may be of fewer."""
        starts = np.arange(0, len(self.step), every)
        counts = np.diff(np.append(starts, len(self.step)))
        return Scalars(*(np.add.reduceat(values, starts) / counts for values in self))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a column is stored.

    Attributes:
        merge: Makes one value of two.
        empty: The value of a point without frames.
        dtype: The type of a value.
        rows: How many values a point has, or a layer of it; () is a single one.
        by_layer: Whether each layer has values of its own.
    """

    merge: np.ufunc
    empty: float
    dtype: type[np.generic]
    rows: tuple[int, ...] = ()
    by_layer: bool = True

    def make(self, points: int, layers: int) -> NDArray[Any]:
        """An array with the points on its last axis, or with by_layer on the last but one."""
        shape = (*self.rows, points, layers) if self.by_layer else (*self.rows, points)
        # zeros take no memory until they are written
        return np.full(shape, self.empty, self.dtype) if self.empty else np.zeros(shape, self.dtype)

    def at(self, points: int | slice, layers: Any = slice(None)) -> tuple[Any, ...]:
        """The index of some points, and of some of their layers."""
        return (..., points, layers) if self.by_layer else (..., points)

    @property
    def bytes_per_entry(self) -> int:
        """What one layer of one point takes."""
        return int(np.prod(self.rows, dtype=int)) * np.dtype(self.dtype).itemsize if self.by_layer else 0


_SCALARS = len(Scalars._fields)
_KINDS = {
    "least": _Kind(np.minimum, np.inf, np.float32, (len(QUANTITIES),)),
    "greatest": _Kind(np.maximum, -np.inf, np.float32, (len(QUANTITIES),)),
    "sums": _Kind(np.add, 0, np.float64, (len(_SUMMED),)),
    "known": _Kind(np.add, 0, np.int32, (len(_COUNTED),)),
    "gaps": _Kind(np.bitwise_or, 0, np.uint8),
    "scalars": _Kind(np.add, 0, np.float64, (_SCALARS,), by_layer=False),
    "scored": _Kind(np.logical_and, True, np.bool_, (_SCALARS,), by_layer=False),
    "frames": _Kind(np.add, 0, np.int64, by_layer=False),
    "before": _Kind(np.minimum, np.iinfo(np.int64).max, np.int64, by_layer=False),
}
"""Of each column of Columns."""

BYTES_PER_ENTRY = sum(kind.bytes_per_entry for kind in _KINDS.values())
MAX_BYTES = BYTES_PER_ENTRY * MAX_ENTRIES
"""59 MB, for 256 layers and more; 20 layers take 4.6 MB."""


@dataclass(slots=True)
class Columns:
    """What is kept of every point.

    Attributes:
        least: The least log10 of each quantity, (quantities, points, layers); −∞ is an exact 0. An unknown quantity is
            an empty interval: its least value is above its greatest one.
        greatest: The greatest, in the same shape.
        sums: The sum of each field over the frames of a point. Sums rather than means: NaN and ∞ stay what they are.
        known: How many frames know each field that may be unknown.
        gaps: One bit for each other field that a frame does not know.
        scalars: The sums of Scalars.
        scored: Whether every frame knows a scalar.
        frames: How many frames a point stands for.
        before: How many frames came before those of a point.
    """

    least: Rows
    greatest: Rows
    sums: NDArray[np.float64]
    known: NDArray[np.int32]
    gaps: NDArray[np.uint8]
    scalars: NDArray[np.float64]
    scored: NDArray[np.bool_]
    frames: NDArray[np.int64]
    before: NDArray[np.int64]

    @classmethod
    def make(cls, layers: int) -> Self:
        """Room for as many points as a network of so many layers may have, all of them empty."""
        points = capacity(layers)
        return cls(**{name: kind.make(points, layers) for name, kind in _KINDS.items()})

    @property
    def capacity(self) -> int:
        """How many points there is room for."""
        return len(self.frames)

    @property
    def layers(self) -> int:
        """How many layers there is room for."""
        return int(self.gaps.shape[-1])

    @property
    def bytes(self) -> int:
        """The size of the columns that have values for each layer."""
        return sum(self._array(name).nbytes for name, kind in _KINDS.items() if kind.by_layer)

    def clear(self, point: int, keep_extremes: bool = False) -> None:
        """Make a point empty, or all of it but the extremes of its quantities."""
        for name, kind in _KINDS.items():
            if not (keep_extremes and name in ("least", "greatest")):
                self._array(name)[kind.at(point)] = kind.empty

    def take(self, point: int, frame: Frame, before: int) -> None:
        """Merge a frame into a point; `before` frames came before it."""
        layers = layer_indices(len(frame.layers.grad_norm), self.layers)
        values: dict[str, Any] = _values(frame) | {"frames": 1, "before": before}
        for name, kind in _KINDS.items():
            array, index = self._array(name), kind.at(point, layers)
            array[index] = kind.merge(array[index], values[name])

    def merge(self, length: int) -> int:
        """Merge the points below `length` in pairs; of an odd number, the last stays alone.

        Returns:
            How many points are left.
        """
        starts = np.arange(0, length, 2)
        for name, kind in _KINDS.items():
            array = self._array(name)
            axis = -2 if kind.by_layer else -1
            array[kind.at(slice(len(starts)))] = kind.merge.reduceat(array[kind.at(slice(length))], starts, axis=axis)
        return len(starts)

    def grow(self, layers: int, length: int) -> "Columns":
        """The same points with room for more layers; there must be no more points than `capacity(layers)`."""
        grown = Columns.make(layers)
        indices = layer_indices(self.layers, layers)
        for name, kind in _KINDS.items():
            grown._array(name)[kind.at(slice(length), indices)] = self._array(name)[kind.at(slice(length))]
        return grown

    def scalars_of(self, point: int) -> dict[str, Any]:
        """The mean of each scalar by its name, a Number; None where a frame of the point does not know it."""
        means = self.scalars[:, point] / self.frames[point]
        known = zip(Scalars._fields, means, self.scored[:, point], strict=True)
        return {name: Number(mean) if is_known else None for name, mean, is_known in known}

    def layers_of(self, point: int, layers: int) -> LayerMeasurements:
        """The means of a point's first `layers` layers, with the extremes of its gradient; masked where unknown."""
        at, frames = layer_indices(layers, self.layers), self.frames[point]
        least, greatest = (np.power(10.0, side[0, point, at], dtype=np.float64) for side in (self.least, self.greatest))
        values: dict[str, Any] = {"grad_norm_min": least, "grad_norm_max": greatest}
        sums = dict(zip(_SUMMED, self.sums[:, point, at], strict=True))
        for name, known in zip(_COUNTED, self.known[:, point, at], strict=True):
            if name not in OPTIONAL_FIELDS or known.any():
                values[name] = np.ma.MaskedArray(sums[name] / np.maximum(known, 1), mask=known == 0)
        gaps = np.unpackbits(self.gaps[point, at][None], axis=0, count=len(_GAPPED)).astype(bool)
        for name, gap in zip(_GAPPED, gaps, strict=True):
            values[name] = _masked(sums[name] / frames, gap)
        if frames == 1:  # a logarithm in single precision has lost digits
            values |= {name: _snapped(values[name], values["grad_norm"]) for name in _EXTREMES}
        gap = gaps[_GAPPED.index("grad_norm")]
        values |= {name: _masked(values[name], gap) for name in _EXTREMES}
        return LayerMeasurements(**values)

    def _array(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = getattr(self, name)
        return array


def capacity(layers: int) -> int:
    """How many points a history of so many layers has."""
    points = MAX_POINTS
    while points * layers > MAX_ENTRIES and points > MIN_POINTS:
        points //= 2
    return points


def layer_indices(layers: int, room: int) -> NDArray[np.intp] | slice:
    """Where the layers of a network are among those of a deeper one: the output layer is always the last."""
    if layers == room:
        return slice(None)
    indices = np.arange(layers)
    indices[-1] = room - 1
    return indices


def _values(frame: Frame) -> dict[str, Any]:
    """What a frame adds to each column."""
    measured = [frame.layers.of(name) for name in _SUMMED]
    scalars = [getattr(frame, name) for name in Scalars._fields]
    least, greatest = _logarithms(frame.layers)
    return {
        "least": least,
        "greatest": greatest,
        "sums": np.array([row.filled(0) if isinstance(row, np.ma.MaskedArray) else row for row in measured]),
        "known": ~_masks(frame.layers, _COUNTED),
        "gaps": np.packbits(_masks(frame.layers, _GAPPED), axis=0)[0],
        "scalars": np.array(scalars, dtype=np.float64),  # None becomes NaN
        "scored": np.array([value is not None for value in scalars]),
    }


def _masks(layers: LayerMeasurements, names: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.array([np.ma.getmaskarray(layers.of(name)) for name in names])


def _logarithms(layers: LayerMeasurements) -> tuple[Rows, Rows]:
    """The log10 of each quantity's least and greatest value, (quantities, layers); empty intervals where unknown.

    A negative value has no place on the axis, and is left out too.
    """
    values = np.array([np.ma.getdata(layers.of(name)) for name in _SHOWN])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(values).astype(np.float32)
    unknown = _masks(layers, _SHOWN) | (values < 0)
    return np.where(unknown, np.inf, logs)[_LEAST], np.where(unknown, -np.inf, logs)[_GREATEST]


def _masked(values: NDArray[np.float64], unknown: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.ma.MaskedArray(values, mask=unknown) if unknown.any() else values


def _snapped(values: NDArray[np.float64], exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, and in place of those that differ from the exact ones by rounding alone, the exact ones."""
    near: NDArray[np.float64] = np.where(np.isclose(values, exact, rtol=1e-4, atol=0), exact, values)
    return near
