"""The loss of a step, where a script does not say it: the sum of what was backpropagated since the step before."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger("vgtui")


def note_backward(note: Callable[..., None]) -> Callable[[], None]:
    """Notice what backward() is called on. Tensor.backward calls torch.autograd.backward too.

    Args:
        note: Is called with the arguments of each call, ahead of it. What it raises is left out.

    Returns:
        A function that undoes it. Where somebody else has wrapped the same function since, ours stays and does nothing.
    """
    original = torch.autograd.backward
    is_on = True

    @functools.wraps(original)
    def backward(*arguments: Any, **named: Any) -> Any:
        if is_on:
            try:
                note(*arguments, **named)
            except Exception:
                log.debug("of backward()", exc_info=True)
        return original(*arguments, **named)

    def undo() -> None:
        nonlocal is_on
        is_on = False
        if torch.autograd.backward is backward:
            torch.autograd.backward = original

    torch.autograd.backward = backward
    return undo


class Losses:
    """What backward() was called on, for the coming update.

    Whoever accumulates gradients divides each loss by their number, so that their sum is the loss that is minimized.
    """

    def __init__(self) -> None:
        self._before: list[Tensor] = []
        """Backpropagated between two steps."""
        self._inside: Tensor | None = None
        """Backpropagated by the closure that a step was given, which may call it again."""
        self._is_stepping = False
        self._is_used = False
        """Whether a step was made with them."""

    def add(self, tensors: Any, gradients: Any) -> None:
        """Note what backward() is called on: with gradients of its own it is not a loss, as in a checkpoint."""
        given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if gradients is not None or not all(type(one) is Tensor and one.numel() == 1 for one in given):
            return
        if self._is_used:
            self.clear()
        if self._is_stepping:
            self._inside = _sum(given)
            return
        self._before = [tensor.detach() for tensor in self._before] + given  # no graph is kept but the last one

    def begin_step(self) -> None:
        """Say that an optimizer begins its step."""
        self._is_stepping = True

    def end_step(self) -> None:
        """Say that an optimizer has made its step."""
        self._is_stepping = False
        self._is_used = True
        total = self.total(None)
        self._before = [] if total is None else [total.detach()]  # its graph goes, as it would
        self._inside = None

    def total(self, scale: Tensor | None) -> Tensor | None:
        """Return the loss of the step.

        Args:
            scale: What a GradScaler multiplied it with, if there is one.
        """
        total = _sum([*self._before, *([] if self._inside is None else [self._inside])])
        if total is None or scale is None:
            return total
        return total.detach() / scale.to(total.device)

    def clear(self) -> None:
        """Forget the step."""
        self._before.clear()
        self._inside = None
        self._is_used = False


def _sum(losses: list[Tensor]) -> Tensor | None:
    """Add losses up. A single one keeps its graph, which says what kind of loss it is."""
    if len(losses) <= 1:
        return losses[0] if losses else None
    if len({loss.device for loss in losses}) > 1:
        return None
    with torch.no_grad():
        return torch.stack([loss.detach().reshape(()).float() for loss in losses]).sum()
