"""A stand-in for CuPy: arrays "on a device" that refuse every hidden transfer to the host.

It wraps NumPy, so its values are right. What it does not wrap does not exist, and what would wait for a device raises
an error. tests/engine/test_device.py checks that the functions and arguments in use exist in the real CuPy.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.backend import Backend, scaled_row_norms


class HiddenWaitError(TypeError):
    """An operation for which CuPy would wait for the device, or which it would refuse."""


def _refuse(name: str) -> Callable[..., Any]:
    def refused(*_: Any, **__: Any) -> Any:
        raise HiddenWaitError(name)

    return refused


class DeviceArray:
    """A device array: operators and methods return device arrays, and nothing returns a Python number."""

    __array__ = _refuse("__array__")
    __array_ufunc__ = None
    __bool__ = _refuse("__bool__")
    __float__ = _refuse("__float__")
    __int__ = _refuse("__int__")
    __index__ = _refuse("__index__")
    item = _refuse("item")
    tolist = _refuse("tolist")

    def __init__(self, host: Any) -> None:
        self.host = np.asarray(host)

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (DeviceArray(row) for row in self.host)

    def __getitem__(self, place: Any) -> "DeviceArray":
        return DeviceArray(self.host[_bare(place)])

    def __setitem__(self, place: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise HiddenWaitError("a host array assigned to a device array")
        self.host[_bare(place)] = _bare(value)

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "size"):
            return getattr(self.host, name)
        if name == "T":
            return DeviceArray(self.host.T)
        if name in ("reshape", "transpose", "astype", "fill", "copy"):
            return wrapped(getattr(self.host, name))
        raise AttributeError(f"the stand-in's arrays have no {name}")


def _operator(name: str) -> Callable[..., Any]:
    def apply(self: DeviceArray, *others: Any) -> Any:
        if any(isinstance(other, np.ndarray) for other in others):
            raise HiddenWaitError(f"{name} of a device array and a host array")
        result = getattr(self.host, name)(*map(_bare, others))
        return self if name.startswith("__i") and name != "__invert__" else DeviceArray(result)

    return apply


for _name in ("add", "sub", "mul", "truediv", "pow"):
    for _form in (f"__{_name}__", f"__r{_name}__", f"__i{_name}__"):
        setattr(DeviceArray, _form, _operator(_form))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "neg", "invert"):
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))
DeviceArray.__hash__ = object.__hash__  # type: ignore[method-assign]


def _bare(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value.host
    if isinstance(value, tuple | list):
        return type(value)(map(_bare, value))
    return value


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if any(isinstance(argument, np.ndarray) for argument in (*arguments, *options.values())):
            raise HiddenWaitError(f"{function} of a host array")
        result = function(*map(_bare, arguments), **{name: _bare(value) for name, value in options.items()})
        return DeviceArray(result) if isinstance(result, np.ndarray | np.generic) else result

    return call


class DeviceModule:
    """The array module. `used` records every function that was called, with its keyword arguments."""

    float64, float32 = np.float64, np.float32
    dtype = np.dtype
    nan = np.nan
    MODULES = ("numpy", "scipy")

    def __init__(self) -> None:
        self.used: dict[str, set[str]] = {}

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        call = wrapped(function)

        def noted(*arguments: Any, **options: Any) -> Any:
            self.used.setdefault(name, set()).update(options)
            return call(*arguments, **options)

        return noted


def strict_backend() -> tuple[Backend, DeviceModule, list[str]]:
    """Return a backend on the stand-in, its module, and the list of transfers, "to host" and "to device"."""
    module, transfers = DeviceModule(), []

    def to_host(array: DeviceArray) -> Any:
        transfers.append("to host")
        return array.host.copy()

    def to_device(array: Any) -> DeviceArray:
        transfers.append("to device")
        return DeviceArray(array.copy())

    def gather(source: Any, rows: Any, out: Any) -> None:
        module.take(source, rows, axis=0, out=out)

    backend = Backend(
        name="cupy",
        device="a stand-in",
        xp=module,
        to_device=to_device,
        to_host=to_host,
        gather=gather,
        row_norms=lambda groups: module.concatenate([scaled_row_norms(module, rows) for rows in groups]),
        quiet=lambda: np.errstate(all="ignore"),
    )
    return backend, module, transfers
