"""What the processes of a distributed training tell each other of a sampled step, without ever waiting.

Rank 0 announces which steps are sampled, in PyTorch's own key-value store; each rank puts its part of such a step
there, and rank 0 makes frames of them. A thread does all of it. No collective is called: a part that is late or missing
is unknown, and a rank that dies holds nobody up.
"""

import atexit
import itertools
import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from vgtui.watching.layers import Layer
from vgtui.wire.frames import Number, RankInfo, number_text

log = logging.getLogger("vgtui")

POLL_SECONDS = 0.05
"""How often a rank looks for a new plan."""
RANKS_A_POLL = 64
"""With more ranks than this, each looks less often, so that the store is asked no more often than by so many."""
LEAD_SECONDS = 0.2
"""How long before its first step a plan is announced."""
PATIENCE_SECONDS = 0.5
"""How long a frame waits for the parts of other ranks."""
LINGER_SECONDS = 0.3
"""How long rank 0 keeps the store at the end, until the others have seen that it is the end."""
MAX_UNUSED = 3
"""Planned steps that nobody wants, until a plan with fewer of them is announced."""
TOLERANCE = 1.5
"""By what factor a plan may be too dense or too sparse."""
MAX_WAITING = 1000
"""Parts that wait for the thread; further ones are dropped."""
SPREAD_FIELDS = ("grad_norm", "weight_norm", "update")
"""Norms that are the root of a sum over the ranks which hold a part of the weight."""
LOCAL = "local"
"""The field for the norms of the gradients that a rank has made itself, before they are exchanged."""
_watchers = itertools.count()


class Plan(msgspec.Struct, frozen=True):
    """Which steps are sampled: `first`, and each `every`-th after it; with 0, none. `ends`: the training is over."""

    first: int = 0
    every: int = 0
    ends: bool = False

    def has(self, step: int) -> bool:
        """Return whether a step is sampled."""
        return self.every > 0 and step >= self.first and (step - self.first) % self.every == 0


class Part(msgspec.Struct, frozen=True):
    """What a rank has measured in a step.

    Attributes:
        loss: Its loss.
        norm: The norm of the gradients that it made itself.
        seconds: The time of the step.
        own_seconds: The time of the step until backpropagation began, in which no rank waits for another.
        squares: By field and layer, the rank's share of the squared norm.
    """

    loss: Number | None
    norm: Number | None
    seconds: Number | None
    own_seconds: Number | None
    squares: dict[str, dict[str, Number | None]]


class StepTimes(Protocol):
    """A sampled step: its number, its time, and its time until backpropagation began."""

    step: int
    seconds: float | None
    own_seconds: float | None


@dataclass(slots=True)
class _Awaited:
    """A step of which rank 0 waits for parts."""

    since: float
    parts: dict[int, Part]
    is_late: bool = False


class Ranks:
    """One rank's side of it. Without a store, every method does next to nothing."""

    def __init__(
        self, every: str | int, is_recorded: bool, rank: int, size: int, store: Any, is_on: Callable[[], bool]
    ) -> None:
        """Begin.

        Args:
            every: How often a step is sampled.
            is_recorded: Whether every sampled step is recorded.
            rank: The number of this process.
            size: The number of processes.
            store: The store that all have; None if there is none.
            is_on: Whether the processes are still together.
        """
        self.rank = rank
        self.size = size
        self.is_stage = False
        """Whether rank 0 has other layers than this one."""
        self._names: list[str] | None = None
        self._is_on = is_on
        self._plan = Plan(0, every if is_recorded and isinstance(every, int) else 0)
        self._is_fixed = self._plan.every > 0
        self._unused = 0
        self._began = self._updated = time.perf_counter()
        self._step_seconds = math.nan
        self._outbox: queue.Queue[tuple[str, bytes]] = queue.Queue(MAX_WAITING)
        self._awaited: dict[int, _Awaited] = {}
        self._ends = threading.Event()
        self._bell = threading.Event()
        """Wakes the thread."""
        self._owner = os.getpid()
        self._thread: threading.Thread | None = None
        if store is not None:
            self._thread = threading.Thread(target=self._serve, args=(store,), name="vgtui ranks", daemon=True)
            self._thread.start()
            atexit.register(self.end)
            if self._is_fixed:  # a rank may not know that there is a recording
                self._send("plan", _encoder.encode(self._plan))

    @property
    def is_alone(self) -> bool:
        """Whether no other rank is heard of."""
        return self._thread is None

    def is_due(self, step: int, is_wanted: bool, steps_between: Callable[[float], int]) -> bool:
        """Return whether the step after `step` updates is sampled, by all ranks alike.

        Args:
            step: The number of updates.
            is_wanted: Whether rank 0 wants a sample of it.
            steps_between: How many steps are to lie between two samples, by the seconds of a step.
        """
        if self.is_alone:
            return is_wanted
        is_planned = self._plan.has(step)
        if self.rank or self._is_fixed:
            return is_planned
        self._unused += is_planned and not is_wanted
        if (is_wanted or self._unused >= MAX_UNUSED) and self._step_seconds > 0:
            self._unused = 0
            every = steps_between(self._step_seconds)
            fits = every <= TOLERANCE * self._plan.every <= TOLERANCE**2 * every
            if not fits and step >= self._plan.first:
                self._plan = Plan(step + self._lead(), every)
                self._send("plan", _encoder.encode(self._plan))
        return is_planned and is_wanted

    def updated(self) -> None:
        """Note that an update is done."""
        self._began, self._updated = self._updated, time.perf_counter()
        seconds = self._updated - self._began
        self._step_seconds = seconds if math.isnan(self._step_seconds) else 0.8 * self._step_seconds + 0.2 * seconds

    def step_seconds(self) -> tuple[float, float]:
        """Return the time of the last step, and when it began."""
        return self._updated - self._began, self._began

    def expect(self, step: int) -> None:
        """Begin to wait for the parts of a step."""
        if not (self.is_alone or self.rank):
            self._awaited[step] = _Awaited(time.monotonic(), {})
            self._bell.set()

    def is_here(self, step: int) -> bool:
        """Return whether all parts of a step are here, or will not be waited for."""
        if (awaited := self._awaited.get(step)) is None:
            return True
        is_late = time.monotonic() - awaited.since > PATIENCE_SECONDS
        return len(awaited.parts) == self.size - 1 or is_late or self._ends.is_set()

    def wait(self, step: int) -> None:
        """Wait for the parts of a step, at the end of the training, no longer than for any frame."""
        while not self.is_here(step):
            time.sleep(POLL_SECONDS / 10)

    def gather(
        self, arrival: StepTimes, layers: Sequence[Layer], fields: dict[str, Any], loss: float | None
    ) -> tuple[RankInfo, ...]:
        """Send this rank's part of a step to rank 0; there, make whole norms of all parts.

        Args:
            arrival: The step and its times.
            layers: The layers of this rank.
            fields: Norms for each layer by field. In rank 0, those of spread weights become whole, or unknown.
            loss: This rank's loss.

        Returns:
            A line for each rank; none with one rank, and in other ranks than 0.
        """
        step = arrival.step
        made = fields.pop(LOCAL, None)
        if self.is_alone and not any(layer.shards for layer in layers):
            return ()
        squares = {name: _squares(layers, fields[name]) for name in SPREAD_FIELDS if name in fields}
        norm = None if made is None or np.ma.getmaskarray(made).all() else float(np.linalg.norm(np.ma.compressed(made)))
        part = Part(_number(loss), _number(norm), _number(arrival.seconds), _number(arrival.own_seconds), squares)
        if self.rank:
            self._send(f"part/{step}/{self.rank}", _encoder.encode(part))
            return ()
        awaited = self._awaited.get(step)
        parts = {0: part} | (dict(awaited.parts) if awaited else {})
        if awaited:
            awaited.is_late = True
        for name in squares:
            fields[name] = _whole(name, layers, fields[name], parts)
        if self.is_alone:
            return ()
        known = [parts.get(rank) for rank in range(self.size)]
        return tuple(
            RankInfo(rank, *((one.loss, one.norm, one.seconds, one.own_seconds) if one else ()))
            for rank, one in enumerate(known)
        )

    def close(self) -> None:
        """Tell the other ranks that it is the end. The thread does so a moment later."""
        self._ends.set()
        self._bell.set()

    def begin(self, layers: Sequence[Layer]) -> None:
        """Note which layers this rank has."""
        self._names = [f"{layer.name} {layer.shape}" for layer in layers]
        if not (self.is_alone or self.rank):
            self._send("layers", msgspec.json.encode(self._names))

    def end(self) -> None:
        """Close, and wait a moment for the thread: one inside the store would abort a process that ends."""
        self.close()
        if self._thread is not None and self._owner == os.getpid():
            self._thread.join(timeout=2 * LINGER_SECONDS)

    def _lead(self) -> int:
        seconds = self._step_seconds
        return 1 + (math.ceil(LEAD_SECONDS / seconds) if seconds > 0 else 0)

    def _send(self, key: str, value: bytes) -> None:
        with suppress(queue.Full):
            self._outbox.put_nowait((key, value))
        self._bell.set()

    # what the thread does

    def _serve(self, store: Any) -> None:
        pause = POLL_SECONDS * max(1, self.size / RANKS_A_POLL)
        heard = b""
        try:
            while not self._ends.is_set() and self._is_on():
                self._post(store)
                if self.rank:
                    if self._names and not self.is_stage and store.check(["layers"]):
                        self.is_stage = msgspec.json.decode(store.get("layers")) != self._names
                        self._names = None
                    if store.check(["plan"]) and (news := store.get("plan")) != heard:
                        heard = news
                        plan = _plans.decode(news)
                        if plan.ends:
                            break
                        self._plan = plan
                else:
                    self._collect(store)
                self._bell.wait(POLL_SECONDS / 10 if self._awaited else pause)
                self._bell.clear()
            self._post(store)
            if not self.rank:
                store.set("plan", _encoder.encode(Plan(ends=True)))
                time.sleep(LINGER_SECONDS)
        except Exception:  # the store is gone
            log.debug("vgtui hears no more of other ranks", exc_info=True)
        finally:
            self._ends.set()
            del store

    def _post(self, store: Any) -> None:
        with suppress(queue.Empty):
            while True:
                store.set(*self._outbox.get_nowait())

    def _collect(self, store: Any) -> None:
        """Fetch the parts that have come; those that come too late are removed."""
        for step, awaited in list(self._awaited.items()):
            missing = [rank for rank in range(1, self.size) if rank not in awaited.parts]
            age = time.monotonic() - awaited.since
            if missing and (store.check([f"part/{step}/{rank}" for rank in missing]) or age > PATIENCE_SECONDS / 2):
                for key, rank in [(f"part/{step}/{rank}", rank) for rank in missing]:
                    if store.check([key]):
                        awaited.parts[rank] = _parts.decode(store.get(key))
                        store.delete_key(key)
            if awaited.is_late and (len(awaited.parts) == self.size - 1 or age > 10 * PATIENCE_SECONDS):
                self._awaited.pop(step, None)


def join_ranks(every: str | int, is_recorded: bool) -> Ranks:
    """Join the other processes of the training, if there are any. Called in every one, in the same order.

    Args:
        every: How often a step is sampled.
        is_recorded: Whether every sampled step is recorded.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return Ranks(every, is_recorded, 0, 1, None, bool)
    rank, size, store = distributed.get_rank(), distributed.get_world_size(), None
    if size > 1:
        try:
            store = _Store(distributed.distributed_c10d._get_default_store(), next(_watchers))
        except Exception:
            log.debug("vgtui hears nothing of other ranks", exc_info=True)
    return Ranks(every, is_recorded, rank, size, store, distributed.is_initialized)


class _Store:
    """A connection of our own to PyTorch's store, with names of our own; it keeps the store itself alive."""

    def __init__(self, original: Any, number: int) -> None:
        self._original = original
        self._own = torch.distributed.PrefixStore(f"vgtui/{number}", original.clone())
        self._own.set_timeout(timedelta(seconds=5))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def _squares(layers: Sequence[Layer], norms: NDArray[np.float64]) -> dict[str, Number | None]:
    """Return this rank's share of the squared norm of each spread weight; of one that it holds nothing of, 0."""
    found: dict[str, Number | None] = {}
    mask = np.ma.getmaskarray(norms)
    for index, layer in enumerate(layers):
        if layer.shards is not None:
            unknown = mask[index] and layer.holds_any
            share = 0.0 if mask[index] else float(np.ma.getdata(norms)[index]) ** 2 / layer.shards.copies
            found[layer.name] = None if unknown else Number(share)
    return found


def _whole(
    name: str, layers: Sequence[Layer], norms: NDArray[np.float64], parts: dict[int, Part]
) -> NDArray[np.float64]:
    """Return whole norms: of a spread weight, the root of the sum of the shares; unknown if one is missing."""
    if all(layer.shards is None for layer in layers):
        return norms
    values, mask = np.ma.getdata(norms).copy(), np.ma.getmaskarray(norms).copy()
    for index, layer in enumerate(layers):
        if layer.shards is None:
            continue
        held = [
            parts[rank].squares.get(name, {}).get(layer.name) if rank in parts else None for rank in layer.shards.ranks
        ]
        known = [square for square in held if square is not None]
        mask[index] = len(known) < len(held)
        values[index] = (
            0.0 if mask[index] else math.sqrt(math.fsum(known)) if np.isfinite(known).all() else sum(known) ** 0.5
        )
    return np.ma.MaskedArray(values, mask=mask) if mask.any() else values


def _number(value: float | None) -> Number | None:
    return None if value is None else Number(value)


def _encode_other(value: object) -> object:
    if isinstance(value, np.floating):
        return number_text(float(value))
    raise NotImplementedError


def _decode_other(kind: type, value: Any) -> object:
    return Number(value)


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
_plans = msgspec.json.Decoder(Plan)
_parts = msgspec.json.Decoder(Part, dec_hook=_decode_other)
