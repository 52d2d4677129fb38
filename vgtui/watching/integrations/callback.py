"""What the callbacks of trainers share: one watcher after another, as trainings begin and end."""

import logging
import os
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from vgtui.watching.automatic.losses import Losses, note_backward
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
        self._losses: Losses | None = None
        self._undo: Callable[[], None] | None = None

    def begin(self, model: Any, optimizer: Any, is_scaled: bool = False) -> None:
        """Watch another training, instead of the one before.

        Args:
            model: The model.
            optimizer: Its optimizer, or several.
            is_scaled: Whether losses are multiplied before backward(), so that what is backpropagated is none.
        """
        self.end()
        if not isinstance(model, torch.nn.Module):
            log.warning("vgtui watches nothing: the trainer has no PyTorch model, but %s", type(model).__name__)
            return
        try:
            self._watcher = Watcher(model, optimizer, *self._options, **self._outputs)
        except TypeError as error:
            log.warning("vgtui watches nothing: %s", error)
            return
        if not is_scaled:
            self._losses = Losses()
            self._undo = note_backward(self._note)

    def step(self, loss: Any) -> None:
        """Say that a step is done.

        Args:
            loss: Its loss. Where it is not a number, as trainers leave its form to the user, it is what was
                backpropagated since the step before.
        """
        if not self._watcher:
            return
        told = loss if isinstance(loss, torch.Tensor | Real) else None
        if told is None and self._losses is not None and self._watcher.is_sampling:
            told = self._losses.total(None)
        self._watcher.step(loss=told)
        if self._losses is not None:
            self._losses.end_step()

    def __getstate__(self) -> dict[str, Any]:
        """Make a copy, deep or pickled, that notices no backward()."""
        return {**self.__dict__, "_undo": None, "_losses": None}

    def end(self) -> None:
        """Watch no more."""
        undo, self._undo, self._losses = self._undo, None, None
        if undo:
            undo()
        watcher, self._watcher = self._watcher, None
        if watcher:
            watcher.close()

    def _note(self, tensors: Any, grad_tensors: Any = None, *_: Any, **__: Any) -> None:
        if self._losses is not None and self._watcher and self._watcher.is_sampling:
            self._losses.add(tensors, grad_tensors)
