"""What the callbacks of trainers have in common: one watcher after another, as a training begins and ends."""

import logging
import os
from numbers import Real
from typing import Any

import torch

from vgtui.watching.cadence import Cadence
from vgtui.watching.watcher import Watcher

log = logging.getLogger("vgtui")


class Watching:
    """Raises nothing into the trainer; a wrong `every` is an ArgumentError at once."""

    def __init__(self, name: str | None, every: str | int, record: str | os.PathLike[str] | None) -> None:
        Cadence(every)
        self._options = (name, every, record)
        self._watcher: Watcher | None = None

    def begin(self, model: Any, optimizer: Any) -> None:
        self.end()
        if not isinstance(model, torch.nn.Module):
            log.warning("vgtui watches nothing: the trainer has no PyTorch model, but %s", type(model).__name__)
            return
        try:
            self._watcher = Watcher(model, optimizer, *self._options)
        except TypeError as error:
            log.warning("vgtui watches nothing: %s", error)

    def step(self, loss: Any) -> None:
        """loss: left out where it is no number, as trainers leave its form to the user."""
        if self._watcher:
            self._watcher.step(loss=loss if isinstance(loss, torch.Tensor | Real) else None)

    def end(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher:
            watcher.close()
