"""For all tests: a home of their own, so that nothing depends on what the user has set, and nothing touches it."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.python_api import ApproxScalar

from engine.threads import limit_threads
from vgtui.watching.places import RUNTIME_VARIABLE

ApproxScalar.DEFAULT_ABSOLUTE_TOLERANCE = 0.0  # norms of 1e-300 are compared: nothing is equal for being small
gc.set_threshold(100_000, 20, 20)  # a screen is many small objects: a fifth of the dashboard tests' time otherwise


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home: Path = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in [*(name for name in os.environ if name.startswith("VGTUI_")), "NO_COLOR"]:
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as runtime:  # short, as the path of a socket must be
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        monkeypatch.setenv(RUNTIME_VARIABLE, f"{runtime}/vgtui")  # the only one: models that others watch are not seen
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_thread_of_blas() -> None:
    """As in the worker for networks of this size: on a busy machine, two wait for each other without an end."""
    limit_threads(1)
