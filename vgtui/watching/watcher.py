"""Watching a PyTorch model while its own script trains it: hooks that read, and never disturb.

Without a viewer and a recording, a step costs a few comparisons. With one, a step is sampled as often as `every` says:
its hooks are there for that step alone.
"""

import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from engine.model_diagnosis import PYTORCH
from engine.observations import LossFunction, Observations, Targets, Tie
from engine.verdict import Verdict
from vgtui.model.ranks import odd_rank
from vgtui.watching.cadence import Cadence
from vgtui.watching.clipping import Clipping
from vgtui.watching.cures import ModelVerdict, applicable_verdict
from vgtui.watching.emitter import Emitter, SilentEmitter
from vgtui.watching.errors import ArgumentError
from vgtui.watching.guarded import Guarded
from vgtui.watching.layers import (
    Layer,
    activations,
    activations_after,
    find_layers,
    in_order_of_use,
    traceable,
)
from vgtui.watching.loss_graph import describe_loss
from vgtui.watching.mesh import is_flat
from vgtui.watching.optimizer_facts import OptimizerFacts
from vgtui.watching.ranks import Ranks, join_ranks
from vgtui.watching.sample import Arrival, Handle, Sample
from vgtui.watching.scaler import loss_scale
from vgtui.watching.ties import Ties
from vgtui.wire.frames import BackendInfo, LayerInfo, ModelInfo

log = logging.getLogger("vgtui")

COMPILED = "compiled by torch: activations and error signals cannot be seen, gradients and weights can"
FLAT = "FullyShardedDataParallel has made one weight of each unit; with use_orig_params=True each layer is seen"
NO_GRADIENT = "no layer has a gradient; call watcher.step() between backward() and zero_grad(), or give the optimizer"
NO_HOOKS = "has no hooks; call watcher.step() between backward() and zero_grad()"
MAX_USES = 2**16
"""Uses of modules that are remembered until the first update: a model may be used for long before it is trained."""
MAX_WRAPPERS = 8
"""Optimizers around an optimizer, as Accelerate and Lightning have one each."""


class Phase(Enum):
    """What a watcher does now."""

    CLOSED = auto()
    """Nothing is watched."""
    TRACING = auto()
    """The uses of modules are noted, until the first gradients show which layers there are."""
    WAITING = auto()
    """No step is sampled."""
    SAMPLING = auto()
    """The coming step is sampled: its gradients are not there yet."""
    READ = auto()
    """The gradients of the sampled step were read, and its update is not done."""
    UPDATED = auto()
    """The update of the sampled step was read; only its loss is missing."""


class Moment(Enum):
    """A point of a training step, at which a watcher acts."""

    GRADIENTS = auto()
    """The gradients are whole, unscaled and clipped. A closure may make them several times a step."""
    UPDATE = auto()
    """The optimizer has changed the weights."""
    STEP = auto()
    """step() is called."""


class Watcher:
    """What `vgtui.watch` returns: a context manager, or a plain object with step() and close()."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        name: str | None,
        every: str | int,
        record: str | os.PathLike[str] | None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """Begin to watch; the arguments are those of `vgtui.watch`.

        Raises:
            ArgumentError: An argument is plainly wrong.
        """
        Cadence(every)  # a wrong one is an error in every rank
        if scaler is not None and not callable(getattr(scaler, "scale", None)):
            raise ArgumentError("scaler", f"{type(scaler).__name__} is not a GradScaler")
        self._reset()
        try:
            self._begin_watching(model, optimizer, name, every, record, scaler)
        except ArgumentError:
            raise
        except Exception:
            log.warning("vgtui watches nothing, the training goes on; please report this", exc_info=True)
            self.close()

    def _reset(self) -> None:
        """Watch nothing."""
        self._phase = Phase.CLOSED
        self._inner: nn.Module = nn.Identity()
        self._distributed = False
        self._optimizer: torch.optim.Optimizer | None = None
        self._scaler: torch.amp.GradScaler | None = None
        self._emitter: Emitter | None = None
        self._ranks: Ranks | None = None
        self._open_stage: Callable[[str, int], Emitter]
        self._header: tuple[ModelInfo, BackendInfo, tuple[LayerInfo, ...]]
        self._odd = ""
        """What was last said of a rank that differs from the others."""
        self._last_verdict: Verdict | None = None
        self._layers: list[Layer] = []
        self._activations: list[nn.Module] = []
        self._activated: frozenset[int] = frozenset()
        self._clipping = Clipping(0, False)
        self._ties: Ties | None = None
        self._seen = Observations()
        """What the sampled step has shown so far."""
        self._loss_function: LossFunction | None = None
        self._first_weight_norms: NDArray[np.float64] | None = None
        self._used: list[nn.Module] = []
        self._kinds: frozenset[str] = frozenset()
        """The classes of the modules."""
        self._uses: tuple[str, ...] = ()
        """The names of the modules in the order of their first use."""
        self._handles: list[Handle] = []
        self._tracing: list[Handle] = []
        self._sample: Sample | None = None
        """The sampled step, in the phases SAMPLING, READ and UPDATED."""
        self._arriving: deque[tuple[Arrival, Observations]] = deque()
        self._steps = 0
        self._is_told = False
        """Whether step() was called."""
        self._on_step = self._guarded(self._step)
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
        scaler: torch.amp.GradScaler | None,
    ) -> None:
        self._inner = model.module if isinstance(model, DistributedDataParallel | DataParallel) else model
        ranks = torch.distributed.get_world_size() if _is_distributed() else 1
        # the callbacks' trainers give the model itself, without what gathers its gradients
        self._distributed = isinstance(model, DistributedDataParallel) or ranks > 1
        self._ranks = join_ranks(every, record is not None)
        if self._ranks.rank:
            if self._ranks.is_alone:
                return
            self._open_stage = partial(self._begin_stage, every, record)
            record = None
        called = type(getattr(self._inner, "_orig_mod", self._inner)).__name__ if name in (None, "") else name
        kind = SilentEmitter if self._ranks.rank else Emitter
        self._emitter = kind(name=called, framework=PYTORCH, every=every, record=record)
        self._scaler = scaler
        self._phase = Phase.TRACING
        self._install(optimizer)

    @property
    def path(self) -> str | None:
        """The socket that viewers attach to; None if there is none."""
        return self._emitter.path if self._emitter else None

    @property
    def verdict(self) -> ModelVerdict | None:
        """The newest verdict: its kind, message, evidence and cures. None before the first sampled step.

        A cure that a machine can make has apply(model, optimizer).

        Without a viewer and a recording few steps are sampled, until it is asked for: from then on as many as `every`
        says.
        """
        verdict = self._emitter.verdict if self._emitter else self._last_verdict
        return applicable_verdict(verdict, self._uses) if verdict else None

    def step(self, loss: Any = None, accuracy: Any = None) -> None:
        """Say that a training step is done.

        Without an optimizer, call it between backward() and zero_grad().

        Args:
            loss: The loss of the step: a number, or a tensor, which is not waited for.
            accuracy: The accuracy, in the same form.
        """
        self._on_step(loss, accuracy)

    def close(self) -> None:
        """Leave the model as it was, and tell viewers that the training has ended."""
        self._guarded(self._close)()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[], "Watcher"], tuple[()]]:
        """Make a copy, deep or pickled, watch nothing: a model may have its watcher in it."""
        return _watch_nothing, ()

    def _close(self) -> None:
        try:
            self._deliver(True)
        finally:
            self._stop()
        emitter, self._emitter = self._emitter, None
        if emitter:
            self._last_verdict = emitter.verdict
            emitter.close()

    def _install(self, optimizer: torch.optim.Optimizer | None) -> None:
        note_use = self._guarded(self._note_use)
        # before its call: a module with parts in it is used before they are
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

    # what happens in a training step

    def _note_use(self, module: nn.Module, inputs: Any) -> None:
        if len(self._used) < MAX_USES:
            self._used.append(module)

    def _before_update(self, optimizer: torch.optim.Optimizer, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Take the gradients that the update uses, or have a closure that makes them do it each time it is called."""
        closure = named.get("closure", given[1] if len(given) > 1 else None)
        if closure is None:
            self._advance(Moment.GRADIENTS)
            return None
        advance = self._guarded(self._advance)

        def closure_and_gradients() -> Any:
            result = closure()
            advance(Moment.GRADIENTS)
            return result

        return given[:1], {**named, "closure": closure_and_gradients}

    def _after_update(self, *_: Any) -> None:
        self._steps += 1
        if self._ranks:
            self._ranks.updated()
        self._advance(Moment.UPDATE)

    def _step(self, loss: Any, accuracy: Any) -> None:
        self._is_told = True
        if self._optimizer is None:
            self._advance(Moment.GRADIENTS)
            self._after_update()
        self._advance(Moment.STEP, loss, accuracy)

    def _advance(self, moment: Moment, loss: Any = None, accuracy: Any = None) -> None:
        """Do what is due at a moment. Only here does one phase follow another, until the watcher stops."""
        if self._phase is not Phase.WAITING:
            self._phase = self._act(moment, loss, accuracy)
        if moment is not Moment.GRADIENTS:  # between two steps
            if self._arriving:
                self._deliver(False)
            if self._phase is Phase.WAITING:
                self._phase = self._arm()

    def _stop(self) -> None:
        """Take every hook away, for good."""
        self._phase = Phase.CLOSED
        self._stop_tracing()
        if self._sample:
            self._sample.disarm()
            self._sample.release()
        self._sample = None
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._arriving.clear()
        ranks, self._ranks = self._ranks, None
        if ranks:
            ranks.close()

    # what happens in a phase; each returns the next one

    def _act(self, moment: Moment, loss: Any, accuracy: Any) -> Phase:
        phase = self._phase
        if phase is Phase.TRACING and moment is Moment.GRADIENTS:
            phase = self._begin()
        match phase, moment:
            case Phase.SAMPLING, Moment.GRADIENTS:
                return self._read_gradients()
            case Phase.READ, Moment.GRADIENTS:  # a closure was called again
                return self._read_gradients(again=True)
            case Phase.READ, Moment.UPDATE:
                return self._read_update()
            case Phase.UPDATED, Moment.GRADIENTS:  # step() was not called after the last update
                return self._send(None, None)
            case ((Phase.READ | Phase.UPDATED), Moment.STEP):
                return self._send(loss, accuracy)
        return phase

    def _begin(self) -> Phase:
        """Tell viewers which layers there are, in which order, as the first step has shown."""
        emitter = self._emitter
        found = find_layers(self._inner)
        if not found or emitter is None:
            return Phase.TRACING
        self._stop_tracing()
        self._layers = in_order_of_use(found, self._used)
        self._activations = activations(self._inner)
        after = activations_after(self._layers, self._used)
        self._activated = frozenset(index for index, layer in enumerate(self._layers) if id(layer.module) in after)
        self._clipping = Clipping(len(self._layers), is_visible=not self._distributed)
        self._ties = Ties(self._inner, self._layers, self._optimizer)
        self._kinds = frozenset(type(module).__name__ for module in self._inner.modules())
        names = {id(module): name for name, module in self._inner.named_modules()}
        self._uses = tuple(dict.fromkeys(names[id(module)] for module in self._used if id(module) in names))
        self._used.clear()
        weight = self._layers[-1].weight
        self._header = (
            ModelInfo(
                emitter.name,
                PYTORCH,
                sum(parameter.numel() for parameter in self._inner.parameters()),
                type(self._optimizer).__name__ if self._optimizer is not None else None,
            ),
            BackendInfo("torch", str(weight.device), str(weight.dtype).removeprefix("torch."), None),
            tuple(layer.info(after.get(id(layer.module), "")) for layer in self._layers),
        )
        emitter.begin(*self._header)
        if self._ranks:
            self._ranks.begin(self._layers)
        if any(is_flat(layer.weight) for layer in self._layers):
            emitter.note(FLAT)
        if not all(layer.traced for layer in self._layers):
            emitter.note(f"{emitter.name} is {COMPILED}")
            log.warning("vgtui: %s is %s", emitter.name, COMPILED)
        if not self._is_due(emitter):
            return Phase.WAITING
        self._sample = Sample(self._steps, self._layers)
        return Phase.SAMPLING

    def _arm(self) -> Phase:
        """Sample the coming step if it is due."""
        if self._emitter is None or not self._is_due(self._emitter):
            return Phase.WAITING
        self._sample = Sample(self._steps, self._layers, self._activated)
        found = self._loss_function
        loss_kind = found.kind if found and found.is_mean and found.is_direct else ""
        self._sample.arm(
            self._inner, self._activations, self._guarded, self._clipping.measured, loss_kind, self._has_ranks
        )
        return Phase.SAMPLING

    @property
    def _has_ranks(self) -> bool:
        return self._ranks is not None and not self._ranks.is_alone

    def _is_due(self, emitter: Emitter) -> bool:
        """Return whether the coming step is sampled, by all ranks alike."""
        if self._ranks and self._ranks.is_stage and isinstance(emitter, SilentEmitter):
            emitter = self._emitter = self._open_stage(emitter.name, self._ranks.rank)
        is_wanted = emitter.is_due_for_verdict(self._steps)
        if self._ranks is None:
            return is_wanted
        is_planned = self._ranks.is_due(self._steps, is_wanted, emitter.steps_between)
        return is_planned or (self._ranks.is_stage and is_wanted)

    def _begin_stage(self, every: str | int, record: str | os.PathLike[str] | None, name: str, rank: int) -> Emitter:
        """Let viewers attach to this rank too, as it has layers of its own: a stage of a pipeline."""
        if record is not None:
            path = Path(record)
            record = path.with_name(f"{path.stem}-rank{rank}{path.suffix}")
        emitter = Emitter(name=f"{name}-rank{rank}", framework=PYTORCH, every=every, record=record)
        model, backend, layers = self._header
        emitter.begin(msgspec.structs.replace(model, name=emitter.name), backend, layers)
        return emitter

    def _read_gradients(self, again: bool = False) -> Phase:
        """Read the gradients of the sampled step, instead of those that were read before if they are made again."""
        assert self._sample
        if again:
            self._sample.forget()
        scale = left = None
        if self._optimizer is not None:
            scale = loss_scale(self._scaler, self._layers[-1].weight.device)
            # a fused optimizer is given the scale, and unscales the gradients itself
            left = getattr(self._optimizer, "grad_scale", None)
        if self._ties:
            self._observe(self._ties, self._sample, has_scaler=scale is not None)
        has_any = self._sample.read_gradients(scale, left, with_update=self._optimizer is not None)
        if has_any or self._optimizer is not None:  # an update without any gradient is a fault, which the verdict names
            return Phase.READ
        self._sample.release()
        self._sample = None
        if not self._warned_of_gradients and self._emitter:
            self._warned_of_gradients = True
            self._emitter.note(NO_GRADIENT)
            log.warning("vgtui: %s", NO_GRADIENT)
        return Phase.WAITING

    def _observe(self, ties: Ties, sample: Sample, has_scaler: bool) -> None:
        """Note what the sampled step has shown beside numbers, before its update."""
        tied, stray = ties.observe(sample)
        facts = OptimizerFacts.of(self._optimizer)
        self._seen = Observations(
            ties=tied,
            modules=self._kinds,
            unregistered=stray,
            optimizer=facts.name,
            is_adaptive=facts.is_adaptive,
            learning_rate=facts.learning_rate,
            weight_decay=facts.weight_decay,
            is_decoupled=facts.is_decoupled,
            norm_values=sample.norm_values,
            is_half=sample.is_half and not has_scaler,
            has_scaler=has_scaler,
            is_normalized=sample.is_normalized,
        )

    def _read_update(self) -> Phase:
        """Read by how much the weights have moved. The first sample waits for a loss, later ones if step() is used."""
        assert self._sample
        self._sample.read_update()
        return Phase.UPDATED if self._is_told or self._steps <= 1 else self._send(None, None)

    def _send(self, loss: Any, accuracy: Any) -> Phase:
        """Send the sample to the host, and deliver what has arrived there."""
        sample, self._sample = self._sample, None
        assert sample
        if (found := describe_loss(loss, sample.output)) is not None:
            self._loss_function = found
        sample.release()
        arrival = sample.send(loss, accuracy)
        if self._ranks:
            self._ranks.expect(arrival.step)
            arrival.seconds, began = self._ranks.step_seconds()
            arrival.own_seconds = sample.began_back - began if sample.began_back else None
        self._arriving.append((arrival, replace(self._seen, loss_function=self._loss_function)))
        self._deliver(False)
        return Phase.WAITING

    def _deliver(self, wait: bool) -> None:
        """Make frames of the samples that have reached the host.

        Args:
            wait: Whether to wait for all of them.
        """
        while self._arriving and self._emitter:
            arrival, seen = self._arriving[0]
            if wait:
                arrival.wait()
            elif not arrival.is_here() or (self._ranks and not self._ranks.is_here(arrival.step)):
                return
            if wait and self._ranks:
                self._ranks.wait(arrival.step)
            self._arriving.popleft()
            fields, single, through_time = arrival.numbers()
            if (left := single.pop("scale_left", None)) is not None:
                fields["grad_norm"] = fields["grad_norm"] / left
            lines = self._ranks.gather(arrival, self._layers, fields, single.get("loss")) if self._ranks else ()
            scale = single.pop("scale", 1.0)
            clip_factor = self._clipping.undo(fields, scale, knows_scale=self._optimizer is not None)
            fields.setdefault("grad_norm", np.ma.MaskedArray(np.zeros(len(self._layers)), mask=True))
            if "update" in fields:
                with np.errstate(divide="ignore", invalid="ignore"):
                    fields["update_ratio"] = fields.pop("update") / fields["weight_norm"]
            told = {name: single[name] for name in ("loss", "accuracy") if name in single}
            seen = self._complete(seen, fields, single, through_time)
            self._emitter.emit(arrival.step, clip_factor=clip_factor, observed=seen, ranks=lines, **told, **fields)
            if (odd := odd_rank(lines)) != self._odd:
                self._odd = odd
                if odd:
                    self._emitter.note(odd)
            self._emitter.took(self._spent)
            self._spent = 0.0

    def _complete(
        self,
        seen: Observations,
        fields: dict[str, NDArray[np.float64]],
        single: dict[str, float],
        through_time: dict[int, NDArray[np.float64]],
    ) -> Observations:
        """Add the numbers of a step to what was seen of it."""
        norms = np.ma.filled(fields["weight_norm"], np.nan)
        if self._first_weight_norms is None:
            self._first_weight_norms = norms
        # what no known optimizer has, and changes all the same, is trained by another one
        ties: tuple[Tie, ...] = tuple(
            "trained" if tie == "forgotten" and now != first else tie
            for tie, now, first in zip(seen.ties, norms, self._first_weight_norms, strict=True)
        )
        targets = None
        if "target_least" in single and seen.loss_function:
            targets = Targets(
                single["target_least"],
                single["target_greatest"],
                single["target_mean_square"],
                single.get("target_variance", np.nan),
            )
        equal = np.ma.filled(fields.pop("equal", np.ma.MaskedArray(np.zeros(len(norms)))), 0.0)
        return replace(
            seen,
            ties=ties,
            accumulates=single.get("kept", 0.0) > 0,
            zero_share=single.get("zero_share", np.nan),
            input_rms=single.get("input_rms", np.nan),
            sample_spread=single.get("sample_spread", np.nan),
            padding_share=single.get("padding_share", np.nan),
            equal_weights=tuple(np.flatnonzero(equal).tolist()),
            targets=targets,
            through_time=through_time,
        )

    def _guarded(self, function: Callable[..., Any]) -> Guarded:
        return Guarded(function, self)

    def spend(self, seconds: float) -> None:
        """Note how long a hook has taken."""
        self._spent += seconds

    def give_up(self) -> None:
        """Watch no more after a fault of ours, which is not the training's, and say so once."""
        emitter, self._emitter = self._emitter, None
        if emitter:
            log.warning(
                "vgtui stops watching %s, the training goes on; please report this", emitter.name, exc_info=True
            )
            self._stop()
            emitter.note("vgtui stops watching because of an internal error; the training goes on")
            emitter.close()

    def _stop_tracing(self) -> None:
        for handle in self._tracing:
            handle.remove()
        self._tracing.clear()


def _watch_nothing() -> Watcher:
    watcher = Watcher.__new__(Watcher)
    watcher._reset()
    return watcher


def _is_distributed() -> bool:
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


def _innermost_first(optimizer: Any) -> list[Any]:
    """Return an optimizer after what it is wrapped around: only the innermost one's step is sure to be an update."""
    found: list[Any] = []
    while optimizer is not None and len(found) < MAX_WRAPPERS and all(optimizer is not other for other in found):
        found.insert(0, optimizer)
        try:
            optimizer = getattr(optimizer, "optimizer", None)
        except Exception:
            break
    return found
