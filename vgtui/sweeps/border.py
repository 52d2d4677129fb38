"""How deep a network may be and still train, by a sweep over the depth, beside the depth scale of mean-field theory."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.theory import correlation_depth_scale, weight_and_bias_variance
from vgtui.model.options import option_of, settings_from, values_of
from vgtui.sweeps.grid import Axis, Sweep
from vgtui.sweeps.table import Table

DEPTH = "hidden_layers"
CURVE_POINTS = 61


@dataclass(frozen=True, slots=True, eq=False)
class Border:
    """Where networks stop training, beside theory's depth scale ξ_c.

    Attributes:
        curve: Positions on the horizontal axis, in columns and fractions of one where its values are numbers, and ξ_c
            by theory at each.
        deepest: For each column, the depth at which the metric crosses the middle of its span; NaN where it does not.
        factor: The median of deepest / ξ_c.
        quartiles: The quartiles of deepest / ξ_c.
    """

    curve: tuple[NDArray[np.float64], NDArray[np.float64]]
    deepest: NDArray[np.float64]
    factor: float
    quartiles: tuple[float, float]


def find_border(sweep: Sweep, table: Table) -> Border:
    """The border of a table whose vertical axis is the depth.

    Raises:
        UsageError: There is no border, or no theory of it.
    """
    if table.y is None or table.y.field != DEPTH:
        raise UsageError("depth_scale", "takes a sweep over hidden_layers; --by OTHER,hidden_layers puts it upright")
    depth_scale = _depth_scale(sweep, table.x, table.x.values)
    if option_of(table.x.field).kind == "number":
        columns = np.linspace(0, len(depth_scale) - 1, CURVE_POINTS)
        between = np.interp(columns, np.arange(len(depth_scale)), np.array(table.x.values, dtype=np.float64))
        curve = columns, _depth_scale(sweep, table.x, between.tolist())
    else:
        curve = np.arange(len(depth_scale), dtype=np.float64), depth_scale
    deepest = _crossings(table, np.array(table.y.values, dtype=np.float64))
    found = np.isfinite(deepest) & np.isfinite(depth_scale)
    if not found.any():
        raise UsageError("depth_scale", "has nothing to be held against: no column goes from good to bad")
    ratios = deepest[found] / depth_scale[found]
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
    return Border(curve, deepest, middle, (low, high))


def _depth_scale(sweep: Sweep, axis: Axis, values: Iterable[Any]) -> NDArray[np.float64]:
    """ξ_c for each value of an axis. Raises UsageError where theory has none."""
    base, scales = values_of(sweep.settings), []
    for value in values:
        network = settings_from({**base, axis.field: value}).network
        if network.skip_connections or network.batch_norm:
            raise UsageError("depth_scale", "has no simple form with BatchNorm or skip connections")
        variances = weight_and_bias_variance(network, network.width, network.width)
        scales.append(correlation_depth_scale(network.activation, *variances))
    return np.array(scales)


def _crossings(table: Table, depths: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each column, the depth beyond which the metric stays on the far side of its middle; between two by a line."""
    span = table.span
    order = np.argsort(depths)
    depths, values = depths[order], table.values[order]
    if span is None:
        return np.full(values.shape[1], math.nan)
    middle = sum(span) / 2
    # a metric that is better when less, as the loss, is on the other side
    shallow = np.nanmean(values[0])
    sides = (values - middle) * (1.0 if shallow >= middle else -1.0)
    deepest = np.full(values.shape[1], math.nan)
    for column, side in enumerate(sides.T):
        good = np.flatnonzero(side >= 0)
        if len(good) and good[-1] + 1 < len(depths) and math.isfinite(side[good[-1] + 1]):
            last = int(good[-1])
            share = side[last] / (side[last] - side[last + 1])
            deepest[column] = depths[last] + share * (depths[last + 1] - depths[last])
    return deepest
