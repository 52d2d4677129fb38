"""Every point becomes a row, whatever becomes of the processes; and no process outlives the sweep."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.forked import forked_processes
from tests.sweeps import jobs
from tests.sweeps.rows import small_sweep
from vgtui.sweeps.collect import KILLED, rows_of
from vgtui.sweeps.grid import Point
from vgtui.sweeps.job import failed, measure
from vgtui.sweeps.pool import PoolLostError, WorkerPool, local_pool
from vgtui.sweeps.rows import Row
from vgtui.wire.frames import LINE_LIMIT, encode_line

SWEEP = small_sweep("width=2,3,4,5,6,7,8,9")


@pytest.fixture(autouse=True)
def _forked() -> Iterator[None]:
    with forked_processes():
        yield


def collect(job: Callable[[Point], Row], processes: int = 2) -> dict[int, Row]:
    with local_pool(processes) as pool:
        rows = list(rows_of(SWEEP.points(), pool, job))
    assert len({row.number for row in rows}) == len(rows)
    return {int(str(row.values["width"])): row for row in rows}


def test_all_rows_come_and_no_process_stays() -> None:
    others = set(multiprocessing.active_children())
    rows = collect(jobs.quick)
    assert sorted(rows) == [2, 3, 4, 5, 6, 7, 8, 9]
    while set(multiprocessing.active_children()) - others:  # which sees off those that have ended
        time.sleep(0)


def test_a_point_that_fails_is_a_row_with_its_reason() -> None:
    rows = collect(jobs.raising_at_four)
    assert [width for width, row in rows.items() if row.error] == [4]
    assert rows[4].error == "ZeroDivisionError: four"
    assert len(rows) == 8


@pytest.mark.parametrize("processes", [1, 2])
def test_a_point_that_kills_its_process_is_found_and_the_others_are_computed(processes: int) -> None:
    rows = collect(jobs.killed_at_four, processes)
    assert {width: row.error for width, row in rows.items() if row.error} == {4: KILLED}
    assert len(rows) == 8


def test_a_process_that_is_lost_once_costs_no_row(tmp_path: Path) -> None:
    note = tmp_path / "note"
    rows = collect(partial(jobs.killed_once, note))
    assert note.exists()
    assert len(rows) == 8 and not any(row.error for row in rows.values())


class GivingUp(Executor):
    """A cluster whose scheduler goes: two rows come, what is handed out then is cancelled, and in the end refused."""

    def __init__(self, takes: int) -> None:
        self._takes = takes
        self._given = 0

    def submit(self, job: Any, /, *arguments: Any, **_: Any) -> "Future[Any]":
        self._given += 1
        if self._given > self._takes:
            raise ConnectionError("closed")
        future: Future[Any] = Future()
        if self._given <= 2:
            future.set_result(job(*arguments))
        else:
            future.cancel()
            future.set_running_or_notify_cancel()
        return future


@pytest.mark.parametrize("takes", [2, 5])
def test_a_cluster_that_is_gone_ends_the_sweep_and_no_row_is_called_failed(takes: int) -> None:
    pool = WorkerPool(lambda: GivingUp(takes), lambda: 2)
    rows = []
    with pytest.raises(PoolLostError):
        for row in rows_of(SWEEP.points(), pool, jobs.quick):
            rows.append(row)
    assert not any(row.error for row in rows)


class TakenDown(Executor):
    """A pool that is just being taken down, as Python's own is for a moment after one of its processes has died."""

    def submit(self, job: Any, /, *arguments: Any, **_: Any) -> "Future[Any]":
        raise OSError("handle is closed")


def test_a_pool_that_is_just_being_taken_down_is_replaced() -> None:
    pools: list[Executor] = [TakenDown(), TakenDown()]
    with local_pool(1) as pool:
        rows = list(
            rows_of(SWEEP.points(), replace(pool, open=lambda: pools.pop() if pools else pool.open()), jobs.quick)
        )
    assert len(rows) == 8 and not any(row.error for row in rows)


def test_a_sweep_of_nothing_has_no_rows() -> None:
    with local_pool(1) as pool:
        assert list(rows_of([], pool)) == []


class Full(dict[str, Any]):
    """Values that do not fit into memory; Python's own error for that has no words."""

    def __iter__(self) -> Any:
        raise MemoryError

    keys = __iter__


def test_a_run_that_memory_does_not_hold_is_a_row_with_a_reason() -> None:
    row = measure(Point(0, Full(), 2))
    assert (row.failed, row.error) == (True, "there is not enough memory")


def test_a_reason_is_no_longer_than_a_line_can_hold() -> None:
    row = failed(Point(0, {}, 2), "x" * LINE_LIMIT)
    assert len(encode_line(row)) < LINE_LIMIT
