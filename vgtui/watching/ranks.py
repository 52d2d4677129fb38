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
from vgtui.wire.frames import Number, RankInfo

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
MAX_UNUSED = 10
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
    """One rank's side of it. With a single rank, or without a store, every method does next to nothing."""

    def __init__(self, every: str | int, is_recorded: bool) -> None:
        """Begin. Called in every rank, in the same order.

        Args:
            every: How often a step is sampled.
            is_recorded: Whether every sampled step is recorded.
        """
        is_there = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if is_there else 0
        self.size = torch.distributed.get_world_size() if is_there else 1
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
        if self.size > 1 and (store := _store(next(_watchers))) is not None:
            self._thread = threading.Thread(target=self._serve, args=store, name="vgtui ranks", daemon=True)
            self._thread.start()
            atexit.register(self._end)
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
        if is_wanted or self._unused >= MAX_UNUSED:
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
        self._step_seconds = seconds if math.isnan(self._step_seconds) else 0.9 * self._step_seconds + 0.1 * seconds

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

    def _end(self) -> None:
        """Close at the end of the process, which a thread inside the store would abort."""
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

    def _serve(self, store: Any, original: Any) -> None:
        pause = POLL_SECONDS * max(1, self.size / RANKS_A_POLL)
        heard = b""
        try:
            while not self._ends.is_set() and torch.distributed.is_initialized():
                self._post(store)
                if self.rank:
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
            del store, original

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


def _store(number: int) -> tuple[Any, Any] | None:
    """Return a connection of our own to PyTorch's store, and the store itself, which lives as long; None without."""
    try:
        original = torch.distributed.distributed_c10d._get_default_store()
        store = torch.distributed.PrefixStore(f"vgtui/{number}", original.clone())
        store.set_timeout(timedelta(seconds=5))
    except Exception:
        log.debug("vgtui hears nothing of other ranks", exc_info=True)
        return None
    return store, original


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


def odd_rank(ranks: Sequence[RankInfo]) -> str:
    """Say in a sentence which rank differs from the others, "" if none does.

    Args:
        ranks: A line for each rank.
    """
    for rank in ranks:
        is_lost = rank.loss is not None and not math.isfinite(rank.loss)
        if is_lost and any(other.loss is not None and math.isfinite(other.loss) for other in ranks):
            return f"rank {rank.rank}'s loss is not finite"
    for field, word in (("loss", "loss"), ("norm", "gradient")):
        if odd := _far_off([(rank.rank, getattr(rank, field)) for rank in ranks], MAX_FACTOR):
            return f"rank {odd[0]}'s {word} is {odd[1]:.3g}, {odd[2]:.0f} times the others'"
    if odd := _far_off([(rank.rank, rank.own_seconds) for rank in ranks], MAX_SLOWNESS):
        whole = [rank.seconds for rank in ranks if rank.seconds is not None]
        if not whole or odd[1] > MIN_SHARE * float(np.median(whole)):
            return f"rank {odd[0]} is slow: {1e3 * odd[1]:.3g} ms until backpropagation, {odd[2]:.0f} times the others'"
    return ""


def _far_off(values: list[tuple[int, Any]], factor: float) -> tuple[int, float, float] | None:
    """Return the rank of the greatest value, with it and how many times it is the median of the others."""
    known = [(float(value), rank) for rank, value in values if value is not None and np.isfinite(value)]
    if len(known) < 2:
        return None
    greatest, rank = max(known)
    usual = float(np.median([value for value, other in known if other != rank]))
    return (rank, greatest, greatest / usual) if usual > 0 and greatest >= factor * usual else None


MAX_FACTOR = 10.0
"""A loss or a gradient this many times the others' is odd."""
MAX_SLOWNESS = 2.0
"""A time this many times the others' is odd."""
MIN_SHARE = 0.1
"""The share of a step below which a time is no matter."""


def _encode_other(value: object) -> object:
    from vgtui.wire.frames import number_text

    if isinstance(value, np.floating):
        return number_text(float(value))
    raise NotImplementedError


def _decode_other(kind: type, value: Any) -> object:
    return Number(value)


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)
_plans = msgspec.json.Decoder(Plan)
_parts = msgspec.json.Decoder(Part, dec_hook=_decode_other)
