"""Hooks: what registering one returns, and what makes one that raises nothing."""

from collections.abc import Callable
from typing import Protocol

MakeHook = Callable[[Callable[..., None]], Callable[..., None]]
"""Makes a hook of a function, one that raises nothing into the training."""


class Handle(Protocol):
    """What registering a hook returns."""

    def remove(self) -> None:
        """Take the hook away."""
