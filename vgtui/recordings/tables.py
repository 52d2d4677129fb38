"""Recordings and sweeps as tables: the names of their columns, and a row at a time. None is unknown."""

import csv
from collections.abc import Iterable, Iterator
from typing import IO, Any

from engine.telemetry import MEASUREMENTS
from vgtui.model.options import OPTIONS
from vgtui.sweeps.rows import RESULTS, Row
from vgtui.terminal.text import plain
from vgtui.wire.frames import Frame, Header, number_text

CellValue = int | float | str | bool | None

RUN_FIELDS = ("step", "epoch", "loss", "accuracy", "validation_accuracy", "steps_per_second")
FRAME_COLUMNS = (*RUN_FIELDS, "verdict", "layer", "fan_in", "fan_out", *MEASUREMENTS, "lane")
SWEEP_COLUMNS = ("number", *(option.field for option in OPTIONS), "steps", *RESULTS)

WHOLE_COLUMNS = frozenset(
    ["step", "epoch", "fan_in", "fan_out", "number", "steps", *(o.field for o in OPTIONS if o.kind == "whole")]
)
TEXT_COLUMNS = frozenset(
    ["verdict", "layer", "lane", "computed_on", "error", *(o.field for o in OPTIONS if o.kind == "name")]
)
SWITCH_COLUMNS = frozenset(option.field for option in OPTIONS if option.kind == "switch")
"""Whatever is in none of these is a number."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text begins with that a spreadsheet would compute, or pass over to what follows."""


def frame_rows(header: Header, frame: Frame) -> Iterator[list[CellValue]]:
    """One row a weight layer, from the input, in the order of FRAME_COLUMNS. The lane is None where there is one."""
    run: list[CellValue] = [_as_cell(getattr(frame, name)) for name in RUN_FIELDS]
    columns = [frame.layers.of(name).tolist() for name in MEASUREMENTS]
    for info, values in zip(header.layers, zip(*columns, strict=True), strict=True):
        yield [*run, frame.verdict.kind, info.name, info.fan_in, info.fan_out, *values, frame.lane or None]


def sweep_row(row: Row) -> list[CellValue]:
    """In the order of SWEEP_COLUMNS."""
    settings = [row.values.get(option.field) for option in OPTIONS]
    return [row.number, *settings, row.steps, *(_as_cell(getattr(row, name)) for name in RESULTS)]


def write_csv(file: IO[str], rows: Iterable[Iterable[CellValue]]) -> None:
    """Write rows, and the names of columns, as CSV.

    Unknown is empty; numbers that are not finite are NaN, Infinity or -Infinity. Text has no control characters, so
    that a row is a line; where a spreadsheet would take it for a formula, it begins with an apostrophe (OWASP, CSV
    injection).
    """
    csv.writer(file, lineterminator="\n").writerows(map(_as_text, rows))


def _as_text(cells: Iterable[CellValue]) -> list[Any]:
    return ["" if cell is None else _cell_text(cell) for cell in cells]


def _cell_text(cell: int | float | str | bool) -> int | float | str | bool:
    if isinstance(cell, float):
        return number_text(cell)
    if isinstance(cell, str):
        return ("'" if cell.startswith(FORMULA_STARTS) else "") + plain(cell)
    return cell


def _as_cell(value: Any) -> CellValue:
    return float(value) if isinstance(value, float) else value
