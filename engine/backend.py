"""The array module that computes, NumPy or CuPy; no other module moves data between host and device."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Array, ArrayModule
from engine.config import BACKEND_NAMES
from engine.errors import UsageError, unknown_name


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """An array module and the operations in which NumPy and CuPy differ.

    Attributes:
        name: "numpy" or "cupy".
        device: A description of the hardware.
        xp: The array module.
        to_device: Copies a host array to the device.
        to_host: Copies a device array to the host. This is the only operation that waits for the device.
        gather: gather(source, rows, out) sets out[i] = source[rows[i]].
        row_norms: The Euclidean norm of every row of several (rows, entries) arrays, as one float64 vector on the
            device. Squares that underflow or overflow do not affect the result.
        quiet: Returns a context in which overflow, underflow and invalid operations give ∞, 0 and NaN without warning.
        free_memory: Returns the bytes that can be allocated now on a device with its own memory; None on the host.
        fallback_reason: Why "auto" did not choose a GPU; None if it did or was not asked.
    """

    name: str
    device: str
    xp: ArrayModule
    to_device: Callable[[NDArray[Any]], Array]
    to_host: Callable[[Array], NDArray[Any]]
    gather: Callable[[Array, Array, Array], None]
    row_norms: Callable[[Sequence[Array]], Array]
    quiet: Callable[[], AbstractContextManager[Any]]
    free_memory: Callable[[], int] | None = None
    fallback_reason: str | None = None


def select_backend(name: str) -> Backend:
    """Select the backend that computes.

    Args:
        name: "numpy", "cupy", or "auto", which selects CuPy if a device runs a test kernel and NumPy otherwise.

    Returns:
        The backend. With "auto", `fallback_reason` says why no GPU was selected.

    Raises:
        UsageError: The name is unknown, or "cupy" was requested and there is no device; the text says what to install
            or check.
        DeviceError: "cupy" was requested, and there is a device that fails.
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


def error_function(xp: ArrayModule) -> Callable[..., Array]:
    """Return the ufunc erf(x, out) that belongs to an array module."""
    if xp is np:
        from scipy.special import erf
    else:
        from cupyx.scipy.special import erf  # type: ignore[import-not-found, no-redef, unused-ignore]
    return erf  # type: ignore[no-any-return, unused-ignore]


def device_versions() -> dict[str, str]:
    """Return the versions of CuPy, the CUDA runtime and the driver, as far as they are installed."""
    found: dict[str, str] = {}
    with suppress(Exception):  # each missing part raises its own class; select_backend explains what is missing
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
    """A GPU was found but does not work as it should."""


class _NoDeviceError(Exception):
    """There is no GPU to compute on; the text says why, and what would help."""


def device_fault(error: BaseException) -> str | None:
    """Describe what happened to the GPU, if an error comes from CuPy.

    A CUDA error is sticky: after a device-side fault the process cannot compute anything more.

    Args:
        error: Any exception.

    Returns:
        A one-line description, or None if the error has nothing to do with the GPU.
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
    """Return the first line of an error's message, or the name of its class."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


_PROBE_PRODUCT = 0 + 1 + 4 + 9
"""The dot product of 0, 1, 2, 3 with itself, which a working device computes exactly."""


def _cupy_backend() -> Backend:
    try:
        import cupy  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise _NoDeviceError(
            f"CuPy is not installed ({error}); for CUDA 12 or 13: pip install 'vgtui[cuda12]' or 'vgtui[cuda13]'"
        ) from error
    except OSError as error:  # importing CuPy creates its kernel cache
        raise _NoDeviceError(
            f"CuPy cannot cache its kernels ({error}); set CUPY_CACHE_DIR to a writable folder"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # no driver, or one too old: each raises its own class
        raise _NoDeviceError(
            f"no CUDA device responds ({_first_line(error)}); check the driver with nvidia-smi"
        ) from error
    if count == 0:
        raise _NoDeviceError("no CUDA device was found; check that nvidia-smi lists one")
    try:
        probe = cupy.arange(4, dtype=cupy.float32)
        product = float(cupy.matmul(probe, probe))
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    except Exception as error:  # a missing library, a broken device: each raises its own class
        raise DeviceError(
            f"the GPU was found but fails at its first kernel ({_first_line(error)}); nvidia-smi shows its driver and "
            "the processes that use it"
        ) from error
    if product != _PROBE_PRODUCT:
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
        # unused blocks in CuPy's pool are free too
        free_memory=lambda: int(cupy.cuda.Device().mem_info[0] + cupy.get_default_memory_pool().free_bytes()),
    )


BLOCK = 2**15
"""Entries that are widened to float64 at a time, so that recomputing a norm needs no large copy."""
_RANGE = {np.dtype(kind): (float(np.finfo(kind).tiny / np.finfo(kind).eps), float(np.finfo(kind).max)) for kind in "fd"}
"""Limits within which a sum of squares is reliable, by data type.

The lower one is per entry: above it, squares lost to underflow are smaller than the rounding error. The upper one is
the largest finite number.
"""


def _row_norms_on_host(groups: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Sum the squares directly; recompute, in float64 or scaled, those norms whose squares may have been lost."""
    squares = np.empty(sum(map(len, groups)), groups[0].dtype)
    start = 0
    for rows in groups:
        np.vecdot(rows, rows, out=squares[start : start + len(rows)])
        start += len(rows)
    smallest, largest = _RANGE[squares.dtype]
    norms: NDArray[np.float64] = np.sqrt(squares, dtype=np.float64)
    reliable = (squares > smallest * max(rows.shape[1] for rows in groups)) & (squares <= largest)
    if not reliable.all():
        start = 0
        for rows in groups:
            part = slice(start, start + len(rows))
            _recompute_norms(rows, np.flatnonzero(~reliable[part]), norms[part])
            start += len(rows)
    return norms


def _recompute_norms(rows: NDArray[Any], lost: NDArray[np.intp], norms: NDArray[np.float64]) -> None:
    row_norms = _widened_row_norms if rows.dtype == np.float32 else _scaled_on_host
    rows_per_block = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(lost), rows_per_block):
        block = lost[start : start + rows_per_block]
        # these are mostly the layers next to the input: consecutive rows, for which a slice avoids a copy
        run = slice(block[0], block[-1] + 1)
        chosen = run if run.stop - run.start == len(block) else block
        norms[chosen] = row_norms(rows[chosen])


def _widened_row_norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the norms in float64, in which no square of a nonzero float32 underflows or overflows."""
    wide = rows.astype(np.float64)
    norms: NDArray[np.float64] = np.sqrt(np.vecdot(wide, wide))
    return norms


def _scaled_on_host(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = scaled_row_norms(np, rows)
    return norms


def scaled_row_norms(xp: ArrayModule, rows: Array) -> Array:
    """Compute the norm of every row, scaled by the row's largest entry so that no square is lost.

    Args:
        xp: The array module.
        rows: (rows, entries), on the device.

    Returns:
        (rows,), float64, on the device. Norms that are 0, ∞ or NaN are returned as such.
    """
    wide = rows.astype(xp.float64)
    largest = xp.max(xp.abs(wide), axis=1)
    scale = xp.where((largest > 0) & xp.isfinite(largest), largest, 1.0)
    wide /= scale[:, None]
    return xp.sqrt(xp.sum(wide * wide, axis=1)) * scale
