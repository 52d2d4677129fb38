"""One copy of a model after another, each trained on the same batches from the same random state."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import nn

from vgtui.terminal.progress import Advance
from vgtui.terminal.text import shortened
from vgtui.watching.cures import ModelCure
from vgtui.watching.errors import ArgumentError
from vgtui.watching.layers import dense, find_layers, in_order_of_use
from vgtui.watching.optimizer_changes import step_hooks
from vgtui.watching.random_state import seed_all
from vgtui.watching.subject import noting_uses, plain_name
from vgtui.watching.watcher import Watcher
from vgtui.watching.what_if_table import WhatIfRow

LossOf: TypeAlias = Callable[[Any, Any], Any]
"""loss_of(model, batch) computes the loss of a batch."""

MAX_WINDOW = 50
"""Steps over which the loss at last is taken: a tenth of all, but no more than these."""
MAX_PROBLEM = 160
"""Characters of why a change is not possible."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is the same for every change.

    Attributes:
        model: The user's model without wrappers, of which each change has a copy.
        optimizer: Its optimizer without wrappers.
        loss_of: Computes the loss of a batch.
        batches: What each copy is trained on, from the first again after the last.
        steps: The updates of each copy.
        seed: Where random numbers begin, for each copy.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss_of: LossOf
    batches: Sequence[Any]
    steps: int
    seed: int

    def copies(self) -> tuple[Any, Any]:
        """Return a copy of the model and of the optimizer, which trains the copy."""
        known: dict[int, Any] = {}
        try:
            model = copy.deepcopy(self.model, known)
            optimizer = copy.deepcopy(self.optimizer, known)
            # PyTorch leaves out what kinds of optimizers hold beside groups and state
            for name in vars(self.optimizer).keys() - vars(optimizer).keys():
                value = getattr(self.optimizer, name)
                if not callable(value):  # a schedule's step() is bound to the original
                    setattr(optimizer, name, copy.deepcopy(value, known))
        except Exception as error:
            raise ArgumentError("model", f"it cannot be copied: {reason(error)}") from error
        for hook in step_hooks(self.optimizer):  # those of cures that were applied; a copy has no hooks
            copy.copy(hook).install(optimizer)
        if not model.training:
            model.train()
        return model, optimizer


@dataclass(slots=True)
class Result:
    """The losses of a copy, and the ratio of its first layer's gradient to the last one's."""

    steps: int
    losses: list[float] = field(default_factory=list)
    ratio_before: float | None = None
    ratio_after: float | None = None
    uses: tuple[str, ...] = ()

    def row(self, change: str, cure: ModelCure | None = None, is_advised: bool = False) -> WhatIfRow:
        """Make a row of it."""
        last = self.losses[-_window(self.steps) :]
        # one loss that is not finite is what there is to say
        after = sum(last) / len(last) if math.isfinite(last[-1]) else last[-1]
        return WhatIfRow(
            change=change,
            cure=cure,
            is_advised=is_advised,
            steps=len(self.losses),
            loss_before=self.losses[0],
            loss_after=after,
            ratio_before=self.ratio_before,
            ratio_after=self.ratio_after,
        )


def train(trial: Trial, model: Any, optimizer: Any, advance: Advance, watcher: Watcher | None = None) -> Result:
    """Train a copy until its steps are done, or its loss is not finite."""
    result = Result(trial.steps)
    ends: tuple[nn.Parameter, nn.Parameter] | None = None
    norms: list[tuple[float, float]] = []
    seed_all(trial.seed)
    for step in range(trial.steps):
        batch = trial.batches[step % len(trial.batches)]
        if step == 0:
            with noting_uses(model) as used:
                loss = _backward(trial, model, optimizer, batch)
            names = {module: plain_name(name) for name, module in model.named_modules()}
            result.uses = tuple(names[module] for module in used)
            if watcher is not None:
                _check_loss(trial, model)
            ends = _ends(model, used)
            result.ratio_before = _ratio([_norms(ends)])
        else:
            loss = _backward(trial, model, optimizer, batch)
        if step >= trial.steps - _window(trial.steps):
            norms.append(_norms(ends))
        _update(trial, model, optimizer, batch)
        if watcher is not None:
            watcher.step(loss=loss)
        result.losses.append(float(loss.detach()))
        advance(step + 1)
        if not math.isfinite(result.losses[-1]):
            return result
    result.ratio_after = _ratio(norms)
    return result


def _backward(trial: Trial, model: Any, optimizer: Any, batch: Any) -> torch.Tensor:
    """Make the gradients of a batch, and return its loss."""
    optimizer.zero_grad()
    loss = trial.loss_of(model, batch)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        what = f"a tensor of the shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
        raise ArgumentError("loss_of", f"it returns a loss, a tensor with one number, and not {shortened(what, 80)}")
    if not loss.requires_grad:
        raise ArgumentError("loss_of", "its loss has no gradient; nothing that it is computed from is trained")
    loss.sum().backward()
    return loss


def _update(trial: Trial, model: Any, optimizer: Any, batch: Any) -> None:
    if isinstance(optimizer, torch.optim.LBFGS):  # which needs the loss again and again
        optimizer.step(lambda: _backward(trial, model, optimizer, batch))
    else:
        optimizer.step()


def _check_loss(trial: Trial, model: nn.Module) -> None:
    """Raise ArgumentError for a loss that is that of another model than the one it is given."""
    if all(parameter.grad is None for parameter in model.parameters()):
        problem = "its loss does not depend on the model that it is given, its first argument"
        raise ArgumentError("loss_of", problem)
    if any(parameter.grad is not None for parameter in trial.model.parameters()):
        problem = "its loss depends on the original model; it must use the one that it is given, its first argument"
        raise ArgumentError("loss_of", problem)


def _ends(model: nn.Module, used: list[nn.Module]) -> tuple[nn.Parameter, nn.Parameter] | None:
    """Return the weights of the first and of the last layer, matrices alone; None with fewer than two."""
    layers = in_order_of_use(find_layers(model) or [], used)
    trained = [layer for layer in layers if layer.weight.requires_grad and layer.kind != "Embedding"]
    matrices = [layer.weight for layer in trained if layer.weight.ndim >= 2]
    return (matrices[0], matrices[-1]) if len(matrices) >= 2 else None


def _norms(ends: tuple[nn.Parameter, nn.Parameter] | None) -> tuple[float, float]:
    """Return the norms of two gradients; NaN for one that is not there."""
    if ends is None:
        return math.nan, math.nan
    first, last = (math.nan if end.grad is None else float(dense(end.grad).norm()) for end in ends)
    return first, last


def _ratio(norms: list[tuple[float, float]]) -> float | None:
    """Return the ratio of the sums; None where it is unknown."""
    first, last = (sum(column) for column in zip(*norms, strict=True)) if norms else (math.nan, math.nan)
    return first / last if last and math.isfinite(first) and math.isfinite(last) else None


def _window(steps: int) -> int:
    return min(MAX_WINDOW, max(1, steps // 10))


def reason(error: Exception) -> str:
    """Return the first line of an error, with its kind."""
    line = next(iter(str(error).strip().splitlines()), "")
    return shortened(f"{type(error).__name__}: {line}", MAX_PROBLEM)
