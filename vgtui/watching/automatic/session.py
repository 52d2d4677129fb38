"""Watching whatever trains in this process, by PyTorch's hooks for all optimizers; the script knows nothing of it."""

import logging
import os
import shlex
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from vgtui.watching.automatic.losses import Losses, note_backward
from vgtui.watching.automatic.models import Objects, find_models, name_of, trained_by
from vgtui.watching.handles import Handle
from vgtui.watching.scaler import loss_scale
from vgtui.watching.watcher import Watcher

log = logging.getLogger("vgtui")

MAX_WATCHERS = 8
"""Models that are watched at the same time in one process."""


class Session:
    """Notices each optimizer's first step, finds what it trains, and has it watched from the next step on.

    Optimizers that step after the same backward pass, on parts of one model, have one watcher.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        every: str | int = "100ms",
        record: str | None = None,
        keep: str | None = None,
        tell: Callable[[str], None] = lambda text: None,
        on_watch: Callable[[Watcher, str], None] | None = None,
    ) -> None:
        """Prepare to watch; nothing is changed.

        Args:
            name: A name in place of what is found.
            every: How often a step is sampled, as in `vgtui.watch`.
            record: A new file for every frame; of several models each has one.
            keep: For how long it keeps every frame, as in `vgtui.watch`.
            tell: Says a line to the user.
            on_watch: Is told each watcher, with its name.
        """
        self._name = name
        self._every = every
        self._record = record
        self._keep = keep
        self._tell = tell
        self._on_watch = on_watch or self._tell_name
        self._losses = Losses()
        self._passes = 0
        """How many times backward() was called."""
        self._watchers: weakref.WeakKeyDictionary[Optimizer, list[weakref.ref[Watcher]]] = weakref.WeakKeyDictionary()
        """Of every optimizer that has made a step. Its own hooks keep its watchers alive, and nothing here does."""
        self._named: dict[str, weakref.ref[Watcher]] = {}
        self._made: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()
        """The steps of each optimizer before it was watched."""
        self._pending: list[Optimizer] = []
        """Made their first step after the present backward pass, and wait for others on parts of the same model."""
        self._pending_pass = 0
        self._handles: list[Handle] = []
        self._undo_backward: Callable[[], None] | None = None
        self._failed = False
        self._is_leaving = False
        self._has_left = threading.Event()

    def install(self) -> None:
        """Begin to notice backward() and the steps of optimizers, but for what comes before them: before_step."""
        self._wrap_backward()
        self._handles.append(register_optimizer_step_post_hook(lambda optimizer, *_: self.after_step(optimizer)))

    def join_in(self) -> None:
        """Begin at the next backward pass, from another thread than the training's: no hooks are called then."""
        self._wrap_backward(self._join_or_leave)

    def leave_soon(self, seconds: float) -> None:
        """Take every hook away at the next backward pass, or after so many seconds in which there was none."""
        self._is_leaving = True
        if not self._has_left.wait(seconds):
            self.leave()

    def _join_or_leave(self) -> None:
        if self._is_leaving:
            self.leave()
        elif not self._handles:
            self._handles.append(register_optimizer_step_pre_hook(lambda one, *_: self.before_step(one)))
            self._handles.append(register_optimizer_step_post_hook(lambda one, *_: self.after_step(one)))

    def _wrap_backward(self, ahead: Callable[[], None] | None = None) -> None:
        """Notice what backward() is called on. Tensor.backward calls torch.autograd.backward too.

        Args:
            ahead: Is called each time.
        """

        def note(*arguments: Any, **named: Any) -> None:
            if ahead:
                ahead()
            self._note_backward(*arguments, **named)

        self._undo_backward = note_backward(note)

    def before_step(self, optimizer: Optimizer) -> None:
        """Is called ahead of each step of an optimizer."""
        self._losses.begin_step()

    def after_step(self, optimizer: Optimizer) -> None:
        """Is called after each step of an optimizer. It raises nothing."""
        if torch.compiler.is_compiling() or self._failed:
            return
        try:
            self._after_step(optimizer)
        except Exception as error:
            self._failed = True
            self.close_watchers()
            self._tell(f"watching stops, the training goes on: {type(error).__name__}: {error}")

    def leave(self) -> None:
        """Take every hook away, but not while an optimizer calls its hooks."""
        self.close_watchers()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self._undo_backward is not None:
            self._undo_backward()
            self._undo_backward = None
        self._has_left.set()

    def close_watchers(self) -> None:
        """Watch no more what is watched."""
        for watcher in self._living():
            watcher.close()

    def _living(self) -> list[Watcher]:
        found = [watcher for known in self._named.values() if (watcher := known()) is not None]
        return [watcher for watcher in found if watcher.model is not None]

    def _note_backward(self, tensors: Any, grad_tensors: Any = None, *_: Any, **__: Any) -> None:
        self._passes += 1
        if any(watcher.is_sampling for watcher in self._living()):
            self._losses.add(tensors, grad_tensors)

    def _after_step(self, optimizer: Optimizer) -> None:
        known = self._watchers.get(optimizer)
        if not known:
            self._made[optimizer] = self._made.get(optimizer, 0) + 1
        if self._pending and (self._pending_pass != self._passes or known is not None):
            self._watch_pending()
            known = self._watchers.get(optimizer)
        elif known is not None:
            self._tell_loss([watcher for each in known if (watcher := each()) is not None])
        if known is None:
            self._watchers[optimizer] = []
            self._pending.append(optimizer)
            self._pending_pass = self._passes
            objects = Objects.now()
            if not self._waits_for_others(objects):
                self._watch_pending(objects)
        self._losses.end_step()

    def _tell_loss(self, watchers: list[Watcher]) -> None:
        loss = None
        if any(watcher.is_sampling for watcher in watchers):
            total = self._losses.total(None)
            scale = None if total is None else loss_scale(None, total.device)
            loss = total if scale is None else self._losses.total(scale)
        for watcher in watchers:
            watcher.step(loss=loss)

    def _waits_for_others(self, objects: Objects) -> bool:
        """Whether an optimizer on a part of the same model has a gradient, and will step after this backward pass."""
        own = trained_by(self._pending)
        for other in objects.optimizers:
            theirs = trained_by([other])
            if other in self._watchers or not theirs - own or not _has_gradient(other):
                continue
            apart = len(find_models(own, objects)) + len(find_models(theirs, objects))
            if len(find_models(own | theirs, objects)) < apart:
                return True
        return False

    def _watch_pending(self, objects: Objects | None = None) -> None:
        """Watch what those optimizers train that have stepped after the same backward pass."""
        optimizers, self._pending = self._pending, []
        trained = trained_by(optimizers)
        objects = objects or Objects.now()
        if is_other_rank() or not trained or objects.is_watched(trained):
            return
        for model in find_models(trained, objects):
            living = {name: known for name, known in self._named.items() if (one := known()) is not None and one.model}
            self._named = living
            if len(living) >= MAX_WATCHERS:
                self._tell(f"more than {MAX_WATCHERS} models are trained; the others are not watched")
                return
            inside = {id(weight) for weight in model.parameters()}
            owners = [one for one in optimizers if trained_by([one]) & inside]
            found = name_of(model, objects, living)
            name = found if self._name is None else self._name if self._name not in living else f"{self._name}-{found}"
            watcher = Watcher(model, owners, name, self._every, self._file(name, len(living)), keep=self._keep)
            watcher.begin_at(self._made.get(owners[0], 0))
            self._named[name] = weakref.ref(watcher)
            self._watchers[owners[-1]].append(weakref.ref(watcher))  # its update ends a step
            self._on_watch(watcher, name)

    def _file(self, name: str, number: int) -> str | None:
        """Return where to record another model."""
        if self._record is None or number == 0:
            return self._record
        path = Path(self._record)
        stem, dot, ending = path.name.partition(".")
        return str(path.with_name(f"{stem}-{name.replace('/', '-')}{dot}{ending}"))

    def _tell_name(self, watcher: Watcher, name: str) -> None:
        if watcher.path:
            self._tell(f"watching {name}; in another terminal: vgtui attach {shlex.quote(name)}")


def _has_gradient(optimizer: Optimizer) -> bool:
    return any(weight.grad is not None for group in optimizer.param_groups for weight in group["params"])


def is_other_rank() -> bool:
    """Whether this is one of several processes of a training that do not know each other, and not the first."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return False  # each has its part in the frames of rank 0
    return "WORLD_SIZE" in os.environ and os.environ.get("RANK", "0") != "0"
