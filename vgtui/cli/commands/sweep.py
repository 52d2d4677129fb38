"""`vgtui sweep`: a grid of runs on the cores of a machine or a cluster, a row each, resumed where it stopped."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from engine.errors import DISK_FAULTS, UsageError
from vgtui.cli.arguments import (
    add_option,
    add_overwrite_option,
    add_run_options,
    check_least,
    settings_from_arguments,
    value_of,
    whole,
)
from vgtui.cli.commands.plot import add_chart_options, metric_of, names_of, print_table
from vgtui.cli.exit_codes import FAULT_EXIT, ending_signals
from vgtui.cli.output.sink import STDOUT
from vgtui.cli.unused_options import tell_unused, unused, unused_chart_options, unused_in_run
from vgtui.files.outputs import is_regular, open_output
from vgtui.model.options import option_of
from vgtui.sweeps.collect import rows_of
from vgtui.sweeps.grid import Sweep, make_sweep
from vgtui.sweeps.pool import PoolLostError, cluster_pool, local_pool
from vgtui.sweeps.rows import Row, SweepFile
from vgtui.sweeps.table import make_table
from vgtui.terminal.capabilities import tell
from vgtui.terminal.progress import is_pipe, showing_progress
from vgtui.wire.frames import encode_line

DESCRIPTION = "Train every combination of some options' values, a row each, and show what came of it."
EXAMPLES = """\
examples:
  vgtui sweep --vary width=16,32,64 --steps 200
  vgtui sweep --vary activation=sigmoid,tanh,relu --vary init=xavier_normal,he_normal --seeds 5 --steps 500 -o a.jsonl
  vgtui sweep --vary lr=1e-4:1:9:log --vary hidden_layers=5:50:10 --activation tanh --steps 300 --output lr.jsonl
  vgtui plot lr.jsonl --metric gradient_ratio_start
  vgtui sweep --vary width=64,128,256 --steps 5 --metric activation_rms      a coordinate check: flat lines?
  vgtui sweep … --output big.jsonl --scheduler tcp://host:8786      on a Dask cluster

NAME is an option of vgtui run. A range has both its ends; :log spaces it evenly by logarithms. Called again with the
same --output, a sweep goes on where it stopped; --retry computes rows without a result again. Each run has one thread
of BLAS, unless --threads says more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what varies, how it is computed, where the rows go, and the options of a chart and of a run."""
    group = parser.add_argument_group("sweep")
    group.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="values v1,v2,… or a range start:stop:count[:log]; several: every combination",
    )
    group.add_argument("--seeds", type=whole, default=1, metavar="N", help="run each with N seeds (default: 1)")
    group.add_argument("--steps", type=whole, required=True, metavar="N", help="train each N steps")
    group.add_argument("--output", "-o", metavar="FILE", help="keep the rows in FILE, as JSON Lines; - prints them")
    group.add_argument(
        "--retry", action="store_true", help="going on, compute the rows that have no result again: a killed run, say"
    )
    add_overwrite_option(group)
    for field in ("jobs", "scheduler"):
        add_option(group, option_of(field))
    add_chart_options(group)
    add_run_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Compute the runs of the sweep, and print its chart unless the rows go to a stream."""
    check_least("seeds", chosen.seeds, 1)
    check_least("steps", chosen.steps, 0)
    jobs, scheduler = value_of(chosen, "jobs"), value_of(chosen, "scheduler")
    check_least("jobs", jobs, 1)
    metric, by = metric_of(chosen), names_of(chosen)
    settings = settings_from_arguments(chosen, threads=1)
    sweep = make_sweep(settings, chosen.vary, chosen.seeds, chosen.steps)
    make_table(sweep, [], metric, by)  # so that a wrong name is told before anything is computed
    tell_unused(unused_in_run(chosen, settings, {axis.field: axis.values for axis in sweep.vary}))
    tell_unused(_unused(chosen, scheduler))
    with _opened(chosen.output, sweep, chosen.retry, chosen.overwrite) as store:
        code = _compute(sweep, store, jobs, scheduler)
    if store.stream is None and store.rows:
        print_table(make_table(sweep, list(store.rows.values()), metric, by), value_of(chosen, "theme"))
    return code


def _unused(chosen: argparse.Namespace, scheduler: str | None) -> Iterator[UsageError]:
    if scheduler is not None and hasattr(chosen, "jobs"):
        yield unused("--jobs", "with --scheduler: the cluster has as many as its workers")
    if chosen.output in (None, STDOUT):
        for name in ("retry", "overwrite"):
            if getattr(chosen, name):
                yield unused(f"--{name}", "without --output FILE")
    if chosen.output == STDOUT:
        yield from unused_chart_options(chosen, "where rows are printed rather than a chart")


class _Store:
    """The rows that there are, and where they are kept, if they are: in a file of their own, or a stream."""

    def __init__(self, file: SweepFile | None = None, stream: IO[str] | None = None, retry: bool = False) -> None:
        there = file.done if file else {}
        self.rows = {number: row for number, row in there.items() if not (retry and row.failed)}
        self.file = file
        self.stream = stream
        self.name = file.path if file else STDOUT

    def begin(self, sweep: Sweep) -> None:
        """Write what is ahead of all rows. Raises OSError."""
        if self.file:
            self.file.begin()
        self._write(sweep)

    def take(self, row: Row) -> None:
        """Raises OSError where the disk takes no more."""
        if self.file:
            self.file.append(row)
        self._write(row)
        self.rows[row.number] = row

    def _write(self, line: Sweep | Row) -> None:
        if self.stream:
            self.stream.write(encode_line(line).decode())
            self.stream.flush()


@contextmanager
def _opened(output: str | None, sweep: Sweep, retry: bool, overwrite: bool) -> Iterator[_Store]:
    if output is None:
        yield _Store()
    elif output == STDOUT:
        yield _Store(stream=sys.stdout)
    elif os.path.exists(output) and not is_regular(output):
        opened = open_output("output", output)
        try:
            with open(opened.descriptor, "w", encoding="utf-8", closefd=False) as stream:
                yield _Store(stream=stream)
        finally:
            opened.close()
    else:
        with SweepFile(output, sweep, overwrite) as file:
            yield _Store(file, retry=retry)


class _Stopped(BaseException):
    """A signal that ends the program came."""

    def __init__(self, number: int) -> None:
        self.number = number


def _compute(sweep: Sweep, store: _Store, jobs: int | None, scheduler: str | None) -> int:
    """Compute what is missing. Returns the exit code."""
    if store.file and store.file.damage:
        left = sweep.size - len(store.rows)
        tell(f"{store.name}: {store.file.damage}; {left} of {sweep.size} runs are to be computed")
    missing = (point for point in sweep.points() if point.number not in store.rows)
    if len(store.rows) == sweep.size:
        return 0  # no worker is needed
    quiet = store.stream is not None and (store.stream.isatty() or is_pipe(store.stream))
    code, problem = 0, ""
    try:
        with (
            _stopping_on_signals(),
            showing_progress("training", sweep.size, "runs", quiet, done=len(store.rows)) as advance,
            cluster_pool(scheduler) if scheduler else local_pool(jobs) as pool,
            contextlib.closing(rows_of(missing, pool)) as rows,
        ):
            store.begin(sweep)
            for row in rows:
                store.take(row)
                advance(len(store.rows))
    except _Stopped as stopped:
        code = 128 + stopped.number
    except PoolLostError as error:
        code, problem = FAULT_EXIT, f"--{'scheduler' if scheduler else 'jobs'}: {error}"
    except OSError as error:
        if error.errno not in DISK_FAULTS or store.stream is sys.stdout:
            raise
        code, problem = FAULT_EXIT, f"--output: {store.name} cannot be written: {error.strerror}"
    if code:
        tell(f"{problem}{'; ' * bool(problem)}{_how_to_go_on(sweep, store)}")
    return code


def _how_to_go_on(sweep: Sweep, store: _Store) -> str:
    there = f"{len(store.rows)} of {sweep.size} runs are"
    if store.file:
        return f"{there} in {store.name}; the same command goes on from there"
    return f"{there} done; with --output FILE, the same command would go on from there"


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    def stop(number: int, _: object) -> None:
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
