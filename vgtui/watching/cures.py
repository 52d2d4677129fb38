"""Cures of a PyTorch model that can be applied: they change the model and its optimizer in place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.errors import unknown_name
from engine.verdict import CALM, Change, Cure, Evidence, Verdict, VerdictKind
from vgtui.watching import module_changes, optimizer_changes
from vgtui.watching.errors import ArgumentError, ChangeError
from vgtui.watching.subject import Subject

SETTINGS = {**module_changes.TABLE, **optimizer_changes.TABLE}
"""What finds and makes a change, by setting."""

Apply = Callable[[nn.Module, torch.optim.Optimizer | None], tuple[nn.Module, torch.optim.Optimizer | None]]


@dataclass(frozen=True, slots=True)
class ModelCure:
    """A cure of a PyTorch model.

    Attributes:
        text: The cure in words.
        apply: apply(model, optimizer) makes it, in place, and returns both; the model that is returned is another one
            only where the root itself had to be replaced. Parameters that a change adds join the optimizer, in the
            group of the layer that they follow; those that it replaces leave it with their state. Raises ChangeError,
            with nothing changed, where there is nothing to change. None where only a person can make the change.
        changes: The changes that `apply` makes.
    """

    text: str
    apply: Apply | None = field(default=None, compare=False, repr=False)
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """What is wrong with a watched model, if anything.

    Attributes:
        kind: The kind of problem, or a calm one.
        message: One sentence, which begins with the kind.
        evidence: The measurements behind it.
        cures: What would help, best first.
    """

    kind: VerdictKind
    message: str
    evidence: tuple[Evidence, ...] = ()
    cures: tuple[ModelCure, ...] = ()

    @property
    def is_calm(self) -> bool:
        """Whether nothing needs to be done."""
        return self.kind in CALM


def applicable(cure: Cure, uses: Sequence[str] = ()) -> ModelCure:
    """Make a cure applicable.

    Args:
        cure: A cure of a watched model, whose changes are in `also`.
        uses: The names of the model's modules in the order of their uses, where that is known. Without it, the order
            in which they are registered says which activation follows which layer.

    Returns:
        The cure, with an `apply` unless only a person can make it.
    """
    own = () if cure.setting is None else (Change(cure.setting, cure.value),)
    changes = own + cure.also
    return ModelCure(cure.text, partial(_apply, changes, tuple(uses)) if changes else None, changes)


def applicable_verdict(verdict: Verdict, uses: Sequence[str] = ()) -> ModelVerdict:
    """Make the cures of a verdict applicable; the arguments are as for `applicable`."""
    cures = tuple(applicable(cure, uses) for cure in verdict.cures)
    return ModelVerdict(verdict.kind, verdict.message, verdict.evidence, cures)


def _apply(changes: Sequence[Change], uses: Sequence[str], model: Any, optimizer: Any) -> tuple[Any, Any]:
    """Make all changes, or none where one of them is not possible."""
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", f"a cure is applied to a torch.nn.Module, not to {type(model).__name__}")
    subject = Subject(model, optimizer, uses)
    edits = [_prepare(subject, change) for change in changes]
    before = list(subject.root.parameters())
    try:
        for change, edit in zip(changes, edits, strict=True):
            _make(change, edit)
    finally:
        subject.settle(before)
    return subject.model, optimizer


def _make(change: Change, edit: module_changes.Edit) -> None:
    try:
        edit()
    except Exception as error:
        raise ChangeError(change.setting, f"{change.value!r} does not fit the model: {error}") from error


def _prepare(subject: Subject, change: Change) -> module_changes.Edit:
    if change.setting not in SETTINGS:
        raise ChangeError("setting", unknown_name("setting", "change", change.setting, SETTINGS).problem)
    if change.setting in module_changes.TABLE:
        subject.check_modules(change.setting, change.setting in module_changes.ADDS_PARAMETERS)
    return SETTINGS[change.setting](subject, change.value)
