"""Watches what a process trains, from the steps of its optimizers: PyTorch's global hooks tell of each.

At an optimizer's first step its model is looked for. Optimizers of one model that share a backward pass have one
watcher; those whose passes are apart, such as the two of a GAN, have one each.
"""

import logging
import os
import shlex
import sys
from collections.abc import Callable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, WeakMethod

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from vgtui.watching.automatic.environment import Wishes, wishes_of
from vgtui.watching.automatic.find import Modules, find_models, name_of, trained
from vgtui.watching.automatic.losses import Losses

log = logging.getLogger("vgtui")

Optimizer: TypeAlias = torch.optim.Optimizer
Signature = tuple[tuple[int, int], ...]
"""The gradients of an optimizer: which tensors they are, and how often each was written."""


class Automatic:
    """Finds the models of a process, and keeps a watcher for each."""

    def __init__(self, wishes: Wishes, tell: Callable[[Any], None]) -> None:
        """Prepare to look.

        Args:
            wishes: How models are watched.
            tell: Is given the watcher of each model.
        """
        self._wishes = wishes
        self._tell = tell
        self.leaves: Callable[[int], bool] | None = None
        """Is told the number of viewers after each step, and says whether to watch no more."""
        self._losses = Losses()
        self._handles: list[Any] = []
        self._reset()

    def _reset(self) -> None:
        self._groups: list[_Group] = []
        self._group_of: WeakKeyDictionary[Optimizer, _Group] = WeakKeyDictionary()
        self._names: set[str] = set()

    def begin(self) -> None:
        """Look at every step of every optimizer from now on."""
        self._handles = [
            register_optimizer_step_pre_hook(self._guarded(self._before)),
            register_optimizer_step_post_hook(self._guarded(self._after)),
        ]
        self._losses.begin()
        os.register_at_fork(after_in_child=_resetting(WeakMethod(self._reset)))  # a child has its own trainings

    def end(self) -> None:
        """Take everything away, and watch no more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._losses.end()
        for group in self._groups:
            group.close()
        self._reset()

    def _before(self, optimizer: Optimizer, *_: Any) -> None:
        group = self._group_of.get(optimizer)
        if group is None:
            self._meet(optimizer)
        elif not group.is_watched and optimizer is group.optimizers[0]:
            group.waits = False  # all that belongs to it had its turn

    def _after(self, optimizer: Optimizer, *_: Any) -> None:
        loss = self._losses.take()
        group = self._group_of.get(optimizer)
        if group is None:
            return
        group.steps += optimizer is group.optimizers[0]
        if not group.is_watched and not group.waits:
            self._watch(group)
        elif group.watchers and optimizer is group.optimizers[-1]:
            for watcher in group.watchers:
                watcher.step(loss=loss)
            if self.leaves and self.leaves(
                sum(watcher.viewers for group in self._groups for watcher in group.watchers)
            ):
                self.end()

    def _meet(self, optimizer: Optimizer) -> None:
        """Take in an optimizer at its first step: it joins a group whose last update followed the same pass."""
        modules = Modules()
        signature = _signature(optimizer)
        for group in self._groups:
            if signature and group.signatures.get(optimizer) == signature and not group.is_watched:
                group.optimizers.append(optimizer)
                self._group_of[optimizer] = group
                return
        others = [other for other in modules.optimizers if other is not optimizer and other not in self._group_of]
        relatives = [
            other
            for other in others
            if (both := [*trained(optimizer), *trained(other)]) and modules.smallest_with(both) is not None
        ]
        group = _Group(optimizer, {other: _signature(other) for other in relatives})
        self._groups.append(group)
        self._group_of[optimizer] = group

    def _watch(self, group: "_Group") -> None:
        group.is_watched = True
        group.signatures.clear()
        modules = Modules()
        for model in find_models(group.optimizers, modules):
            self._replace(model)
            name = self._name(model, modules)
            group.watch(model, name, self._wishes.every, self._record(name))
        for watcher in group.watchers:
            if watcher.path:
                self._tell(watcher)

    def _replace(self, model: torch.nn.Module) -> None:
        """Let go of a watcher whose model has another optimizer now."""
        for group in self._groups:
            group.drop(model)

    def _name(self, model: torch.nn.Module, modules: Modules) -> str:
        """Return a name that no other model has."""
        kind = type(model).__name__
        own = name_of(model, modules)
        wished = self._wishes.name
        names = [wished, f"{wished}-{own}"] if wished else [own if kind in GENERIC else kind, own]
        names += [f"{names[-1]}-{number}" for number in range(2, 1000)]
        chosen = next((name for name in names if name not in self._names), names[-1])
        self._names.add(chosen)
        return chosen

    def _record(self, name: str) -> str | None:
        """Return the file of a model; that of the second and any later one has its name."""
        path = self._wishes.record
        if path is None or len(self._names) == 1:
            return path
        folder, file = os.path.split(path)
        stem, dot, suffix = file.partition(".")
        return os.path.join(folder, f"{stem}-{name.replace(os.sep, '-')}{dot}{suffix}")

    def _guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            try:
                function(*arguments)
            except Exception:
                log.warning("vgtui watches nothing more, the training goes on; please report this", exc_info=True)
                try:
                    self.end()
                except Exception:
                    log.debug("while giving up", exc_info=True)

        return call


GENERIC = ("Sequential", "ModuleList", "ModuleDict", "Module")
"""Classes whose names say nothing of a model."""


class _Group:
    """Optimizers that are stepped after the same backward passes.

    Attributes:
        optimizers: In the order of their steps.
        signatures: The gradients, at the first step, of those that may belong to it.
        waits: Whether it may still grow.
        is_watched: Whether its models were looked for.
        watchers: One for each of its models.
        steps: The updates of its first optimizer.
    """

    def __init__(self, optimizer: Optimizer, signatures: dict[Optimizer, Signature]) -> None:
        self.optimizers = [optimizer]
        self.signatures = signatures
        self.waits = bool(signatures)
        self.is_watched = False
        self.watchers: list[Any] = []
        self.steps = 0

    def watch(self, model: torch.nn.Module, name: str, every: str | int, record: str | None) -> None:
        from vgtui.watching.watcher import Watcher

        held = {id(entry) for entry in model.parameters()}
        own = [one for one in self.optimizers if any(id(entry) in held for entry in trained(one))]
        watcher = Watcher(model, own if len(own) > 1 else own[0], name, every, record)
        watcher.was_found(self.steps)
        self.watchers.append(watcher)

    def drop(self, model: torch.nn.Module) -> None:
        for watcher in [watcher for watcher in self.watchers if watcher.watches(model)]:
            self.watchers.remove(watcher)
            watcher.close()

    def close(self) -> None:
        for watcher in self.watchers:
            watcher.close()
        self.watchers.clear()


def begin() -> None:
    """Begin in a process that `vgtui exec` has started."""
    wishes = wishes_of(os.environ)
    if wishes is not None:
        Automatic(wishes, _tell).begin()


def _resetting(method: WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    """Return what calls a method while its object is there."""

    def call() -> None:
        if (found := method()) is not None:
            found()

    return call


def _tell(watcher: Any) -> None:
    sys.stderr.write(f"vgtui attach {shlex.quote(watcher.name)}\n")
    sys.stderr.flush()


def _signature(optimizer: Optimizer) -> Signature:
    gradients = [entry.grad for entry in trained(optimizer)]
    return tuple((id(gradient), gradient._version) for gradient in gradients if gradient is not None)
