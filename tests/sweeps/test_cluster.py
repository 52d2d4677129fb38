"""The same on a Dask cluster of two processes on this machine."""

import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from engine.errors import UsageError
from tests.sweeps.rows import small_sweep
from vgtui.sweeps.collect import rows_of
from vgtui.sweeps.pool import cluster_pool

pytestmark = pytest.mark.filterwarnings("ignore")  # of what Dask itself does


@pytest.fixture(scope="module")
def distributed() -> Any:
    """Imported here, as it takes every process of the tests a second otherwise."""
    return pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster(distributed: Any) -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local:
        yield local


def test_all_rows_come_though_a_worker_is_killed_meanwhile(cluster: Any) -> None:
    sweep = small_sweep("width=4:23:20", steps=100)
    victim = next(iter(cluster.workers.values())).pid
    rows = []
    with cluster_pool(cluster.scheduler_address) as pool:
        for row in rows_of(sweep.points(), pool):
            rows.append(row)
            if len(rows) == 5:
                os.kill(victim, signal.SIGKILL)
    assert sorted(row.number for row in rows) == list(range(20))
    assert [row.error for row in rows if row.error] == []
    assert all(row.validation_accuracy is not None for row in rows)


@pytest.mark.usefixtures("distributed")
def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.sweeps.pool.CONNECT_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(UsageError, match=f"{address} does not answer"), cluster_pool(address):
            pass
    assert logging.getLogger("vgtui").isEnabledFor(logging.WARNING)
