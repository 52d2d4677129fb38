"""Stands in for CuPy in a training process: a GPU that computes by NumPy until it breaks, as the environment says.

BROKEN_DEVICE: how it breaks, one of FAULTS. BROKEN_DEVICE_WHEN: a file; once it is there, the next kernel breaks;
without one, the first does. tests/broken_device, ahead of everything else on PYTHONPATH, puts it in CuPy's place.
"""

import os
import time
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

np.seterr(all="ignore")  # as on a device, where nobody is warned

float32, float64, dtype, nan = np.float32, np.float64, np.dtype, np.nan


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory's, which leaves the device as it was."""


class CUDARuntimeError(RuntimeError):
    """As cupy_backends.cuda.api.runtime's; every later call of the process meets it again."""


OutOfMemoryError.__module__ = "cupy.cuda.memory"
CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"


def _run_out_of_memory() -> NoReturn:
    raise OutOfMemoryError("Out of memory allocating 4,194,304 bytes (allocated so far: 84,998,340,608 bytes).")


def _fault() -> NoReturn:
    raise CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")


def _have_no_kernel() -> NoReturn:
    raise CUDARuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device")


def _hang() -> None:
    time.sleep(3600)


FAULTS = {"memory": _run_out_of_memory, "sticky": _fault, "kernel": _have_no_kernel, "hang": _hang}
_broken = False


def _may_break() -> None:
    global _broken
    when = os.environ.get("BROKEN_DEVICE_WHEN")
    if not _broken and when is not None and not os.path.exists(when):
        return
    _broken = os.environ["BROKEN_DEVICE"] == "sticky"
    FAULTS[os.environ["BROKEN_DEVICE"]]()


def __getattr__(name: str) -> Any:
    function = getattr(np, name)

    def kernel(*arguments: Any, **options: Any) -> Any:
        _may_break()
        return function(*arguments, **options)

    globals()[name] = kernel
    return kernel


def asarray(array: Any) -> Any:
    _may_break()
    return np.array(array)


def asnumpy(array: Any) -> Any:
    _may_break()
    return np.array(array)


def get_default_memory_pool() -> Any:
    return SimpleNamespace(free_bytes=lambda: 0)


cuda = SimpleNamespace(
    Device=lambda: SimpleNamespace(id=0, mem_info=(2**33, 2**34)),
    runtime=SimpleNamespace(getDeviceCount=lambda: 1, getDeviceProperties=lambda number: {"name": b"a stand-in"}),
)
