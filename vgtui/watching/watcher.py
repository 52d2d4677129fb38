"""Watching a PyTorch model while its own script trains it: hooks that read, and never disturb.

Without a viewer and a recording, a step costs a few comparisons. With one, a step is sampled as often as `every` says:
its hooks are there for that step alone.
"""

import logging
import math
import os
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
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
from engine.observations import LossFunction, Observations
from engine.verdict import Verdict
from vgtui.model.ranks import odd_rank
from vgtui.watching import succession
from vgtui.watching.arrival import Arrival, completed
from vgtui.watching.cadence import Cadence
from vgtui.watching.clipping import Clipping
from vgtui.watching.compiling import BeforeCompiling
from vgtui.watching.cures import ModelVerdict, applicable_verdict
from vgtui.watching.emitter import Emitter, SilentEmitter
from vgtui.watching.errors import ArgumentError
from vgtui.watching.finite import FirstNonFinite, Search
from vgtui.watching.guarded import Guarded
from vgtui.watching.keep import keep_of
from vgtui.watching.layers import (
    Layer,
    activations,
    activations_after,
    census,
    find_layers,
    hookable,
    in_order_of_use,
)
from vgtui.watching.loss_graph import describe_loss
from vgtui.watching.measures import Measures, complete
from vgtui.watching.mesh import is_flat
from vgtui.watching.optimizer_facts import OptimizerFacts
from vgtui.watching.optimizers import Optimizers
from vgtui.watching.phases import Moment, Phase
from vgtui.watching.ranks import Ranks, join_ranks
from vgtui.watching.sample import MISSED, Sample
from vgtui.watching.scaler import loss_scale
from vgtui.watching.ties import Ties
from vgtui.watching.trace import Trace
from vgtui.watching.turns import Turns
from vgtui.watching.uses import Uses
from vgtui.wire.frames import BackendInfo, LayerInfo, ModelInfo

log = logging.getLogger("vgtui")

COMPILED = "compiled by torch: activations and error signals cannot be seen, gradients and weights can"
FLAT = "FullyShardedDataParallel has made one weight of each unit; with use_orig_params=True each layer is seen"
IDLE_SECONDS = 0.01
"""How long a step that is due may have to wait for the next look at the clock and at the viewers."""
LOOK_SHARE = 0.002
"""The share of the time that looking through a large model for other parts may take."""
CHEAP_SECONDS = 0.0005
"""The time that this may take at every sampled step."""
NO_GRADIENT = "no layer has a gradient; call watcher.step() between backward() and zero_grad(), or give the optimizer"


class Watcher:
    """What `vgtui.watch` returns: a context manager, or a plain object with step() and close()."""

    _odd = ""
    """What was last said of a rank that differs from the others."""
    _idle_until = -math.inf
    """Until when no step can be due."""
    _look_again_at = -math.inf
    """When the model may be looked through for other parts."""
    _warned_of_gradients = False
    _warned_of_compiling = False

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        name: str | None,
        every: str | int,
        record: str | os.PathLike[str] | None,
        scaler: torch.amp.GradScaler | None = None,
        biases: bool = False,
        **outputs: Any,
    ) -> None:
        """Begin to watch; the arguments are those of `vgtui.watch`, those for its Emitter alone among `outputs`.

        Raises:
            ArgumentError: An argument is plainly wrong.
        """
        Cadence(every)  # a wrong one is an error in every rank
        keep_of(record, outputs.get("keep"))
        if scaler is not None and not callable(getattr(scaler, "scale", None)):
            raise ArgumentError("scaler", f"{type(scaler).__name__} is not a GradScaler")
        self._reset()
        self._biases = biases
        try:
            self._begin_watching(model, optimizer, name, every, record, scaler, outputs)
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
        self._optimizers = Optimizers(None)
        self._scaler: torch.amp.GradScaler | None = None
        self._biases = False
        """Whether every parameter has a row."""
        self._emitter: Emitter | None = None
        self._succession: succession.Succession | None = None
        self._ranks: Ranks | None = None
        self._open_stage: Callable[[str, int], Emitter]
        self._header: tuple[ModelInfo, BackendInfo, tuple[LayerInfo, ...]]
        self._last_verdict: Verdict | None = None
        self._take_layers([])
        self._infos: tuple[LayerInfo, ...] = ()
        """The layers as viewers know them."""
        self._census: tuple[int, ...] = ()
        self._uses_of = Uses((), (), ())
        self._activated: frozenset[int] = frozenset()
        self._ties: Ties | None = None
        self._seen = Observations()
        """What the sampled step has shown so far."""
        self._loss_function: LossFunction | None = None
        self._first_weight_norms: NDArray[np.float64] | None = None
        self._kinds: frozenset[str] = frozenset()
        """The classes of the modules."""
        self._uses: tuple[str, ...] = ()
        """The names of the modules in the order of their first use."""
        self._owned: list[list[int]] = []
        """The layers of each optimizer, in the sampled step."""
        self._trace = Trace()
        self._before_compiling = BeforeCompiling(self._leave_modules)
        self._sample: Sample | None = None
        """The sampled step, in the phases SAMPLING, READ and UPDATED."""
        self._arriving: deque[tuple[Arrival, FirstNonFinite, Observations]] = deque()
        self._search = Search()
        self._steps = 0
        self._is_told = False
        """Whether step() was called."""
        self._told_at = -1
        """The number of updates when step() was called last."""
        self._version: int | None = None
        """How often a weight had been changed when step() was called last."""
        self._has_micro_batches = False
        self._on_step = self._guarded(self._step)
        self._spent = 0.0
        """Seconds that our hooks have taken since the last frame."""

    def _take_layers(self, layers: list[Layer]) -> None:
        """Begin with layers: nothing that was seen of others counts."""
        self._layers = layers
        self._clipping = Clipping(len(layers), is_visible=not self._distributed)
        self._turns = Turns([layer.weight.numel() for layer in layers])
        self._measures = Measures(layers, self._distributed)
        self._has_functions = True
        """Whether the model may have activations that are functions: it is dear to look for them."""

    def _begin_watching(
        self,
        model: nn.Module,
        optimizer: Any,
        name: str | None,
        every: str | int,
        record: str | os.PathLike[str] | None,
        scaler: torch.amp.GradScaler | None,
        outputs: dict[str, Any],
    ) -> None:
        self._inner = _unwrapped(model)
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
        self._emitter = kind(name=called, framework=PYTORCH, every=every, record=record, **outputs)
        self._succession = succession.Succession(self, self._emitter.name, self._inner)
        # a watcher that nobody has any more, as its model, ends; what it holds itself must not be held here
        self._ending = weakref.finalize(self, _end, self._emitter, self._before_compiling)
        self._ending.atexit = False  # the emitter ends by itself
        self._scaler = scaler
        self._phase = Phase.TRACING
        self._optimizers = Optimizers(optimizer)
        self._optimizers.hook(
            lambda number: self._unless_idle(partial(self._before_update, number), 0),
            lambda number: self._unless_idle(partial(self._after_update, number), int(number == 0)),
        )
        self._begin_trace()

    @property
    def updates(self) -> int:
        """The number of updates so far."""
        return self._steps

    def begin_at(self, updates: int) -> None:
        """Count on from the updates that were made before it was begun. step() is to follow each later one."""
        self._steps, self._is_told = updates, True

    @property
    def model(self) -> nn.Module | None:
        """The model; None once it is watched no more."""
        return None if self._phase is Phase.CLOSED else self._inner

    @property
    def is_sampling(self) -> bool:
        """Whether this step is sampled, so that its loss is of use. The first one with gradients is."""
        return self._sample is not None or self._phase is Phase.TRACING

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
        if self._is_idle() and self._optimizers.first is not None and self._emitter and not self._emitter.wanted:
            self._is_told, self._told_at = True, self._steps
            return
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

    def _is_idle(self) -> bool:
        """Return whether there is nothing to do now but to count, as in most steps."""
        return self._phase is Phase.WAITING and not self._arriving and time.monotonic() < self._idle_until

    def _unless_idle(self, function: Callable[..., Any], counts: int) -> Callable[..., Any]:
        """Return a hook that calls a function, but where there is nothing to do adds to the number of updates alone."""
        guarded = self._guarded(function)

        def hook(*arguments: Any) -> Any:
            if torch.compiler.is_compiling():  # what it makes of this is nothing
                return None
            if self._is_idle():
                self._steps += counts
                return None
            return guarded(*arguments)

        return hook

    def _begin_trace(self) -> None:
        """Note what the model uses, until the first update."""
        self._before_compiling.register()
        self._trace = Trace()
        self._trace.begin(self._inner, self._guarded, with_gradients=not self._distributed)
        self._search = Search(hookable(self._inner))
        self._search.first.arm(self._guarded)

    # what happens in a training step

    def _before_update(
        self, number: int, optimizer: torch.optim.Optimizer, given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Take the gradients that the update uses, or have a closure that makes them do it each time it is called."""
        closure = named.get("closure", given[1] if len(given) > 1 else None)
        if closure is None:
            self._on_gradients(number)
            return None
        on_gradients, begin_again = self._guarded(self._on_gradients), self._guarded(self._begin_again)

        def closure_and_gradients() -> Any:
            begin_again(number)
            result = closure()
            on_gradients(number)
            return result

        return given[:1], {**named, "closure": closure_and_gradients}

    def _begin_again(self, number: int) -> None:
        """Forget what was seen of the sampled step when a closure makes its gradients anew."""
        if self._sample and number == 0 and self._phase is Phase.READ:
            self._sample.forget()

    def _on_gradients(self, number: int) -> None:
        if number == 0:
            self._advance(Moment.GRADIENTS)
        elif self._sample:
            is_next = self._phase is Phase.UPDATED and self._sample.closed.issuperset(self._owned[number])
            is_last = self._phase is Phase.SAMPLING and not self._sample.has_begun
            if not (is_next or is_last):  # an update of the next step, or of the last one
                self._read_layers(self._sample, number)

    def _after_update(self, number: int = 0, *_: Any) -> None:
        if number == 0:
            self._steps += 1
            if self._ranks:
                self._ranks.updated()
            self._advance(Moment.UPDATE)
        elif self._sample:
            self._sample.read_update(self._owned[number])

    def _step(self, loss: Any, accuracy: Any) -> None:
        self._is_told = True
        if self._optimizers.first is None:
            self._note_micro_batch()
            self._advance(Moment.GRADIENTS)
            self._after_update()
        if self._emitter is not None and self._emitter.wanted:
            self._search.add_loss(max(0, self._steps - 1), loss)
        self._advance(Moment.STEP, loss, accuracy)
        self._told_at = self._steps

    def _note_micro_batch(self) -> None:
        """Without an optimizer, note whether step() is called without an update since: its gradients add up."""
        version = self._layers[-1].weight._version if self._layers else None
        self._has_micro_batches |= version is not None and version == self._version
        self._version = version

    def _advance(self, moment: Moment, loss: Any = None, accuracy: Any = None) -> None:
        """Do what is due at a moment. Only here does one phase follow another, until the watcher stops."""
        if self._phase is not Phase.WAITING:
            self._phase = self._act(moment, loss, accuracy)
        if moment is not Moment.GRADIENTS:  # between two steps
            if self._arriving:
                self._deliver(False)
            # a step() between two updates is that of a micro-batch: a sample would see some of its step alone
            is_between = moment is Moment.STEP and self._told_at == self._steps
            if self._phase is Phase.WAITING and not is_between:
                self._phase = self._arm()

    def _stop(self) -> None:
        """Take every hook away, for good."""
        self._phase = Phase.CLOSED
        succession.end(self)
        self._trace.stop()
        self._search.first.disarm()
        self._drop_sample()
        self._before_compiling.remove()
        self._optimizers.remove()
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
            case ((Phase.SAMPLING | Phase.READ), Moment.GRADIENTS):  # a closure may be called again
                return self._read_gradients()
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
        if self._succession:
            self._succession.take_place()
            self._succession = None
        found = find_layers(self._inner, self._biases)
        if not found or emitter is None:
            return Phase.TRACING
        self._trace.stop()
        self._search.first.disarm()
        self._search.modules = hookable(self._inner)  # it may have been compiled since
        self._take_layers(in_order_of_use(found, self._trace.used))
        self._uses_of = Uses(self._layers, activations(self._inner), self._trace.used)
        after = activations_after(self._layers, self._trace.used)
        self._activated = frozenset(index for index, layer in enumerate(self._layers) if id(layer.module) in after)
        self._ties = Ties(self._inner, self._layers, self._optimizers)
        self._kinds = frozenset(type(module).__name__ for module in self._inner.modules())
        names = {id(module): name for name, module in self._inner.named_modules()}
        self._uses = tuple(dict.fromkeys(names[id(module)] for module in self._trace.used if id(module) in names))
        self._census = census(self._inner)
        self._first_weight_norms = None
        infos = tuple(layer.info(after.get(id(layer.module), "")) for layer in self._layers)
        if infos != self._infos:
            self._infos = infos
            self._tell_layers(emitter)
        if not all(layer.traced for layer in self._layers):
            self._warn_of_compiling()
        made = self._trace.made
        self._trace = Trace()
        if not self._is_due(emitter):
            return Phase.WAITING
        self._owned = self._optimizers.owned(self._layers)
        self._sample = Sample(
            self._steps, self._layers, self._measures, made=made, foreign=self._optimizers.foreign(self._layers)
        )
        self._sample.trail = self._search.first
        return Phase.SAMPLING

    def _warn_of_compiling(self) -> None:
        if self._emitter and not self._warned_of_compiling:
            self._warned_of_compiling = True
            self._emitter.note(f"{self._emitter.name} is {COMPILED}")
            log.warning("vgtui: %s is %s", self._emitter.name, COMPILED)

    def _tell_layers(self, emitter: Emitter) -> None:
        """Send viewers a header."""
        weight = self._layers[-1].weight
        self._header = (
            ModelInfo(
                emitter.name,
                PYTORCH,
                sum(parameter.numel() for parameter in self._inner.parameters()),
                self._optimizers.names,
            ),
            BackendInfo("torch", str(weight.device), str(weight.dtype).removeprefix("torch."), None),
            self._infos,
        )
        emitter.begin(*self._header)
        if self._ranks:
            self._ranks.begin(self._layers)
        if any(is_flat(layer.weight) for layer in self._layers):
            emitter.note(FLAT)

    def _arm(self) -> Phase:
        """Sample the coming step if it is due. If the model has other parts than before, it is traced instead."""
        if self._emitter is None or not (self._is_due(self._emitter) or self._search.wants()):
            if self._emitter and not (self._emitter.is_paced_by_steps or self._has_ranks):
                self._idle_until = time.monotonic() + IDLE_SECONDS
            return Phase.WAITING
        if self._has_changed():
            return self._trace_anew()
        self._before_compiling.register()
        self._owned = self._optimizers.owned(self._layers)
        foreign = self._optimizers.foreign(self._layers)
        takes_all = self._search.goes_on or self._has_ranks  # each rank measures the same layers
        turn = (
            self._turns.all
            if takes_all
            else self._turns.take(self._emitter.parts(self._turns.whole_took, self._turns.turn_took))
        )
        self._sample = Sample(
            self._steps,
            self._layers,
            self._measures,
            self._activated,
            foreign=foreign,
            turn=turn,
            has_functions=self._has_functions,
        )
        self._sample.trail = self._search.trail()
        found = self._loss_function
        loss_kind = found.kind if found and found.is_mean and found.is_direct else ""
        self._sample.arm(
            self._inner,
            self._uses_of,
            self._guarded,
            self._clipping.measured,
            loss_kind,
            self._has_ranks,
            self._search.looks_closely(self._emitter.is_paced_by_steps, self._sample.is_whole),
        )
        return Phase.SAMPLING

    def _parts(self, emitter: Emitter) -> int:
        """Return in how many frames all layers are measured."""
        return emitter.parts(self._turns.whole_took, self._turns.turn_took)

    def _has_changed(self) -> bool:
        """Return whether the model has other parts than before; where it is dear to look, not at every sampled step."""
        now = time.monotonic()
        if now < self._look_again_at:
            return False
        has_changed = census(self._inner) != self._census
        took = time.monotonic() - now
        self._look_again_at = now + took / LOOK_SHARE if took > CHEAP_SECONDS else now
        return has_changed

    def _trace_anew(self) -> Phase:
        """Find the layers again, in the coming step."""
        self._deliver(True)
        self._begin_trace()
        return Phase.TRACING

    def _drop_sample(self) -> None:
        sample, self._sample = self._sample, None
        if sample:
            sample.disarm()
            sample.release()

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

    def _read_gradients(self) -> Phase:
        """Read the gradients of the sampled step."""
        assert self._sample
        if (
            self._emitter
            and self._emitter.parts(self._turns.whole_took, self._turns.turn_took) == 1
            and self._has_changed()
        ):
            self._drop_sample()
            return self._trace_anew()
        has_any = self._read_layers(self._sample, 0)
        if has_any and self._sample.is_seen and not self._sample.used:
            self._warn_of_compiling()
        if has_any or self._optimizers.all:  # an update without any gradient is a fault, which the verdict names
            return Phase.READ
        self._drop_sample()
        if not self._warned_of_gradients and self._emitter:
            self._warned_of_gradients = True
            self._emitter.note(NO_GRADIENT)
            log.warning("vgtui: %s", NO_GRADIENT)
        return Phase.WAITING

    def _read_layers(self, sample: Sample, number: int) -> bool:
        """Read the gradients of an optimizer's layers before its update. Returns whether there are any."""
        scale = left = optimizer = None
        if self._optimizers.all:
            optimizer = self._optimizers.all[number]
            scale = loss_scale(self._scaler, self._layers[-1].weight.device)
            # a fused optimizer is given the scale, and unscales the gradients itself
            left = getattr(optimizer, "grad_scale", None)
        if self._ties:
            self._observe(self._ties, sample, has_scaler=scale is not None)
        return sample.read_gradients(
            self._owned[number], scale, left, with_update=bool(self._optimizers.all), optimizer=optimizer
        )

    def _observe(self, ties: Ties, sample: Sample, has_scaler: bool) -> None:
        """Note what the sampled step has shown beside numbers, before its update."""
        tied, stray = ties.observe(sample)
        facts = OptimizerFacts.of(self._optimizers.first)
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
        self._sample.read_update(self._owned[0])
        if len(self._optimizers.all) > 1:  # the others' updates may follow
            return Phase.UPDATED
        self._sample.disarm()
        return Phase.UPDATED if self._is_told or self._steps <= 1 else self._send(None, None)

    def _send(self, loss: Any, accuracy: Any) -> Phase:
        """Send the sample to the host, and deliver what has arrived there."""
        sample, self._sample = self._sample, None
        assert sample
        if (found := describe_loss(loss, sample.output)) is not None:
            self._loss_function = found
        sample.disarm()
        sample.release()
        if sample.is_seen and sample.is_whole and sample.used:
            self._has_functions = bool(sample.functional)
        arrival = sample.send(loss, accuracy, self._search.losses())
        if self._ranks:
            self._ranks.expect(arrival.step)
            arrival.seconds, began = self._ranks.step_seconds()
            arrival.own_seconds = sample.began_back - began if sample.began_back else None
        self._arriving.append((arrival, sample.trail, replace(self._seen, loss_function=self._loss_function)))
        self._deliver(False)
        return Phase.WAITING

    def _deliver(self, wait: bool) -> None:
        """Make frames of the samples that have reached the host.

        Args:
            wait: Whether to wait for all of them.
        """
        while self._arriving and self._emitter:
            arrival, trail, seen = self._arriving[0]
            if wait:
                arrival.wait()
            elif not arrival.is_here() or (self._ranks and not self._ranks.is_here(arrival.step)):
                return
            if wait and self._ranks:
                self._ranks.wait(arrival.step)
            self._arriving.popleft()
            self._emit(self._emitter, arrival, trail, seen)

    def _emit(self, emitter: Emitter, arrival: Arrival, trail: FirstNonFinite, seen: Observations) -> None:
        """Make a frame of a sample."""
        fields, single, through_time = arrival.numbers()
        if (left := single.pop("scale_left", None)) is not None:
            fields["grad_norm"] = fields["grad_norm"] / left
        lines = self._ranks.gather(arrival, self._layers, fields, single.get("loss")) if self._ranks else ()
        scale = single.pop("scale", 1.0)
        clip_factor = self._clipping.undo(fields, scale, knows_scale=bool(self._optimizers.all))
        fields.setdefault("grad_norm", np.ma.MaskedArray(np.zeros(len(self._layers)), mask=True))
        missed = fields.pop(MISSED, None)
        if "update" in fields:
            if missed is not None:  # a few rows may have changed, none of which was looked at
                is_unknown = (np.ma.filled(missed, 0) > 0) & (np.ma.filled(fields["grad_norm"], 0) != 0)
                fields["update"] = np.ma.masked_where(is_unknown & (fields["update"] == 0), fields["update"])
            with np.errstate(divide="ignore", invalid="ignore"):
                fields["update_ratio"] = fields.pop("update") / fields["weight_norm"]
        complete(fields, is_accumulating=single.get("kept", 0.0) > 0)
        told = {name: single[name] for name in ("loss", "accuracy") if name in single}
        turn, is_partial = arrival.turn, not self._turns.is_last(arrival.turn)
        fields = self._turns.complete(fields, turn)
        if self._first_weight_norms is None:
            self._first_weight_norms = np.ma.filled(fields["weight_norm"], np.nan)
        seen = completed(seen, fields, single, self._first_weight_norms)
        seen = replace(seen, accumulates=seen.accumulates and not self._has_micro_batches, through_time=through_time)
        seen = self._search.arrived(seen, trail, fields, arrival.many)
        fresh = None if turn == self._turns.all else turn
        emitter.emit(
            arrival.step,
            clip_factor=clip_factor,
            observed=seen,
            fresh=fresh,
            is_partial=is_partial,
            ranks=lines,
            **told,
            **fields,
        )
        if (odd := odd_rank(lines)) != self._odd:
            self._odd = odd
            if odd:
                emitter.note(odd)
        emitter.took(self._spent)
        self._turns.took(self._spent, turn)
        self._spent = 0.0

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

    def _leave_modules(self) -> None:
        """Take the hooks on modules away for now, as something is compiled."""
        self._trace.leave_modules()
        self._search.first.disarm()
        if self._sample:
            self._sample.disarm_modules()


def _unwrapped(model: nn.Module) -> nn.Module:
    inner: nn.Module = model.module if isinstance(model, DistributedDataParallel | DataParallel) else model
    return inner


def _end(emitter: Emitter, before_compiling: BeforeCompiling) -> None:
    """End what a watcher has made that outlives it."""
    before_compiling.remove()
    emitter.close()


def _watch_nothing() -> Watcher:
    watcher = Watcher.__new__(Watcher)
    watcher._reset()
    return watcher


def _is_distributed() -> bool:
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())
