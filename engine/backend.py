"""Which array module computes (NumPy or CuPy): the only place that crosses between host and device."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Array
from engine.errors import UsageError, unknown_name

BACKEND_NAMES = ("auto", "numpy", "cupy")


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """An array module, and the few things that NumPy and CuPy do differently.

    xp: the array module. device: the hardware in words. fallback_reason: why "auto" did not take a GPU, if it did not.
    to_device and to_host copy; to_host waits for the device, and nothing else does.
    gather(source, rows, out): out[i] = source[rows[i]].
    row_norms(rows): the Euclidean norm of every row, float64, neither lost to underflow nor to overflow.
    quiet(): a context in which overflow, underflow and invalid values give ∞, 0 and NaN without a warning.
    """

    name: str
    device: str
    xp: Any
    to_device: Callable[[NDArray[Any]], Array]
    to_host: Callable[[Array], NDArray[Any]]
    gather: Callable[[Array, Array, Array], None]
    row_norms: Callable[[Array], Array]
    quiet: Callable[[], AbstractContextManager[Any]]
    fallback_reason: str | None = None


def select_backend(name: str) -> Backend:
    """The backend "numpy" or "cupy", or with "auto" CuPy where a device answers to a real kernel, else NumPy.

    Raises UsageError for "cupy" without a usable device, with what to install or check.
    """
    if name not in BACKEND_NAMES:
        raise unknown_name("backend", "backend", name, BACKEND_NAMES)
    if name == "numpy":
        return _numpy_backend(None)
    try:
        return _cupy_backend()
    except _NoDeviceError as reason:
        if name == "cupy":
            raise UsageError("backend", f"cupy cannot be used: {reason}") from reason
        return _numpy_backend(str(reason))


def error_function(xp: Any) -> Any:
    """erf(x, out) of an array module, which neither NumPy nor CuPy has at its top."""
    if xp is np:
        from scipy.special import erf
    else:
        from cupyx.scipy.special import erf  # type: ignore[import-not-found, no-redef, unused-ignore]
    return erf


class _NoDeviceError(Exception):
    """Why there is no GPU to compute on, and what would help."""


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


def _cupy_backend() -> Backend:
    try:
        import cupy  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise _NoDeviceError(
            f"CuPy is not installed ({error}); for CUDA 12 or 13: pip install 'vgtui[cuda12]' or 'vgtui[cuda13]'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if count == 0:
            raise _NoDeviceError("no CUDA device was found; check that nvidia-smi lists one")
        probe = cupy.arange(4, dtype=cupy.float32)
        if float(cupy.matmul(probe, probe)) != 14:
            raise _NoDeviceError("the CUDA device computed 0+1+4+9 wrongly; check it with nvidia-smi")
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    except _NoDeviceError:
        raise
    except Exception as error:  # a driver too old, a missing library, a broken device: each raises its own class
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise _NoDeviceError(f"no CUDA device answers ({first_line}); check the driver with nvidia-smi") from error
    return Backend(
        name="cupy",
        device=properties["name"].decode(),
        xp=cupy,
        to_device=cupy.asarray,
        to_host=cupy.asnumpy,
        gather=lambda source, rows, out: cupy.take(source, rows, axis=0, out=out),
        row_norms=lambda rows: scaled_row_norms(cupy, rows),
        quiet=nullcontext,
    )


def _row_norms_on_host(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Sum squares plainly, and again with scaling where the sum shows that squares may have been lost."""
    squares = np.vecdot(rows, rows)
    limits = np.finfo(squares.dtype)
    # below the first bound, subnormal squares may make up more than a rounding error of the sum
    lost = ~((squares > rows.shape[1] * limits.tiny / limits.eps) & (squares <= limits.max))
    norms: NDArray[np.float64] = np.sqrt(squares, dtype=np.float64)
    if lost.any():
        norms[lost] = scaled_row_norms(np, rows[lost])
    return norms


def scaled_row_norms(xp: Any, rows: Array) -> Array:
    """The norm of every row of (rows, entries), each scaled by its largest entry; 0, ∞ and NaN stay what they are."""
    wide = rows.astype(xp.float64)
    largest = xp.max(xp.abs(wide), axis=1)
    scale = xp.where((largest > 0) & xp.isfinite(largest), largest, 1.0)
    wide /= scale[:, None]
    return xp.sqrt(xp.sum(wide * wide, axis=1)) * scale
