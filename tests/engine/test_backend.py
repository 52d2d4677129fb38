"""Choosing where to compute, and saying why not on a GPU."""

import sys
from types import SimpleNamespace

import pytest

from engine.backend import select_backend
from engine.errors import UsageError


def cupy_that(**runtime: object) -> SimpleNamespace:
    """A module in the place of CuPy, whose runtime answers so."""
    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(**runtime)))


def fail(*_: object) -> None:
    raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore")


def test_numpy_is_taken_when_asked_for() -> None:
    backend = select_backend("numpy")
    assert (backend.name, backend.device, backend.fallback_reason) == ("numpy", "cpu", None)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "CuPy is not installed"),
        (cupy_that(getDeviceCount=lambda: 0), "no CUDA device was found; check that nvidia-smi lists one"),
        (cupy_that(getDeviceCount=fail), "no CUDA device answers (cudaErrorInsufficientDriver"),
    ],
)
def test_without_a_device_auto_falls_back_with_the_reason_and_cupy_is_refused(
    monkeypatch: pytest.MonkeyPatch, module: object, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", module)
    backend = select_backend("auto")
    assert backend.name == "numpy"
    assert backend.fallback_reason is not None
    assert backend.fallback_reason.startswith(reason)
    assert "\n" not in backend.fallback_reason
    with pytest.raises(UsageError, match="backend: cupy cannot be used: "):
        select_backend("cupy")


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match='no backend "cuda"; it may be auto, numpy, cupy'):
        select_backend("cuda")
