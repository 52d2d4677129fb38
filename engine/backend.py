"""Which array module computes (NumPy or CuPy): the only place that crosses between host and device."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Array
from engine.config import BACKEND_NAMES
from engine.errors import UsageError, unknown_name


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """An array module, and the few things that NumPy and CuPy do differently.

    xp: the array module. device: the hardware in words. fallback_reason: why "auto" did not take a GPU, if it did not.
    to_device and to_host copy; to_host waits for the device, and nothing else does.
    gather(source, rows, out): out[i] = source[rows[i]].
    row_norms(groups): the Euclidean norm of every row of every (rows, entries), one float64 vector, neither lost to
    underflow nor to overflow.
    quiet(): a context in which overflow, underflow and invalid values give ∞, 0 and NaN without a warning.
    free_memory(): bytes that can be allocated now on a device with memory of its own; None for the host.
    """

    name: str
    device: str
    xp: Any
    to_device: Callable[[NDArray[Any]], Array]
    to_host: Callable[[Array], NDArray[Any]]
    gather: Callable[[Array, Array, Array], None]
    row_norms: Callable[[Sequence[Array]], Array]
    quiet: Callable[[], AbstractContextManager[Any]]
    free_memory: Callable[[], int] | None = None
    fallback_reason: str | None = None


def select_backend(name: str) -> Backend:
    """The backend "numpy" or "cupy", or with "auto" CuPy where a device answers to a real kernel, else NumPy.

    Raises UsageError for "cupy" without a device, with what to install or check, and DeviceError for "cupy" with a
    device that is there and fails.
    """
    if name not in BACKEND_NAMES:
        raise unknown_name("backend", "backend", name, BACKEND_NAMES)
    if name == "numpy":
        return _numpy_backend(None)
    try:
        return _cupy_backend()
    except (_NoDeviceError, DeviceError) as reason:
        if name == "auto":
            return _numpy_backend(str(reason))
        if isinstance(reason, DeviceError):
            raise
        raise UsageError("backend", f"cupy cannot be used: {reason}") from reason


def error_function(xp: Any) -> Any:
    """erf(x, out) of an array module, which neither NumPy nor CuPy has at its top."""
    if xp is np:
        from scipy.special import erf
    else:
        from cupyx.scipy.special import erf  # type: ignore[import-not-found, no-redef, unused-ignore]
    return erf


def device_versions() -> dict[str, str]:
    """CuPy's, CUDA's and the driver's versions, of those that are there."""
    found: dict[str, str] = {}
    with suppress(Exception):  # each missing part raises its own class; select_backend tells what it means
        import cupy

        found["CuPy"] = cupy.__version__
        runtime = cupy.cuda.runtime
        for name, version in (
            ("CUDA runtime", runtime.runtimeGetVersion()),
            ("CUDA of the driver", runtime.driverGetVersion()),
        ):
            if version:
                found[name] = f"{version // 1000}.{version % 1000 // 10}"
    return found


class DeviceError(Exception):
    """A GPU that is there and does not do what it should."""


class _NoDeviceError(Exception):
    """Why there is no GPU to compute on, and what would help."""


def device_fault(error: BaseException) -> str | None:
    """What has become of the GPU, in words, where an error is CuPy's; None for every other one.

    An error of CUDA stays with its process (a device-side fault is sticky), so nothing more can be computed in it.
    """
    if isinstance(error, DeviceError):
        return str(error)
    if type(error).__module__.partition(".")[0] not in ("cupy", "cupy_backends"):
        return None
    words = _first_line(error)
    if isinstance(error, MemoryError):
        return f"the GPU is out of memory: {words}"
    return f"the GPU failed: {words}"


def _numpy_backend(fallback_reason: str | None) -> Backend:
    return Backend(
        name="numpy",
        device="cpu",
        xp=np,
        to_device=np.array,
        to_host=np.array,
        gather=lambda source, rows, out: np.take(source, rows, axis=0, out=out, mode="clip"),
        row_norms=_row_norms_on_host,
        quiet=lambda: np.errstate(all="ignore"),
        fallback_reason=fallback_reason,
    )


def _first_line(error: BaseException) -> str:
    """An error's own words, one line of them."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _cupy_backend() -> Backend:
    try:
        import cupy  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise _NoDeviceError(
            f"CuPy is not installed ({error}); for CUDA 12 or 13: pip install 'vgtui[cuda12]' or 'vgtui[cuda13]'"
        ) from error
    except OSError as error:  # it makes a folder for its kernels as soon as it is imported
        raise _NoDeviceError(
            f"CuPy cannot keep its kernels ({error}); CUPY_CACHE_DIR names a folder that can be written"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # no driver, or one too old: each raises its own class
        raise _NoDeviceError(
            f"no CUDA device answers ({_first_line(error)}); check the driver with nvidia-smi"
        ) from error
    if count == 0:
        raise _NoDeviceError("no CUDA device was found; check that nvidia-smi lists one")
    try:
        probe = cupy.arange(4, dtype=cupy.float32)
        product = float(cupy.matmul(probe, probe))
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    except Exception as error:  # a missing library, a broken device: each raises its own class
        raise DeviceError(
            f"the GPU is there and fails at its first kernel ({_first_line(error)}); nvidia-smi shows its driver and "
            "who uses it"
        ) from error
    if product != 14:
        raise DeviceError(f"the GPU computed 0+1+4+9 as {product:g}; check it with nvidia-smi")
    return Backend(
        name="cupy",
        device=properties["name"].decode(),
        xp=cupy,
        to_device=cupy.asarray,
        to_host=cupy.asnumpy,
        gather=lambda source, rows, out: cupy.take(source, rows, axis=0, out=out),
        row_norms=lambda groups: cupy.concatenate([scaled_row_norms(cupy, rows) for rows in groups]),
        quiet=nullcontext,
        # what CuPy's pool holds and nobody uses is free too
        free_memory=lambda: int(cupy.cuda.Device().mem_info[0] + cupy.get_default_memory_pool().free_bytes()),
    )


BLOCK = 2**15
"""Entries that are widened at a time, so that what is lost in float32 is summed without a large copy."""
_RANGE = {np.dtype(kind): (float(np.finfo(kind).tiny / np.finfo(kind).eps), float(np.finfo(kind).max)) for kind in "fd"}
"""Of a sum of squares: times its entries, what subnormal squares may make a rounding error of; and the largest."""


def _row_norms_on_host(groups: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Sum squares plainly, and again, in float64 or scaled, where the sum shows that squares may have been lost."""
    squares = np.empty(sum(map(len, groups)), groups[0].dtype)
    start = 0
    for rows in groups:
        np.vecdot(rows, rows, out=squares[start : start + len(rows)])
        start += len(rows)
    least, most = _RANGE[squares.dtype]
    norms: NDArray[np.float64] = np.sqrt(squares, dtype=np.float64)
    kept = (squares > least * max(rows.shape[1] for rows in groups)) & (squares <= most)
    if not kept.all():
        start = 0
        for rows in groups:
            part = slice(start, start + len(rows))
            _recompute_norms(rows, np.flatnonzero(~kept[part]), norms[part])
            start += len(rows)
    return norms


def _recompute_norms(rows: NDArray[Any], lost: NDArray[np.intp], norms: NDArray[np.float64]) -> None:
    again = _widened_row_norms if rows.dtype == np.float32 else _scaled_on_host
    at_once = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(lost), at_once):
        block = lost[start : start + at_once]
        # mostly the layers next to the input, whose rows follow each other and need no copy
        run = slice(block[0], block[-1] + 1)
        chosen = run if run.stop - run.start == len(block) else block
        norms[chosen] = again(rows[chosen])


def _widened_row_norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The square of every float32 is a float64 that is neither 0 nor ∞."""
    wide = rows.astype(np.float64)
    norms: NDArray[np.float64] = np.sqrt(np.vecdot(wide, wide))
    return norms


def _scaled_on_host(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = scaled_row_norms(np, rows)
    return norms


def scaled_row_norms(xp: Any, rows: Array) -> Array:
    """The norm of every row of (rows, entries), each scaled by its largest entry; 0, ∞ and NaN stay what they are."""
    wide = rows.astype(xp.float64)
    largest = xp.max(xp.abs(wide), axis=1)
    scale = xp.where((largest > 0) & xp.isfinite(largest), largest, 1.0)
    wide /= scale[:, None]
    return xp.sqrt(xp.sum(wide * wide, axis=1)) * scale
