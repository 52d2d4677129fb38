"""Hooks in a training that raise nothing into it."""

import logging
import time
from collections.abc import Callable
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
        """Wrap a function, whose fault ends the watcher."""
        self._function = function
        self._watcher = watcher

    def __call__(self, *arguments: Any) -> Any:
        """Call the function. Returns None if it raises."""
        # what torch.compile makes of this is nothing: no break of its graph, and no guard that would fail later
        if torch.compiler.is_compiling():
            return None
        began = time.perf_counter()
        result = None
        try:
            result = self._function(*arguments)
        except Exception:
            try:
                self._watcher.give_up()
            except Exception:
                log.debug("while giving up", exc_info=True)
        self._watcher.spend(time.perf_counter() - began)
        return result

    def __deepcopy__(self, memo: Any) -> Callable[..., None]:
        return _nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _get_nothing, ()


def _nothing(*_: Any) -> None:
    """What is left of a hook in a copy."""


def _get_nothing() -> Callable[..., None]:
    return _nothing
