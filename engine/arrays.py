"""Types for arrays and array modules; NumPy and CuPy have no common base class."""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of the backend's module: numpy.ndarray or cupy.ndarray."""
ArrayModule: TypeAlias = Any
"""The backend's module, numpy or cupy; `xp` throughout the engine."""
