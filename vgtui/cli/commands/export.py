"""`vgtui export`: a recording, a run of TensorBoard or a sweep for other programs, as CSV, Parquet, SVG or PNG."""

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engine.errors import UsageError, unknown_name
from vgtui.cli.arguments import add_overwrite_option
from vgtui.cli.commands.plot import add_chart_options, metric_of, names_of
from vgtui.cli.output.sink import STDOUT
from vgtui.cli.recorded import add_tag_option, open_recorded
from vgtui.cli.unused_options import tell_unused, unused, unused_chart_options
from vgtui.files.inputs import InputFile
from vgtui.files.outputs import check_free, check_other, telling_faults, writing_whole
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.recordings.tables import (
    FRAME_COLUMNS,
    SWEEP_COLUMNS,
    SWITCH_COLUMNS,
    TEXT_COLUMNS,
    WHOLE_COLUMNS,
    CellValue,
    frame_rows,
    sweep_row,
    write_csv,
)
from vgtui.reports.figures import draw, run_parts, save, sweep_chart
from vgtui.reports.summary import read_summaries
from vgtui.sweeps.border import Border, find_border
from vgtui.sweeps.grid import Sweep
from vgtui.sweeps.rows import is_sweep, read_sweep
from vgtui.sweeps.table import Table, make_table
from vgtui.terminal.capabilities import tell
from vgtui.user.extras import missing
from vgtui.wire.frames import Frame

DESCRIPTION = "Write a recording or a sweep as a table or a picture."
EXAMPLES = """\
examples:
  vgtui export run.jsonl -o run.csv               a row for each frame and layer
  vgtui export sweep.jsonl -o sweep.parquet       a row for each run; needs pip install 'vgtui[parquet]'
  vgtui export run.jsonl -o run.svg               pictures need pip install 'vgtui[report]'
  vgtui export sweep.jsonl --metric depth_scale -o sweep.png
  vgtui export run.jsonl -o - | head              CSV on standard output
  vgtui export runs/exp1 -o exp1.csv              event files of TensorBoard: pip install 'vgtui[tensorboard]'"""
TABLES = ("csv", "parquet")
PICTURES = ("svg", "png")
FORMATS = (*TABLES, *PICTURES)
ROWS_AT_ONCE = 20_000
"""Of a Parquet file's group: what is held in memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two files, the format and the options of a picture."""
    parser.add_argument(
        "file", metavar="FILE", help="a recording, .gz too, a run of TensorBoard, or what vgtui sweep wrote; - is stdin"
    )
    parser.add_argument("--output", "-o", required=True, metavar="FILE", help="where to; - is standard output")
    parser.add_argument(
        "--format", metavar="NAME", help=f"{', '.join(FORMATS)} (default: by the ending of the output, else csv)"
    )
    add_overwrite_option(parser)
    add_tag_option(parser)
    group = parser.add_argument_group("pictures of a sweep")
    add_chart_options(group)
    group.add_argument(
        "--depth-scale", action="store_true", help="over hidden_layers: the multiple of theory's depth scale that fits"
    )


def call(chosen: argparse.Namespace) -> int:
    """Write the recording or the sweep as a table or a picture."""
    kind = _kind(chosen)
    metric, by = metric_of(chosen), names_of(chosen)
    check_other("output", chosen.output, chosen.file, "exported")
    with open_recorded(chosen) as file:
        if chosen.output != STDOUT:
            check_free("output", chosen.output, chosen.overwrite)  # told before anything is computed
        swept = is_sweep(file)
        if not swept:
            tell_unused(unused_chart_options(chosen, f"here: it is for a sweep, and {file.path} is not one"))
        elif kind in TABLES:
            tell_unused(unused_chart_options(chosen, f"here: it is for a picture, and {kind} is a table"))
        if chosen.overwrite and chosen.output == STDOUT:
            tell_unused([unused("--overwrite", "without a file to write")])
        if kind in PICTURES:
            if swept:
                sweep, rows = read_sweep(file)
                table = make_table(sweep, rows, metric, by)
                if table is None:
                    raise UsageError("FILE", f"{file.path} varies nothing, so there is no picture of it")
                if len(rows) < sweep.size or table.failed:
                    tell(f"{len(rows)} of {sweep.size} runs are there, {table.failed} of them without this number")
                figure = draw([sweep_chart(table, _border(sweep, table) if chosen.depth_scale else None)], height=4.5)
            else:
                figure = draw(run_parts(*read_summaries(file)))
            with _written(chosen) as picture:
                picture.write(save(figure, kind))
            return 0
        columns = SWEEP_COLUMNS if swept else FRAME_COLUMNS
        _write_table(chosen, kind, columns, map(sweep_row, read_sweep(file)[1]) if swept else _frame_rows(file))
    return 0


@contextmanager
def _written(chosen: argparse.Namespace) -> Iterator[BinaryIO]:
    if chosen.output == STDOUT:
        with telling_faults("output", STDOUT):
            yield sys.stdout.buffer
            sys.stdout.flush()
    else:
        with writing_whole("output", chosen.output, chosen.overwrite) as file:
            yield file


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


def _frame_rows(file: InputFile) -> Iterator[list[CellValue]]:
    reader = RecordingReader(file.path)
    for message in read_recording(file, reader):
        if isinstance(message, Frame):
            yield from frame_rows(reader.header_of(message), message)
    if reader.flawed:
        tell(reader.summary())


def _write_table(
    chosen: argparse.Namespace, kind: str, columns: Sequence[str], rows: Iterator[list[CellValue]]
) -> None:
    first = next(rows, None)  # what cannot be read is told before anything is written
    rows = rows if first is None else itertools.chain([first], rows)
    if kind == "parquet":
        _write_parquet(chosen, columns, rows)
    elif chosen.output == STDOUT:
        with telling_faults("output", STDOUT):
            write_csv(sys.stdout, itertools.chain([columns], rows))
            sys.stdout.flush()
    else:
        with _written(chosen) as file:
            text = TextIOWrapper(file, "utf-8", newline="")
            write_csv(text, itertools.chain([columns], rows))
            text.detach()  # written to its end, and left open


def _write_parquet(chosen: argparse.Namespace, columns: Sequence[str], rows: Iterable[list[CellValue]]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise missing("Parquet needs", "pyarrow") from error
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
    with _written(chosen) as file, parquet.ParquetWriter(file, schema) as writer:
        rows = iter(rows)
        while group := list(itertools.islice(rows, ROWS_AT_ONCE)):
            values = zip(*group, strict=True)
            arrays = [pyarrow.array(column, kind) for column, kind in zip(values, types.values(), strict=True)]
            writer.write_table(pyarrow.table(arrays, schema=schema))
