"""Losses as sparklines of one row each, all in one figure; each has a scale of its own, so that height is change."""

import math
from collections.abc import Sequence

from vgtui.charts.canvas import DOTS_ACROSS, DOTS_DOWN, draw
from vgtui.charts.strip_chart import INFINITE, NAN, points_per_dot


def loss_strips(series: Sequence[Sequence[float]], columns: int) -> list[str]:
    """Draw losses over time.

    Args:
        series: The losses of each row, the oldest first.
        columns: The width of a row in cells.

    Returns:
        A row for each, as wide as that; ! is a NaN, ∞ is infinite.
    """
    xs: list[int] = []
    ys: list[int] = []
    signs: list[dict[int, str]] = []
    for row, losses in enumerate(series):
        merged = _merged(losses, columns * DOTS_ACROSS)
        finite = [loss for loss in merged if math.isfinite(loss)]
        low, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0)
        floor = (len(series) - 1 - row) * DOTS_DOWN
        signs.append({})
        for dot, loss in enumerate(merged):
            if math.isfinite(loss):
                xs.append(dot)
                ys.append(floor + (round((loss - low) / span * (DOTS_DOWN - 1)) if span > 0 else 1))
            else:
                signs[row][dot // DOTS_ACROSS] = NAN if math.isnan(loss) else INFINITE
    return [
        "".join(found.get(column, character) for column, character in enumerate(text))
        for text, found in zip(draw(xs, ys, columns, len(series)), signs, strict=True)
    ]


def _merged(losses: Sequence[float], dots: int) -> list[float]:
    """Return at most so many losses: neighbours become their mean."""
    per_dot = points_per_dot(len(losses), dots)
    parts = (losses[start : start + per_dot] for start in range(0, len(losses), per_dot))
    return [sum(part) / len(part) for part in parts]
