"""Recordings and sweeps as tables: the names of their columns, and a row at a time. None is unknown."""

import csv
from collections.abc import Iterable, Iterator
from typing import IO, Any

from engine.telemetry import LAYER_FIELDS
from vgtui.options import OPTIONS
from vgtui.recordings.frames import Frame, Header, number_text
from vgtui.sweeps.rows import RESULTS, Row

Cell = int | float | str | bool | None

RUN_FIELDS = ("step", "epoch", "loss", "accuracy", "validation_accuracy", "steps_per_second")
FRAME_COLUMNS = (*RUN_FIELDS, "verdict", "layer", "fan_in", "fan_out", *LAYER_FIELDS, "lane")
SWEEP_COLUMNS = ("number", *(option.field for option in OPTIONS), "steps", *RESULTS)

WHOLE_COLUMNS = frozenset(
    ["step", "epoch", "fan_in", "fan_out", "number", "steps", *(o.field for o in OPTIONS if o.kind == "whole")]
)
TEXT_COLUMNS = frozenset(
    ["verdict", "layer", "lane", "computed_on", "error", *(o.field for o in OPTIONS if o.kind == "name")]
)
SWITCH_COLUMNS = frozenset(option.field for option in OPTIONS if option.kind == "switch")
"""Whatever is in none of these is a number."""


def frame_rows(header: Header, frame: Frame) -> Iterator[list[Cell]]:
    """One row a weight layer, from the input, in the order of FRAME_COLUMNS. The lane is None where there is one."""
    run: list[Cell] = [_plain(getattr(frame, name)) for name in RUN_FIELDS]
    columns = [getattr(frame.layers, name).tolist() for name in LAYER_FIELDS]
    for info, values in zip(header.layers, zip(*columns, strict=True), strict=True):
        yield [*run, frame.verdict.kind, info.name, info.fan_in, info.fan_out, *values, frame.lane or None]


def sweep_row(row: Row) -> list[Cell]:
    """In the order of SWEEP_COLUMNS."""
    settings = [row.values.get(option.field) for option in OPTIONS]
    return [row.number, *settings, row.steps, *(_plain(getattr(row, name)) for name in RESULTS)]


def write_csv(file: IO[str], rows: Iterable[Iterable[Cell]]) -> None:
    """Rows, and the names of columns, as CSV: unknown is empty, non-finite is NaN, Infinity or -Infinity."""
    csv.writer(file, lineterminator="\n").writerows(map(_as_text, rows))


def _as_text(cells: Iterable[Cell]) -> list[Any]:
    return ["" if cell is None else number_text(cell) if isinstance(cell, float) else cell for cell in cells]


def _plain(value: Any) -> Cell:
    return float(value) if isinstance(value, float) else value
