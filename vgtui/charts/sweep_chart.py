"""The chart of a sweep's table: a heat map over two options, a line over one; characters, with levels for colours."""

import math
from collections import defaultdict
from collections.abc import Callable

from vgtui.charts.canvas import draw_characters
from vgtui.charts.line_chart import Cell, Line, draw_lines
from vgtui.charts.strip_chart import INFINITE, NAN, ZERO
from vgtui.model.options import option_of
from vgtui.sweeps.grid import Axis
from vgtui.sweeps.table import Table

SHADES = "·░▒▓█"
"""From the least value to the greatest."""
MAX_CELL_WIDTH = 6
LINE_ROWS = 14
TICKS = 4
MARKERS = "ABCDEF"
"""What tells the lines of layers apart."""
LINE = "line"
"""The style of the line; a cell of the heat map has its level as style, 0 to 1."""


def sweep_chart(table: Table, columns: int) -> list[list[Cell]]:
    """A title, the picture between its axes, and what its characters mean; about `columns` cells wide at most."""
    rows = _line_chart(table, columns) if table.y is None else _heat_map(table, table.y, columns)
    averaged = f", mean over {' and '.join(table.averaged)}" if table.averaged else ""
    logarithm = "log10 of " if table.metric.by_logarithm else ""
    over = f"{table.x.name} → {f' and {table.y.name} ↑' if table.y else ''}"
    failed = [_unstyled(f"{table.failed} runs have no number")] if table.failed else []
    return [_unstyled(f"{logarithm}{table.metric.title}{averaged}: {over}"), [], *rows, *failed]


def _heat_map(table: Table, y: Axis, columns: int) -> list[list[Cell]]:
    order = list(range(len(y.values)))
    if option_of(y.field).kind in ("whole", "number"):
        order.reverse()  # the axis points upwards
    labels = [y.show(y.values[line]) for line in order]
    margin = max(map(len, labels)) + 1
    wide = max(1, min(MAX_CELL_WIDTH, (columns - margin - 2) // len(table.x.values)))
    shares = [[_share(table, line, column) for column in range(len(table.x.values))] for line in order]
    places: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, line in enumerate(order):
        for column, share in enumerate(shares[row]):
            if table.known[line, column]:
                sign = SHADES[round(share * (len(SHADES) - 1))] if share is not None else _sign(table, line, column)
                places[sign] += [(column * wide + place, row) for place in range(wide)]
    picture = draw_characters(places, wide * len(table.x.values), len(order))
    rows = []
    for label, drawn, shown in zip(labels, picture, shares, strict=True):
        cells = [Cell(sign, _style(shown[place // wide])) for place, sign in enumerate(drawn)]
        rows.append([*_unstyled(f"{label:>{margin - 1}} │"), *cells])
    return [*rows, *_bottom(table.x, margin, lambda number: number * wide, wide * len(table.x.values)), *_legend(table)]


def _line_chart(table: Table, columns: int) -> list[list[Cell]]:
    span = table.span
    if span is None:
        return [_unstyled("(there is no number to show)")]
    low, high = span if span[0] < span[1] else (span[0] - 0.5, span[1] + 0.5)
    if table.layers and high - low < 1:  # within a decade, lines are flat
        low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
    labels = {
        round(tick * (LINE_ROWS - 1) / TICKS): f"{high - (high - low) * tick / TICKS:.4g}" for tick in range(TICKS + 1)
    }
    margin = max(map(len, labels.values())) + 1
    last = len(table.x.values) - 1
    width = max(2, min(columns - margin - 2, 64))
    shown = shown_layers(len(table.values))
    markers = MARKERS if table.layers else ("",)
    lines = [
        Line(LINE, range(last + 1), [v if math.isfinite(v) else math.nan for v in table.values[layer]], marker=marker)
        for layer, marker in zip(shown, markers, strict=False)
    ]
    picture = draw_lines(lines, (0, max(last, 1)), (low, high), width, LINE_ROWS)
    rows = [
        [*_unstyled(f"{labels.get(number, ''):>{margin - 1}} {'┤' if number in labels else '│'}"), *cells]
        for number, cells in enumerate(picture)
    ]
    bottom = _bottom(table.x, margin, lambda number: round(number * (width - 1) / max(last, 1)), width)
    if not table.layers:
        return [*rows, *bottom]
    words = [f"{marker} {layer_words(table.layers[layer])}" for layer, marker in zip(shown, MARKERS, strict=False)]
    return [*rows, *bottom, [], _unstyled("   ".join(words))]


def layer_words(name: str) -> str:
    """What a legend calls a layer."""
    return "output" if name == "out" else f"layer {name}"


def shown_layers(layers: int) -> list[int]:
    """The layers that have a line of their own: the first and the last one, and evenly spaced ones between them."""
    count = min(layers, len(MARKERS))
    return [round(number * (layers - 1) / max(count - 1, 1)) for number in range(count)]


def _bottom(x: Axis, margin: int, place_of: Callable[[int], int], width: int) -> list[list[Cell]]:
    """The axis below, with as many of its values as there is room for."""
    ticks, words = ["─"] * width, ""
    for number, value in enumerate(x.values):
        word, place = x.show(value), place_of(number)
        if place >= len(words) + (number > 0):
            words = words.ljust(place) + word
            ticks[place] = "┬"
    return [_unstyled(" " * margin + "└" + "".join(ticks)), _unstyled(" " * (margin + 1) + words)]


def _legend(table: Table) -> list[list[Cell]]:
    if table.span is None:
        return [_unstyled("(there is no number to show)")]
    low, high = table.span
    steps = [number / (len(SHADES) - 1) for number in range(len(SHADES))]
    cells: list[Cell] = []
    for shade, share in zip(SHADES, steps, strict=True):
        cells += [Cell(shade, _style(share))] * 2 + _unstyled(f" {low + (high - low) * share:.3g}   ")
    signs = {
        ZERO: ("an exact 0", lambda value: value == -math.inf),
        NAN: ("not a number", math.isnan),
        INFINITE: ("infinite", lambda value: value == math.inf),
    }
    shown = table.values[table.known].tolist()
    words = [f"{sign} {word}" for sign, (word, has) in signs.items() if any(map(has, shown))]
    if not table.known.all():
        words.append("blank: not computed")
    return [[], cells, *([_unstyled(", ".join(words))] if words else [])]


def _share(table: Table, line: int, column: int) -> float | None:
    """Where a value is between the least and the greatest, 0 to 1; None where it is not finite, or there is none."""
    value = float(table.values[line, column])
    if table.span is None or not math.isfinite(value) or not table.known[line, column]:
        return None
    low, high = table.span
    return (value - low) / (high - low) if high > low else 1.0


def _sign(table: Table, line: int, column: int) -> str:
    value = float(table.values[line, column])
    return NAN if math.isnan(value) else INFINITE if value > 0 else ZERO


def _style(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _unstyled(text: str) -> list[Cell]:
    return [Cell(character, "") for character in text]
