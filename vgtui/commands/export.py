"""`vgtui export`: a recording or a sweep for other programs, as CSV, Parquet, SVG or PNG."""

import argparse
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import UsageError, unknown_name, unwritable
from vgtui.commands.plot import add_chart_options, names_of
from vgtui.commands.run import STDOUT
from vgtui.recordings.frames import Frame
from vgtui.recordings.reader import STREAM, Reader, read_recording
from vgtui.reports.figures import draw, run_parts, save, sweep_chart
from vgtui.reports.story import read_stories
from vgtui.sweeps.border import Border, find_border
from vgtui.sweeps.grid import Sweep
from vgtui.sweeps.rows import is_sweep, read_sweep
from vgtui.sweeps.table import Table, find_metric, make_table
from vgtui.tables import (
    FRAME_COLUMNS,
    SWEEP_COLUMNS,
    SWITCH_COLUMNS,
    TEXT_COLUMNS,
    WHOLE_COLUMNS,
    Cell,
    frame_rows,
    sweep_row,
    write_csv,
)
from vgtui.terminal import tell

DESCRIPTION = "Write a recording or a sweep as a table or a picture."
EXAMPLES = """\
examples:
  vgtui export run.jsonl -o run.csv               a row for each frame and layer
  vgtui export sweep.jsonl -o sweep.parquet       a row for each run; needs pip install 'vgtui[parquet]'
  vgtui export run.jsonl -o run.svg               pictures need pip install 'vgtui[report]'
  vgtui export sweep.jsonl --metric depth_scale -o sweep.png
  vgtui export run.jsonl -o - | head              CSV on standard output"""
TABLES = ("csv", "parquet")
PICTURES = ("svg", "png")
FORMATS = (*TABLES, *PICTURES)
ROWS_AT_ONCE = 20_000
"""Of a Parquet file's group: what is held in memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording, .gz too, or what vgtui sweep --output wrote")
    parser.add_argument("--output", "-o", required=True, metavar="FILE", help="where to; - is standard output")
    parser.add_argument(
        "--format", metavar="NAME", help=f"{', '.join(FORMATS)} (default: by the ending of the output, else csv)"
    )
    group = parser.add_argument_group("pictures of a sweep")
    add_chart_options(group)
    group.add_argument(
        "--depth-scale", action="store_true", help="over hidden_layers: the multiple of theory's depth scale that fits"
    )


def call(chosen: argparse.Namespace) -> int:
    kind = _kind(chosen)
    metric, by = find_metric(chosen.metric), names_of(chosen)
    if _are_one(chosen.output, chosen.file):
        raise UsageError("output", f"{chosen.output} is what is exported; it takes another file")
    swept = chosen.file != STREAM and is_sweep(chosen.file)
    if kind in PICTURES:
        if swept:
            sweep, rows = read_sweep(chosen.file)
            table = make_table(sweep, rows, metric, by)
            if table is None:
                raise UsageError("FILE", f"{chosen.file} varies nothing, so there is no picture of it")
            if len(rows) < sweep.size or table.failed:
                tell(f"{len(rows)} of {sweep.size} runs are there, {table.failed} of them without this number")
            figure = draw([sweep_chart(table, _border(sweep, table) if chosen.depth_scale else None)], height=4.5)
        else:
            figure = draw(run_parts(*read_stories(chosen.file)))
        _write(chosen.output, save(figure, kind))
        return 0
    columns = SWEEP_COLUMNS if swept else FRAME_COLUMNS
    rows_ = map(sweep_row, read_sweep(chosen.file)[1]) if swept else _frame_rows(chosen.file)
    _write_table(chosen.output, kind, columns, rows_)
    return 0


def _are_one(output: str, file: str) -> bool:
    if STDOUT in (output, file):
        return False
    try:
        return os.path.samefile(output, file)
    except OSError:
        return False  # one of them is not there, which is told elsewhere


def _border(sweep: Sweep, table: Table) -> Border:
    border = find_border(sweep, table)
    low, high = border.quartiles
    tell(
        f"the border is at {border.factor:.2g} times the depth scale of theory "
        f"(median of {np.isfinite(border.deepest).sum()} columns, quartiles {low:.2g} and {high:.2g})"
    )
    return border


def _kind(chosen: argparse.Namespace) -> str:
    ending = Path(chosen.output).suffix.removeprefix(".")
    if chosen.format is None and chosen.output != STDOUT and ending not in FORMATS:
        raise UsageError(
            "output", f"{chosen.output} does not end with .{', .'.join(FORMATS)}; or say which by --format"
        )
    kind: str = chosen.format or (ending if ending in FORMATS else "csv")
    if kind not in FORMATS:
        raise unknown_name("format", "format", kind, FORMATS)
    if chosen.output == STDOUT and kind != "csv" and sys.stdout.isatty():
        raise UsageError("output", f"{kind} is not for a terminal; name a file")
    return kind


def _frame_rows(path: str) -> Iterator[list[Cell]]:
    reader = Reader(path)
    for message in read_recording(path, reader):
        if isinstance(message, Frame):
            yield from frame_rows(reader.header_of(message), message)
    if reader.flawed:
        tell(reader.summary())


def _write_table(output: str, kind: str, columns: Sequence[str], rows: Iterator[list[Cell]]) -> None:
    first = next(rows, None)  # what cannot be read is told before anything is written
    rows = rows if first is None else itertools.chain([first], rows)
    try:
        if kind == "parquet":
            _write_parquet(output, columns, rows)
            return
        with ExitStack() as stack:
            file = sys.stdout
            if output != STDOUT:
                file = stack.enter_context(open(output, "w", encoding="utf-8", newline=""))
            write_csv(file, itertools.chain([columns], rows))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable("output", output, error) from error


def _write_parquet(output: str, columns: Sequence[str], rows: Iterable[list[Cell]]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("format", "parquet needs pyarrow: pip install 'vgtui[parquet]'") from error
    types = {
        name: pyarrow.int64()
        if name in WHOLE_COLUMNS
        else pyarrow.string()
        if name in TEXT_COLUMNS
        else pyarrow.bool_()
        if name in SWITCH_COLUMNS
        else pyarrow.float64()
        for name in columns
    }
    schema = pyarrow.schema(list(types.items()))
    place: Any = sys.stdout.buffer if output == STDOUT else output
    with parquet.ParquetWriter(place, schema) as writer:
        rows = iter(rows)
        while group := list(itertools.islice(rows, ROWS_AT_ONCE)):
            values = zip(*group, strict=True)
            arrays = [pyarrow.array(column, kind) for column, kind in zip(values, types.values(), strict=True)]
            writer.write_table(pyarrow.table(arrays, schema=schema))


def _write(output: str, data: bytes) -> None:
    try:
        if output == STDOUT:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            Path(output).write_bytes(data)
    except OSError as error:
        raise unwritable("output", output, error) from error
