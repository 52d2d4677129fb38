"""The type of an array of the backend's module: NumPy and CuPy share none."""

from typing import Any, TypeAlias

Array: TypeAlias = Any
