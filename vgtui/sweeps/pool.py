"""The worker pools of a sweep: processes of this machine, or a Dask cluster, as the standard library's Executor."""

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import vgtui
from engine.errors import UsageError
from engine.threads import usable_cores
from vgtui.terminal.capabilities import tell
from vgtui.user.extras import missing

AHEAD = 2
"""Runs that are handed out at a time, for each that can be computed, so that none waits for us."""
CONNECT_SECONDS = 10
LOOK_SECONDS = 2.0


class PoolLostError(Exception):
    """There are no workers left."""


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """How an executor is opened, again when it is broken; and how many runs it is to be given at a time, just now.

    Both raise PoolLostError where no worker is left.

    Attributes:
        breaks: What an executor raises that takes no more runs since one of its processes died; another one takes
            its place.
    """

    open: Callable[[], Executor]
    width: Callable[[], int]
    breaks: tuple[type[Exception], ...] = (BrokenExecutor,)


@contextmanager
def local_pool(jobs: int | None) -> Iterator[WorkerPool]:
    """Processes of this machine, by default one for each usable core; none outlives this process."""
    count = jobs or usable_cores()
    others = set(multiprocessing.active_children())

    def start() -> Executor:
        return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)

    try:
        # an OSError where the pool is just being taken down: Python's own submit then meets a closed pipe
        yield WorkerPool(start, lambda: AHEAD * count, (BrokenExecutor, OSError))
    finally:
        # what they are at would be waited for when we leave
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


def _begin() -> None:
    """In a new process: ctrl+c is its parent's to answer, and it leaves when that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()


def _leave_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    connection.wait([parent.sentinel])
    os._exit(1)


@contextmanager
def cluster_pool(address: str) -> Iterator[WorkerPool]:
    """The workers of a Dask scheduler.

    Raises:
        UsageError: The scheduler does not answer, or its workers have another vgtui.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise missing("--scheduler needs Dask's", "distributed") from error
    with _without_logging():
        try:
            client: Any = Client(address, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                "scheduler", f"{address} does not answer ({reason}); begin one with: dask scheduler"
            ) from error
        try:
            _check_workers(client.run, address)
            cluster = _Cluster(client)
            if not cluster.threads():
                tell(f"{address} has no workers yet, and the runs wait for one: dask worker {address}")
            yield WorkerPool(client.get_executor, lambda: AHEAD * max(cluster.threads(), 1))
        finally:
            with suppress(Exception):
                client.close(timeout=CONNECT_SECONDS)


@contextmanager
def _without_logging() -> Iterator[None]:
    """Without Dask's own words on what is lost; ours are one sentence."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Cluster:
    """How many threads a cluster has, as its workers come and go; asked for every few seconds."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked_at = -math.inf
        self._threads = 0

    def threads(self) -> int:
        """Raises PoolLostError where the scheduler does not say."""
        if time.monotonic() - self._asked_at >= LOOK_SECONDS:
            try:
                self._threads = sum(self._client.ncores().values())
            except Exception as error:  # Dask's own classes, some of them an OSError
                raise PoolLostError(f"the scheduler does not answer any more: {error}") from error
            self._asked_at = time.monotonic()
        return self._threads


def _check_workers(run: Callable[[Callable[[], str]], dict[str, str]], address: str) -> None:
    try:
        versions = run(_version)
    except Exception as error:
        raise UsageError(
            "scheduler", f"the workers of {address} cannot compute for vgtui: {error}; install it where they run"
        ) from error
    other = {worker: version for worker, version in versions.items() if version != vgtui.__version__}
    if other:
        worker, version = next(iter(other.items()))
        problem = f"{worker} has vgtui {version}, and this is {vgtui.__version__}; install one of the two"
        raise UsageError("scheduler", problem)


def _version() -> str:
    return vgtui.__version__
