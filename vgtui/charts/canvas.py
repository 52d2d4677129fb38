"""The one way in which plotext draws here: dots that land exactly where they are put.

plotext 6.1 centres the limits in their cells by default, which mixes neighbouring rows; edge alignment does not. Points
must be finite. plotext is imported at the first figure, as its import takes as long as a terminal's first picture may.
"""

from collections.abc import Mapping, Sequence
from typing import Any

DOTS_ACROSS = 2
"""Braille dots in a cell, side by side."""
DOTS_DOWN = 4
"""Braille dots in a cell, one above the other."""


def draw(
    xs: Sequence[float], ys: Sequence[float], columns: int, rows: int, *, joined: bool = False, filled: bool = False
) -> list[str]:
    """Dots at (x, y), counted from the lower left in dots, as `rows` strings of `columns` braille characters.

    With `joined`, neighbouring points are joined by lines; with `filled`, each stands on a line from the bottom.
    """
    if not len(xs):
        return [" " * columns] * rows
    figure = _figure(columns, rows, DOTS_ACROSS, DOTS_DOWN)
    # dot k has its middle at k + 0.5
    signal = figure.signal([x + 0.5 for x in xs], [y + 0.5 for y in ys], marker="braille")
    if joined:
        signal = signal.lines()
    if filled:
        signal = signal.fillx()
    figure.draw(signal)
    return _lines_of(figure, columns, rows)


def draw_characters(places: Mapping[str, Sequence[tuple[int, int]]], columns: int, rows: int) -> list[str]:
    """Each character at its places (column, row), counted from the upper left."""
    figure = _figure(columns, rows, 1, 1)
    for character, cells in places.items():
        xs, ys = [column + 0.5 for column, _ in cells], [rows - row - 0.5 for _, row in cells]
        figure.draw(figure.signal(xs, ys, marker=character))
    return _lines_of(figure, columns, rows)


def _figure(columns: int, rows: int, across: int, down: int) -> Any:
    """Empty plotext's one figure, and give it so many dots in each of its cells."""
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(columns, rows)
    figure.axes(False)
    figure.canvas("default")
    for axis, dots in (("x", across * columns), ("y", down * rows)):
        figure.ruler(axis).frequency(0).lim(0, dots).alignment(lim="edge")
    return figure


def _lines_of(figure: Any, columns: int, rows: int) -> list[str]:
    return [line.ljust(columns) for line in figure.build().string(colorless=True).split("\n")[:rows]]
