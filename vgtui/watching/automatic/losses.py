"""The losses of a training whose script does not tell them: the tensors whose backward() is called."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

MAX_LOSSES = 1024
"""Tensors that are kept until the next update; of more, as endless accumulation makes them, none is known."""


class Losses:
    """Gathers what is backpropagated between one update and the next."""

    def __init__(self) -> None:
        self._pending: list[Tensor] = []
        self._is_taken = False
        self._backward: Callable[..., Any] | None = None

    def begin(self) -> None:
        """Look at every call of torch.autograd.backward, which Tensor.backward calls too."""
        backward = self._backward = torch.autograd.backward

        @wraps(backward)
        def backward_and_note(tensors: Any, *arguments: Any, **named: Any) -> Any:
            result = backward(tensors, *arguments, **named)
            self.note(tensors)
            return result

        torch.autograd.backward = backward_and_note

    def end(self) -> None:
        """Look no more."""
        if self._backward is not None:
            torch.autograd.backward = self._backward
        self._backward = None
        self._pending.clear()

    def note(self, tensors: Any) -> None:
        """Keep a loss: a tensor of one number."""
        if self._is_taken:
            self._pending.clear()
            self._is_taken = False
        given = [tensors] if isinstance(tensors, Tensor) else tensors
        if isinstance(given, list | tuple) and len(self._pending) <= MAX_LOSSES:
            self._pending += [tensor for tensor in given if isinstance(tensor, Tensor) and tensor.numel() == 1]

    def take(self) -> Tensor | None:
        """Return the loss of an update: the sum of what was backpropagated since the update before.

        Two optimizers whose updates follow one pass have the same. None if nothing is known.
        """
        self._is_taken = True
        if not self._pending or len(self._pending) > MAX_LOSSES:
            return None
        if len(self._pending) == 1:
            return self._pending[0]
        first, *others = (tensor.detach().reshape(()) for tensor in self._pending)
        return sum((other.to(first.device) for other in others), start=first)
