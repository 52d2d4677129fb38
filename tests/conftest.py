"""For all tests: an environment and a home of their own, what is slow left out, and what is about time apart."""

import ctypes
import gc
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

import pytest
from _pytest.python_api import ApproxScalar
from hypothesis import HealthCheck, settings

from engine.threads import limit_threads
from vgtui.user.variables import RUNTIME_VARIABLE

ApproxScalar.DEFAULT_ABSOLUTE_TOLERANCE = 0.0  # norms of 1e-300 are compared: nothing is equal for being small
gc.set_threshold(100_000, 20, 20)  # a screen is many small objects: a fifth of the dashboard tests' time otherwise

FOREIGN = (
    *("VGTUI_", "XDG_", "LC_", "LANG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "TERM", "TEXTUAL"),
    *("TMPDIR", "TEMP", "TMP", "PYTHON", "MPL", "OMP_", "OPENBLAS_NUM_", "MKL_", "PAGER"),
)
"""How the variables begin that a developer may have set and that could change what a test sees."""
KEPT = ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "TEXTUAL_SNAPSHOT_")
"""How those begin that stay all the same: without them there may be no Python to test, or no place for snapshots."""
NO_DEVICE = str(Path(__file__).parent / "no_device")
"""Ahead of CuPy's folder, it hides CuPy from tests and from the processes that they start."""

settings.register_profile(
    "short", max_examples=20, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
settings.register_profile("slow", settings.get_profile("short"), max_examples=100, derandomize=False, print_blob=True)


def forget_developer(environment: MutableMapping[str, str]) -> None:
    """Leave nothing in it that a developer may have set for other programs, or for vgtui."""
    for name in [name for name in environment if name.startswith(FOREIGN) and not name.startswith(KEPT)]:
        del environment[name]
    environment.update(LANG="C.UTF-8", TERM="xterm-256color")


def hide_cupy_without_a_device() -> None:
    """Importing it takes each training process half a second, to find that there is no GPU."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        sys.path.insert(0, NO_DEVICE)
        places = [NO_DEVICE, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(places)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="the tests marked slow too, and many more examples a property")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("slow" if config.getoption("--slow") else "short")
    forget_developer(os.environ)
    hide_cupy_without_a_device()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as nohup and a shell's & have it, for every process after
        signal.signal(signal.SIGINT, signal.default_int_handler)
    tempfile.tempdir = None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of the run for tests about time, leave out the files that have none: importing them takes longer."""
    if config.option.markexpr != "timing" or collection_path.suffix != ".py":
        return None
    return b"mark.timing" not in collection_path.read_bytes() or None


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays, and need not be looked through again and again


@pytest.fixture(scope="session")
def long_form(pytestconfig: pytest.Config) -> bool:
    """Whether the long form of a test was asked for, with --slow."""
    return bool(pytestconfig.getoption("--slow"))


@pytest.fixture(scope="session")
def _new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Numbered by itself, as mktemp looks through all folders that there are each time."""
    folder, numbers = tmp_path_factory.mktemp("homes"), itertools.count()

    def make() -> Path:
        home: Path = folder / str(next(numbers))
        home.mkdir()
        return home

    return make


@pytest.fixture(autouse=True)
def _home_of_its_own(_new_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home = _new_home()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as runtime:  # short, as the path of a socket must be
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        monkeypatch.setenv(RUNTIME_VARIABLE, f"{runtime}/vgtui")  # the only one: models that others watch are not seen
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_list_of_fonts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Matplotlib looks through all fonts where its folder has no list of them: once, not in every process."""
    os.environ["MPLCONFIGDIR"] = str(tmp_path_factory.mktemp("matplotlib"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread_of_blas() -> None:
    """As in the worker for networks of this size: on a busy machine, two wait for each other without an end."""
    limit_threads(1)
