"""A chart of several lines in one frame, each a figure of its own so that it can have its own colour.

Colour in plotext's own output would have to be parsed back, at ten times the cost of drawing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgtui.charts.canvas import DOTS_ACROSS, DOTS_DOWN, draw

BLANK = "\u2800"
MARKER_EVERY = 4
"""Columns from one marker of a line to the next."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points (x, y) in the chart's own units; points with a y that is not finite are gaps.

    What tells it from the others where there are no colours: marker, a character in place of its dots here and there;

    Attributes:
        dashes: How many columns are drawn, and out of how many.
    """

    style: str
    xs: Sequence[float]
    ys: Sequence[float]
    joined: bool = True
    marker: str = ""
    dashes: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One character of a picture, and the style of the line that it belongs to ("" for none)."""

    character: str
    style: str


def draw_lines(
    lines: Sequence[Line], x_range: tuple[float, float], y_range: tuple[float, float], columns: int, rows: int
) -> list[list[Cell]]:
    """Draw lines into `rows` rows of `columns` cells; a later line lies over an earlier one.

    Lines with a marker are drawn first, then their markers, so that no line hides one, and on top the lines without.
    """
    picture = [[Cell(" ", "")] * columns for _ in range(rows)]
    marked = [line for line in lines if line.marker]
    points = [_draw_dots(picture, line, x_range, y_range) for line in marked]
    taken: set[tuple[int, int]] = set()
    for line, places in zip(marked, points, strict=True):
        _add_markers(picture, line, places, taken)
    for line in lines:
        if not line.marker:
            _draw_dots(picture, line, x_range, y_range)
    return picture


def _draw_dots(
    picture: list[list[Cell]], line: Line, x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[tuple[int, int]]:
    """Draw the line; returns the row and the column of each of its points."""
    columns, rows = len(picture[0]), len(picture)
    xs, ys = [], []
    for x, y in zip(line.xs, line.ys, strict=True):
        if math.isfinite(y):
            xs.append(_place(x, x_range, DOTS_ACROSS * columns))
            ys.append(_place(y, y_range, DOTS_DOWN * rows))
    drawn, every = line.dashes
    for row, text in enumerate(draw(xs, ys, columns, rows, joined=line.joined and len(xs) > 1)):
        for column, character in enumerate(text):
            if character not in (" ", BLANK) and column % every < drawn:
                picture[row][column] = Cell(character, line.style)
    return [(rows - 1 - round(y) // DOTS_DOWN, round(x) // DOTS_ACROSS) for x, y in zip(xs, ys, strict=True)]


def _add_markers(
    picture: list[list[Cell]], line: Line, points: Sequence[tuple[int, int]], taken: set[tuple[int, int]]
) -> None:
    """The line's character at its first point, and then at every one that is far enough from the last that has it.

    taken: cells that have another line's marker, which stays where this line has other points.
    """
    free = 0
    for row, column in [point for point in points if point not in taken] or points[:1]:
        if column >= free:
            picture[row][column] = Cell(line.marker, line.style)
            taken.add((row, column))
            free = column + MARKER_EVERY


def _place(value: float, span: tuple[float, float], dots: int) -> float:
    """A value as a dot, the ends of the span in the middle of the first and the last dot."""
    low, high = span
    share = (value - low) / (high - low) if high > low else 0.5
    return min(max(share, 0.0), 1.0) * (dots - 1)


def logarithms(norms: NDArray[np.float64]) -> list[float]:
    """log10 of every norm; a gap, NaN, where there is none that is finite."""
    known = np.ma.filled(norms, math.nan).tolist()
    return [math.log10(norm) if 0 < norm < math.inf else math.nan for norm in known]


def tick_rows(span: tuple[float, float], rows: int, most: int) -> dict[int, str]:
    """Rows of a picture whose span is in decades, 0 on top, with the power of ten that lies in them; at most `most`."""
    low, high = span
    return {round((high - power) / (high - low) * (rows - 1)): f"1e{power}" for power in decade_ticks(low, high, most)}


def decade_ticks(low: float, high: float, most: int) -> list[int]:
    """At most `most` whole powers of ten from low to high, evenly spaced, the greatest one always among them."""
    first, last = math.ceil(low), math.floor(high)
    every = 1
    while (last - first) // every + 1 > max(most, 1):
        every += 1 if every == 1 else (3 if every == 2 else 5)
    return [power for power in range(last, first - 1, -every)]
