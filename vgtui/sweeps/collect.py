"""Handing out the points of a sweep and gathering their rows, also when workers die."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait

from vgtui.sweeps.grid import Point
from vgtui.sweeps.job import failed, measure
from vgtui.sweeps.pool import PoolLostError, WorkerPool
from vgtui.sweeps.rows import Row

KILLED = "the process that trained it was killed, twice; it may take more memory than there is"

MAX_REFUSALS = 5
"""Executors that take nothing, one after the other, before it is believed that no process can be started."""


def rows_of(
    points: Iterable[Point], pool: WorkerPool, job: Callable[[Point], Row] = measure
) -> Generator[Row, None, None]:
    """Compute points in a worker pool, and give a row for each as it comes.

    A process pool breaks as a whole when one of its processes dies, and does not say which. The points in flight are
    then computed again, one at a time, so that the point that kills its process is found; its row gives the reason.

    Args:
        points: The points to compute.
        pool: The workers.
        job: Computes a point in a worker.

    Raises:
        PoolLostError: No worker is left.
    """
    dispatcher = _Dispatcher(points, pool, job)
    try:
        while dispatcher.hand_out():
            yield from dispatcher.gather()
    finally:
        dispatcher.close()


class _Dispatcher:
    """Hands points to an executor and gathers their rows.

    `_running` are the points in flight, `_suspects` those that were when a pool broke, `_again` the numbers of all that
    ever were. `_refusals` counts the executors in a row that took nothing.
    """

    def __init__(self, points: Iterable[Point], pool: WorkerPool, job: Callable[[Point], Row]) -> None:
        self._waiting = iter(points)
        self._pool = pool
        self._job = job
        self._executor = pool.open()
        self._refusals = 0
        self._running: dict[Future[Row], Point] = {}
        self._suspects: deque[Point] = deque()
        self._again: set[int] = set()

    def hand_out(self) -> bool:
        """Give out as much as is good; whether anything is being computed."""
        width = self._pool.width()
        while len(self._running) < (1 if self._suspects else width):
            point = self._suspects.popleft() if self._suspects else next(self._waiting, None)
            if point is None:
                break
            try:
                self._running[self._executor.submit(self._job, point)] = point
                self._refusals = 0
            except self._pool.breaks as error:
                self._suspects.appendleft(point)
                if self._running:
                    break  # they are broken too, and will say so
                self._refusals += 1
                if self._refusals > MAX_REFUSALS:
                    raise PoolLostError(f"no process can be started: {error}") from error
                self._open_another()
            except Exception as error:  # each way of losing a cluster has a class of its own
                raise PoolLostError(f"it takes no more runs: {error}") from error
        return bool(self._running)

    def gather(self) -> Iterator[Row]:
        """Wait, and give the rows that have come."""
        alone = len(self._running) == 1
        broken = []
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            point = self._running.pop(future)
            try:
                yield future.result()
            except BrokenExecutor:
                broken.append(point)
            except CancelledError as error:
                raise PoolLostError("the scheduler is gone") from error
            except Exception as error:
                yield failed(point, f"{type(error).__name__}: {error}")
        if broken:
            if alone and broken[0].number in self._again:
                yield failed(broken.pop(), KILLED)
            self._suspects.extend([*broken, *self._running.values()])
            self._again.update(point.number for point in self._suspects)
            self._running.clear()
            self._open_another()

    def close(self) -> None:
        for future in self._running:
            future.cancel()
        self._executor.shutdown(wait=False)

    def _open_another(self) -> None:
        self._executor.shutdown(wait=False)
        self._executor = self._pool.open()
