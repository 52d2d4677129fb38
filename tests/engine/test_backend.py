"""The choice of a backend, and the reason why it is not a GPU."""

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from engine.backend import DeviceError, device_fault, select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.trainer import Trainer


def cupy_that(**runtime: object) -> SimpleNamespace:
    """Make a stand-in for the module CuPy with these functions in its runtime."""
    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(**runtime)))


def fail(*_: object) -> None:
    raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore")


def test_numpy_is_selected_on_request() -> None:
    backend = select_backend("numpy")
    assert (backend.name, backend.device, backend.fallback_reason) == ("numpy", "cpu", None)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "CuPy is not installed"),
        (cupy_that(getDeviceCount=lambda: 0), "no CUDA device was found; check that nvidia-smi lists one"),
        (cupy_that(getDeviceCount=fail), "no CUDA device responds (cudaErrorInsufficientDriver"),
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


def kernel_less(*_: object, **__: object) -> None:
    raise RuntimeError("cudaErrorNoKernelImageForDevice: no kernel image")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arange": kernel_less}, "fails at its first kernel (cudaErrorNoKernelImageForDevice: no kernel image)"),
        ({"arange": lambda *_, **__: 0, "matmul": lambda *_: 13.0}, "computed 0+1+4+9 as 13"),
    ],
)
def test_a_device_that_fails_is_not_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, object], words: str
) -> None:
    module = cupy_that(getDeviceCount=lambda: 1, getDeviceProperties=lambda _: {"name": b"a card"})
    module.cuda.Device = lambda: SimpleNamespace(id=0)
    vars(module).update({"float32": "f4"} | values)
    monkeypatch.setitem(sys.modules, "cupy", module)
    assert words in str(select_backend("auto").fallback_reason)
    with pytest.raises(DeviceError) as failure:
        select_backend("cupy")
    assert words in str(device_fault(failure.value))


def test_only_errors_from_cupy_are_device_faults() -> None:
    errors = [type(name, (base,), {"__module__": module}) for name, base, module in OF_CUPY]
    assert [device_fault(error("it broke.\nmore")) for error in errors] == [
        "the GPU is out of memory: it broke",
        "the GPU failed: it broke",
    ]
    assert device_fault(MemoryError()) is None
    assert device_fault(ValueError("cupy")) is None


OF_CUPY = [
    ("OutOfMemoryError", MemoryError, "cupy.cuda.memory"),
    ("CUBLASError", RuntimeError, "cupy_backends.cuda.libs.cublas"),
]


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match='no backend "cuda"; it may be auto, numpy, cupy'):
        select_backend("cuda")


def test_a_working_gpu_is_selected_and_trains_as_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here tests/broken_device stands in for CuPy and does not break."""
    stand_in = importlib.import_module("tests.broken_device.cupy")
    monkeypatch.setattr(stand_in, "_may_break", lambda: None)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    for name in ("auto", "cupy"):
        gpu = select_backend(name)
        assert (gpu.name, gpu.device, gpu.xp, gpu.fallback_reason) == ("cupy", "a stand-in", stand_in, None)
    network, training, digits = NetworkConfig(3, 8), TrainingConfig(64), load_dataset("digits")
    ours, theirs = (Trainer(network, training, digits, backend) for backend in (gpu, select_backend("numpy")))
    for _ in range(3):
        ours.step()
        theirs.step()
    assert ours.measure().layers.grad_norm == pytest.approx(theirs.measure().layers.grad_norm, rel=1e-5)
    assert ours.measure().loss == pytest.approx(theirs.measure().loss, rel=1e-5)


def test_norms_are_recomputed_where_squares_were_lost() -> None:
    backend = select_backend("numpy")
    for kind, tiny in ((np.float32, 1e-30), (np.float64, 1e-200)):
        rows = np.array([[tiny] * 4, [3.0, 4.0, 0.0, 0.0], [0.0] * 4, [2 * tiny] * 4, [np.inf, 0, 0, 0]], kind)
        with backend.quiet():
            norms = backend.row_norms([rows[:2], rows[2:]])
        assert norms == pytest.approx([2 * tiny, 5.0, 0.0, 4 * tiny, np.inf], rel=1e-6)
