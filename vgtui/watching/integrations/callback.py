"""What the callbacks of trainers share: one watcher after another, as trainings begin and end."""

import logging
import os
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from vgtui.watching.cadence import Cadence
from vgtui.watching.keep import keep_of
from vgtui.watching.watcher import Watcher

log = logging.getLogger("vgtui")


class Watching:
    """A watcher for each training. It raises nothing into the trainer; only wrong arguments are an ArgumentError."""

    def __init__(
        self,
        name: str | None,
        every: str | int,
        record: str | os.PathLike[str] | None,
        keep: str | None,
        log: Callable[[dict[str, float], int], object] | None,
        log_layers: bool,
    ) -> None:
        Cadence(every)
        keep_of(record, keep)
        self._options = (name, every, record)
        self._outputs: dict[str, Any] = {"keep": keep, "log": log, "log_layers": log_layers}
        self._watcher: Watcher | None = None

    def begin(self, model: Any, optimizer: Any) -> None:
        """Watch another training, instead of the one before."""
        self.end()
        if not isinstance(model, torch.nn.Module):
            log.warning("vgtui watches nothing: the trainer has no PyTorch model, but %s", type(model).__name__)
            return
        try:
            self._watcher = Watcher(model, optimizer, *self._options, **self._outputs)
        except TypeError as error:
            log.warning("vgtui watches nothing: %s", error)

    def step(self, loss: Any) -> None:
        """Say that a step is done. A loss that is not a number is left out: trainers leave its form to the user."""
        if self._watcher:
            self._watcher.step(loss=loss if isinstance(loss, torch.Tensor | Real) else None)

    def end(self) -> None:
        """Watch no more."""
        watcher, self._watcher = self._watcher, None
        if watcher:
            watcher.close()
