"""Watching a PyTorch model while its own script trains it: hooks that read, and never disturb.

Without a viewer and a recording, a step costs two comparisons. With one, a step is sampled as often as `every` says:
its hooks are there for that step alone.
"""

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from engine.model_diagnosis import PYTORCH
from vgtui.watching.cadence import Cadence
from vgtui.watching.emitter import Emitter
from vgtui.watching.errors import ArgumentError
from vgtui.watching.layers import Layer, activations, find_layers, in_order_of_use, is_activation, traceable
from vgtui.watching.sample import BEFORE, Arrival, Handle, Sample
from vgtui.wire.frames import BackendInfo, ModelInfo

log = logging.getLogger("vgtui")

COMPILED = "compiled by torch: activations and error signals cannot be seen, gradients and weights can"
NO_GRADIENT = "no layer has a gradient; call watcher.step() between backward() and zero_grad(), or give the optimizer"
NO_HOOKS = "has no hooks; call watcher.step() between backward() and zero_grad()"
MOST_USES = 2**16
"""Of modules, that are remembered until the first update: a model may be used for long before it is trained."""
CLIPPED = 1e-3
"""Norms before and after that differ by less of themselves were not clipped."""
SCALER_FRAMES = 8
"""How far up the stack a GradScaler is looked for that calls the optimizer."""
MAX_WRAPPERS = 8
"""Optimizers around an optimizer, as Accelerate and Lightning have one each."""


class Watcher:
    """What `vgtui.watch` gives: a context manager, or a plain object with step() and close()."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        name: str | None,
        every: str | int,
        record: str | os.PathLike[str] | None,
    ) -> None:
        Cadence(every)  # a wrong one is told in every rank
        self._reset()
        try:
            self._begin_watching(model, optimizer, name, every, record)
        except ArgumentError:
            raise
        except Exception:
            log.warning("vgtui watches nothing, the training goes on; please report this", exc_info=True)
            self.close()

    def _reset(self) -> None:
        """As it is where nothing is watched."""
        self._inner: nn.Module = nn.Identity()
        self._distributed = False
        self._optimizer: torch.optim.Optimizer | None = None
        self._emitter: Emitter | None = None
        self._layers: list[Layer] = []
        self._activations: list[nn.Module] = []
        self._activated: frozenset[int] = frozenset()
        self._as_made = range(0)
        """The layers whose gradient is looked at ahead of clipping: the last one, and all once it was clipped."""
        self._used: list[nn.Module] = []
        self._handles: list[Handle] = []
        self._tracing: list[Handle] = []
        self._sample: Sample | None = None
        self._arriving: deque[Arrival] = deque()
        self._steps = 0
        self._told = self._guarded(self._step)
        self._tells = False
        """Whether step() is called, so that a frame waits for it."""
        self._warned_of_gradients = False
        self._spent = 0.0
        """Seconds that our hooks have taken since the last frame."""

    def _begin_watching(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        name: str | None,
        every: str | int,
        record: str | os.PathLike[str] | None,
    ) -> None:
        self._inner = model.module if isinstance(model, DistributedDataParallel | DataParallel) else model
        ranks = torch.distributed.get_world_size() if _is_distributed() else 1
        # the callbacks' trainers give the model itself, without what gathers its gradients
        self._distributed = isinstance(model, DistributedDataParallel) or ranks > 1
        if _is_distributed() and torch.distributed.get_rank() != 0:
            return
        called = type(getattr(self._inner, "_orig_mod", self._inner)).__name__ if name in (None, "") else name
        self._emitter = Emitter(name=called, framework=PYTORCH, every=every, record=record)
        self._install(optimizer)

    @property
    def path(self) -> str | None:
        """The socket that viewers attach to; None where there is none."""
        return self._emitter.path if self._emitter else None

    def step(self, loss: Any = None, accuracy: Any = None) -> None:
        """Say that a training step is done, with its loss (a tensor is not waited for) and what else there is to say.

        Where no optimizer was given, call it between backward() and zero_grad().
        """
        self._told(loss, accuracy)

    def close(self) -> None:
        """Leave the model as it was. Viewers are told that the training has ended."""
        self._guarded(self._close)()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[], "Watcher"], tuple[()]]:
        """A copy, deep or pickled, as of a model that has its watcher in it, watches nothing."""
        return _watch_nothing, ()

    def _close(self) -> None:
        try:
            self._deliver(True)
        finally:
            self._remove_hooks()
        emitter, self._emitter = self._emitter, None
        if emitter:
            emitter.close()

    def _install(self, optimizer: torch.optim.Optimizer | None) -> None:
        note_use = self._guarded(self._note_use)
        # ahead of its call: a module with parts in it is used before they are
        for module in traceable(self._inner):
            self._tracing.append(module.register_forward_pre_hook(note_use))
        before, after = self._guarded(self._before_update), self._guarded(self._after_update)
        for candidate in _innermost_first(optimizer):
            handles: list[Handle] = []
            try:
                handles.append(candidate.register_step_pre_hook(before))
                handles.append(candidate.register_step_post_hook(after))
            except Exception:  # something around an optimizer, or of another library
                for handle in handles:
                    handle.remove()
                continue
            self._handles += handles
            self._optimizer = candidate
            return
        if optimizer is not None:
            log.warning("vgtui: %s %s", type(optimizer).__name__, NO_HOOKS)

    def _note_use(self, module: nn.Module, inputs: Any) -> None:
        if len(self._used) < MOST_USES:
            self._used.append(module)

    def _before_update(self, optimizer: torch.optim.Optimizer, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The gradients are what the update takes, unless they are made only then: by a closure that is given to it."""
        closure = named.get("closure", given[1] if len(given) > 1 else None)
        if closure is None:
            self._take_gradients()
            return None
        take = self._guarded(self._take_gradients)

        def then_look() -> Any:
            result = closure()
            take()
            return result

        return given[:1], {**named, "closure": then_look}

    def _take_gradients(self) -> None:
        """They are whole, unscaled and clipped."""
        if self._emitter is None:
            return
        if not self._layers:
            self._begin(self._emitter)
        sample = self._sample
        if sample is None:
            return
        if sample.was_read and sample.step < self._steps:  # nobody has told a loss since
            self._send(None, None)
        else:
            self._read(sample, self._scale(), with_update=True)

    def _after_update(self, *_: Any) -> None:
        self._steps += 1
        if self._sample and self._sample.was_read:
            self._sample.read_update()
            if not self._tells and self._steps > 1:
                self._send(None, None)
        self._look_ahead()

    def _step(self, loss: Any, accuracy: Any) -> None:
        self._tells = True
        if self._emitter is None:
            return
        if self._optimizer is None:
            if not self._layers:
                self._begin(self._emitter)
            if self._sample and not self._sample.was_read:
                self._read(self._sample, None, with_update=False)
            self._steps += 1
        if self._sample and self._sample.was_read:
            self._send(loss, accuracy)
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Between two steps: give what has arrived, and get ready for the next one if it is to be sampled."""
        if self._arriving:
            self._deliver(False)
        if self._sample is None and self._emitter and self._layers and self._emitter.is_due(self._steps):
            self._sample = Sample(self._steps, self._layers, self._activated)
            self._sample.arm(self._activations, self._guarded, self._as_made)

    def _begin(self, emitter: Emitter) -> None:
        """The first step has shown which layers there are, in which order."""
        found = find_layers(self._inner)
        if not found:
            return
        self._stop_tracing()
        self._layers = in_order_of_use(found, self._used)
        self._activations = activations(self._inner)
        after = _activations_after(self._layers, self._used)
        self._activated = frozenset(place for place, layer in enumerate(self._layers) if id(layer.module) in after)
        if not self._distributed:  # where a gradient is not whole before the others' have come
            self._as_made = range(len(self._layers) - 1, len(self._layers))
        self._used.clear()
        weight = self._layers[-1].weight
        emitter.begin(
            ModelInfo(
                emitter.name,
                PYTORCH,
                sum(parameter.numel() for parameter in self._inner.parameters()),
                type(self._optimizer).__name__ if self._optimizer is not None else None,
            ),
            BackendInfo("torch", str(weight.device), str(weight.dtype).removeprefix("torch."), None),
            tuple(layer.info(after.get(id(layer.module), "")) for layer in self._layers),
        )
        if not all(layer.traced for layer in self._layers):
            emitter.note(f"{emitter.name} is {COMPILED}")
            log.warning("vgtui: %s is %s", emitter.name, COMPILED)
        if emitter.is_due(self._steps):
            self._sample = Sample(self._steps, self._layers)

    def _read(self, sample: Sample, scale: Tensor | None, with_update: bool) -> None:
        if not sample.read_gradients(scale, with_update):
            self._sample = None
            if not self._warned_of_gradients and self._emitter:
                self._warned_of_gradients = True
                self._emitter.note(NO_GRADIENT)
                log.warning("vgtui: %s", NO_GRADIENT)

    def _send(self, loss: Any, accuracy: Any) -> None:
        sample, self._sample = self._sample, None
        if sample:
            self._arriving.append(sample.send(loss, accuracy))
            self._deliver(False)

    def _deliver(self, wait: bool) -> None:
        """Give frames of what has reached the host."""
        while self._arriving and self._emitter:
            if wait:
                self._arriving[0].wait()
            elif not self._arriving[0].is_here():
                return
            arrival = self._arriving.popleft()
            fields, single = arrival.numbers()
            clip_factor = _as_made(fields, single.pop("scale", 1.0), knows_scale=self._optimizer is not None)
            if clip_factor is not None and clip_factor != 1:
                self._as_made = range(len(self._layers))
            if "update" in fields:
                with np.errstate(divide="ignore", invalid="ignore"):
                    fields["update_ratio"] = fields.pop("update") / fields["weight_norm"]
            self._emitter.emit(arrival.step, clip_factor=clip_factor, **single, **fields)
            self._emitter.took(self._spent)
            self._spent = 0.0

    def _scale(self) -> Tensor | None:
        """By what a GradScaler that calls the optimizer has multiplied the loss; it does not tell the optimizer."""
        frame = sys._getframe()
        for _ in range(SCALER_FRAMES):
            if frame.f_back is None:
                break
            frame = frame.f_back
            caller = frame.f_locals.get("self") if frame.f_code.co_name == "_maybe_opt_step" else None
            if isinstance(caller, torch.amp.GradScaler):
                return caller.scale(torch.ones((), device=self._layers[-1].weight.device))
        return None

    def _guarded(self, function: Callable[..., Any]) -> "Guarded":
        return Guarded(function, self)

    def spend(self, seconds: float) -> None:
        """A hook has taken so long."""
        self._spent += seconds

    def give_up(self) -> None:
        """A fault of ours is not the training's: say so once, and watch no more."""
        emitter, self._emitter = self._emitter, None
        if emitter:
            log.warning(
                "vgtui stops watching %s, the training goes on; please report this", emitter.name, exc_info=True
            )
            self._remove_hooks()
            emitter.note("vgtui stops watching, by a fault of its own; the training goes on")
            emitter.close()

    def _stop_tracing(self) -> None:
        for handle in self._tracing:
            handle.remove()
        self._tracing.clear()

    def _remove_hooks(self) -> None:
        self._stop_tracing()
        if self._sample:
            self._sample.disarm()
        self._sample = None
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._arriving.clear()


class Guarded:
    """A hook that raises nothing. A copy of the model, deep or pickled, has one that does nothing instead."""

    def __init__(self, function: Callable[..., Any], watcher: Watcher) -> None:
        self._function = function
        self._watcher = watcher

    def __call__(self, *arguments: Any) -> Any:
        began = time.perf_counter()
        result = None
        try:
            result = self._function(*arguments)
        except Exception:
            try:
                self._watcher.give_up()
            except Exception:
                log.debug("while giving up", exc_info=True)
        self._watcher.spend(time.perf_counter() - began)
        return result

    def __deepcopy__(self, memo: Any) -> Callable[..., None]:
        return _nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _get_nothing, ()


def _nothing(*_: Any) -> None:
    """What is left of a hook in a copy."""


def _get_nothing() -> Callable[..., None]:
    return _nothing


def _watch_nothing() -> Watcher:
    watcher = Watcher.__new__(Watcher)
    watcher._reset()
    return watcher


def _is_distributed() -> bool:
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


def _innermost_first(optimizer: Any) -> list[Any]:
    """An optimizer, and behind it what is wrapped around it: only the innermost one's step is sure to be an update."""
    found: list[Any] = []
    while optimizer is not None and len(found) < MAX_WRAPPERS and all(optimizer is not other for other in found):
        found.insert(0, optimizer)
        try:
            optimizer = getattr(optimizer, "optimizer", None)
        except Exception:
            break
    return found


def _activations_after(layers: list[Layer], used: list[nn.Module]) -> dict[int, str]:
    """By the id of a layer's module, the kind of the activation that was used next after it."""
    modules = {id(layer.module) for layer in layers}
    found: dict[int, str] = {}
    current: int | None = None
    for module in used:
        if id(module) in modules:
            current = id(module)
        elif current is not None and is_activation(module):
            found.setdefault(current, type(module).__name__)
    return found


def _as_made(fields: dict[str, Any], scale: float, knows_scale: bool) -> float | None:
    """Let grad_norm and delta_norm be what backpropagation gave, without the loss's scale and ahead of clipping.

    Returns by what clipping multiplied the norm of all gradients, None where that is not known.
    """
    made = fields.pop(BEFORE, None)
    if "delta_norm" in fields:
        fields["delta_norm"] = fields["delta_norm"] / scale
    if made is None:
        return None
    after = fields["grad_norm"]
    seen = ~(np.ma.getmaskarray(made) | np.ma.getmaskarray(after))
    before, then = np.ma.getdata(made) / scale, np.ma.getdata(after)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = float(np.linalg.norm(then[seen]) / np.linalg.norm(before[seen]))
    if abs(factor - 1) <= CLIPPED:
        return 1.0
    if not knows_scale:  # changed by a scale or by clipping: nobody can tell
        fields.pop("delta_norm", None)
        return None
    if seen.sum() == np.sum(~np.ma.getmaskarray(after)):  # of all, not of the one that is looked at by itself
        fields["grad_norm"] = np.ma.MaskedArray(np.where(seen, before, then), mask=np.ma.getmaskarray(after))
    return factor if np.isfinite(factor) else None
