"""The rows of a sweep as a table of one metric over one or two of the options that vary."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.errors import UsageError, unknown_name
from vgtui.model.options import option_named
from vgtui.model.quantities import QUANTITIES, Quantity
from vgtui.sweeps.grid import Axis, Sweep
from vgtui.sweeps.rows import Row
from vgtui.terminal.text import layer_name


def _is_healthy(row: Row) -> float | None:
    return None if row.verdict is None else float(row.verdict == "healthy")


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a row, or one for each layer.

    Attributes:
        title: What it is.
        of: Reads it in a row; None where it is unknown.
        by_logarithm: Whether the logarithms of rows are averaged and shown.
        of_layers: Reads it in every layer of a row, instead of `of`; None where it is unknown.
    """

    title: str
    of: Callable[[Row], float | None]
    by_logarithm: bool = False
    of_layers: Callable[[Row], list[float | None]] | None = None


def _by_layer(quantity: Quantity) -> Metric:
    """A quantity of every layer at the last step, each layer a line."""

    def of_layers(row: Row) -> list[float | None]:
        values: list[float | None] = [] if row.layers is UNSET else quantity.of(row.layers).tolist()
        return values

    return Metric(f"{quantity.title} {quantity.symbol} by layer", lambda row: None, True, of_layers)


METRICS: dict[str, Metric] = {
    "validation_accuracy": Metric("validation accuracy", lambda row: row.validation_accuracy),
    "accuracy": Metric("accuracy of the last batch", lambda row: row.accuracy),
    "loss": Metric("loss", lambda row: row.loss),
    "gradient_ratio_start": Metric("‖∂E/∂W‖ first / last layer at step 0", lambda row: row.gradient_ratio_start, True),
    "gradient_ratio_end": Metric("‖∂E/∂W‖ first / last layer at the end", lambda row: row.gradient_ratio_end, True),
    "depth_scale": Metric("depth scale of the error signal, layers", lambda row: row.depth_scale, True),
    "healthy": Metric("share of healthy verdicts", _is_healthy),
    "steps_per_second": Metric("steps a second", lambda row: row.steps_per_second),
    **{quantity.value: _by_layer(quantity) for quantity in QUANTITIES},
}


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A metric over one or two options of a sweep.

    Attributes:
        x: The option across.
        y: The option upwards; None for a single line of values.
        values: The mean of the rows at each place, (y, x); of their log10 for a metric by logarithm, where −∞ is an
            exact 0.
        known: Whether there are rows at each place, (y, x).
        averaged: The options that vary beside x and y, over which values are averaged.
        failed: How many runs have no number.
        layers: Of a metric by layer, the name of the layer of each line of values; there is no y then.
    """

    metric: Metric
    x: Axis
    y: Axis | None
    values: NDArray[np.float64]
    known: NDArray[np.bool_]
    averaged: tuple[str, ...]
    failed: int
    layers: tuple[str, ...] = ()

    @property
    def span(self) -> tuple[float, float] | None:
        """The least and the greatest value, where there is one."""
        finite = self.values[np.isfinite(self.values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UsageError: There is no such metric.
    """
    if name not in METRICS:
        raise unknown_name("metric", "metric", name, METRICS)
    return METRICS[name]


def make_table(sweep: Sweep, rows: Sequence[Row], metric: Metric, by: Sequence[str] = ()) -> Table | None:
    """The table over the options named in `by`, x first; over the first two that vary where none is named.

    What else varies, the seed among it, is averaged. None where nothing varies. Raises UsageError.
    """
    axes = [_axis(sweep, name) for name in by] or list(sweep.vary[: 1 if metric.of_layers else 2])
    if not axes:
        return None
    if metric.of_layers:
        if len(axes) > 1:
            raise UsageError("by", "takes one option for a number of every layer, as each layer is a line")
        return _layer_table(sweep, rows, metric, metric.of_layers, axes[0])
    found: defaultdict[tuple[Any, ...], list[float]] = defaultdict(list)
    failed = 0
    for row in rows:
        value = metric.of(row)
        if value is None:
            failed += 1
        else:
            place = tuple(row.values[axis.field] for axis in axes)
            found[place].append(_logarithm(value) if metric.by_logarithm else float(value))
    x, y = axes[0], axes[1] if len(axes) > 1 else None
    cells = [
        [found.get((column,) if y is None else (column, line), []) for column in x.values]
        for line in ([None] if y is None else y.values)
    ]
    return Table(metric, x, y, *_means(cells), _averaged(sweep, axes), failed)


def _layer_table(
    sweep: Sweep,
    rows: Sequence[Row],
    metric: Metric,
    of_layers: Callable[[Row], list[float | None]],
    x: Axis,
) -> Table:
    """The table with a line for each layer; of runs of several depths, the output layer is the last one of all."""
    found: defaultdict[tuple[Any, str], list[float]] = defaultdict(list)
    failed = depth = 0
    for row in rows:
        values = of_layers(row)
        depth = max(depth, len(values))
        failed += all(value is None for value in values)
        for layer, value in enumerate(values):
            if value is not None:
                found[row.values[x.field], layer_name(layer, len(values))].append(_logarithm(value))
    names = [layer_name(layer, depth) for layer in range(depth)]
    cells = [[found.get((column, name), []) for column in x.values] for name in names] or [[[] for _ in x.values]]
    return Table(metric, x, None, *_means(cells), _averaged(sweep, [x]), failed, tuple(names))


def _means(cells: list[list[list[float]]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mean of each cell, and whether there is anything in it."""
    means = [[sum(cell) / len(cell) if cell else math.nan for cell in line] for line in cells]
    return np.array(means), np.array([[bool(cell) for cell in line] for line in cells])


def _averaged(sweep: Sweep, axes: Sequence[Axis]) -> tuple[str, ...]:
    others = [axis.name for axis in sweep.vary if axis not in axes]
    return tuple(others + (["seed"] if sweep.seeds > 1 else []))


def _axis(sweep: Sweep, name: str) -> Axis:
    option = option_named(name)
    for axis in sweep.vary:
        if option and axis.field == option.field:
            return axis
    raise unknown_name("by", "varied option", name, [axis.name for axis in sweep.vary])


def _logarithm(value: float) -> float:
    """The log10 of a value; −∞ of 0, NaN of a negative one, which has none."""
    if value < 0:
        return math.nan
    return math.log10(value) if 0 < value < math.inf else -math.inf if value == 0 else float(value)
