"""Hooks in a training that raise nothing into it."""

import logging
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, Protocol

import torch

log = logging.getLogger("vgtui")


class Guardian(Protocol):
    """What a guarded hook belongs to, a watcher."""

    def spend(self, seconds: float) -> None:
        """Note how long a hook has taken."""

    def give_up(self) -> None:
        """Take all hooks away after a fault."""


class Guarded:
    """A hook that raises nothing. A copy of the model, deep or pickled, has one that does nothing instead."""

    def __init__(self, function: Callable[..., Any], watcher: Guardian) -> None:
        """Wrap a function, whose fault ends the watcher.

        The watcher is not held: Python cannot see that a tensor holds its hooks, and would never free either of them.
        """
        self._function = function
        self._watcher = weakref.ref(watcher)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function. Returns None if it raises."""
        # what torch.compile makes of this is nothing: no break of its graph, and no guard that would fail later
        if torch.compiler.is_compiling():
            return None
        began = time.perf_counter()
        result = None
        try:
            # while a forward pass runs under a mode, what we compute ourselves is none of its business
            with torch._C.DisableTorchFunction() if torch._C._len_torch_function_stack() else nullcontext():
                result = self._function(*arguments)
        except Exception:
            try:
                if (watcher := self._watcher()) is not None:
                    watcher.give_up()
            except Exception:
                log.debug("while giving up", exc_info=True)
        if (watcher := self._watcher()) is not None:
            watcher.spend(time.perf_counter() - began)
        return result

    def __deepcopy__(self, memo: Any) -> "_Nothing":
        return _Nothing()

    def __reduce__(self) -> tuple[Any, ...]:
        return _NOTHING


class _Nothing:
    """What is left of a hook in a copy."""

    def __call__(self, *_: Any) -> None:
        """Do nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _NOTHING


_NOTHING = (partial, (logging.getLogger("vgtui").log, -1, ""))
"""What is left of a hook in a file: it does nothing, whatever it is called with, and takes no vgtui to be read."""
