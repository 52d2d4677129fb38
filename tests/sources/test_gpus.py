"""GPUs as NVIDIA's library tells of them, by a library that stands for it: there is no GPU where tests run."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.trained import trained
from vgtui.charts.training_table import device_words, training_table
from vgtui.sources.gpus import Device, read_devices
from vgtui.sources.trainings import Trainings

GIB = 2**30


class NVMLError(Exception):
    pass


class Library:
    """As much of pynvml as is asked for: a card that this process uses, and one that tells nothing but its name."""

    NVMLError = NVMLError

    def __init__(self, has_driver: bool = True) -> None:
        self.has_driver = has_driver
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.has_driver:
            raise NVMLError("driver not loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return b"NVIDIA H200" if handle == 0 else "NVIDIA A2"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return self._tell(handle, SimpleNamespace(gpu=87, memory=40))

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return self._tell(handle, SimpleNamespace(used=61 * GIB, total=140 * GIB, free=79 * GIB))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Any:  # noqa: N802
        mine = SimpleNamespace(pid=os.getpid(), usedGpuMemory=12 * GIB)
        return self._tell(handle, [mine, SimpleNamespace(pid=1, usedGpuMemory=None)])

    def _tell(self, handle: int, answer: Any) -> Any:
        if handle:
            raise NVMLError("not supported")
        return answer


def test_what_the_library_tells_is_read_and_the_library_is_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert read_devices() == [
        Device(0, "NVIDIA H200", 0.87, 61 * GIB, 140 * GIB, {os.getpid(): 12 * GIB, 1: None}),
        Device(1, "NVIDIA A2"),
    ]
    assert library.open == 0
    assert device_words(read_devices()) == ["GPU 0 87 %  61/140 GiB", "GPU 1"]


@pytest.mark.parametrize("library", [Library(has_driver=False), None])
def test_without_a_driver_or_the_library_there_are_none(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert read_devices() == []


async def test_a_training_has_the_gpus_of_its_process_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    with trained("conv"):
        (row,) = await Trainings(0.01).look_once()
    (gpu,) = row.gpus
    assert (gpu.index, gpu.name, gpu.busy, gpu.used, gpu.total, gpu.own) == (
        *(0, "NVIDIA H200", 0.87),
        *(61 * GIB, 140 * GIB, 12 * GIB),
    )
    table = training_table([row])
    assert table.names[-1] == "GPU" and table.rows[0][-1] == "0  87 %  12.0 GiB"


async def test_without_a_gpu_there_is_no_column_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with trained("conv"):
        rows = await Trainings(0.01).look_once()
    assert "GPU" not in training_table(rows).names
