"""All trainings that are watched on this machine by this user, as `vgtui top` shows them: a frame of each a second."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from engine.errors import UsageError
from engine.health import reference_norm
from engine.progress import MIN_MEASUREMENTS
from engine.verdict import PERSISTENCE
from vgtui.model.health import health_of
from vgtui.sources.attached import Attached
from vgtui.sources.gpus import Device, read_devices
from vgtui.watching.descent import runs
from vgtui.watching.endpoints import Endpoint, list_endpoints
from vgtui.wire.frames import Frame, Header, Number, decode_other

PULL_SECONDS = 1.0
"""The time from one question to a training to the next."""
LOOK_SECONDS = 1.0
"""How often to look for trainings that have begun."""
FIRST_SECONDS = 5.0
"""How long a single look waits for the first frames."""
ENDED_SECONDS = 60.0
"""How long a training that has ended is still shown."""
SILENT_SECONDS = 10.0
"""After how long without a frame a training is said to give none."""
FULL = "gives no frame: it ends just now, or has as many viewers as it takes"
ENOUGH_FRAMES = MIN_MEASUREMENTS + PERSISTENCE
"""After how many frames a single look takes "starting" for an answer."""
MAX_LOSSES = 240
"""Losses that are kept of a training; when there are more, pairs become their mean."""
SEVERITY = ("NaN", "infinite", "zero", "vanished", "exploding", "weak")
"""The words of health from the worst on; between layers of the same word, the smallest gradient is the worst."""

State = Literal["waiting", "training", "ended", "failed"]
"""No frame has come yet; frames come; no more will come; a host that cannot be asked."""


class GpuShare(msgspec.Struct, frozen=True, omit_defaults=True):
    """A GPU that a training uses: its number and name, its load, its memory, and the training's own part of that."""

    index: int
    name: str
    busy: float | None = None
    used: int | None = None
    total: int | None = None
    own: int | None = None


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """A training as it is now: a row of the screen, and a line of `vgtui top --json`. What is unknown is None.

    Attributes:
        host: The host that it is on; "" for this machine.
        name: The name of the model; of a host that cannot be asked, "".
        pid: Its process.
        socket: Where a viewer attaches to it.
        state: Whether it goes on.
        framework: What the model is written in.
        layers: The number of its layers with weights.
        step: The number of updates so far.
        steps_per_second: How fast it trains.
        loss: The loss of the last frame.
        losses: The losses that were seen, the oldest first; several that lie side by side may have become their mean.
        worst_layer: The layer that is worst off.
        worst_ratio: Its gradient norm, relative to that of the layers next to the loss.
        worst_health: The word of its health.
        verdict: The kind of the verdict.
        message: The verdict in a sentence.
        note: How it ended, why it gives no frame, or why its host cannot be asked.
        gpus: The GPUs that its process uses.
    """

    host: str = ""
    name: str = ""
    pid: int = 0
    socket: str = ""
    state: State = "waiting"
    framework: str = ""
    layers: int | None = None
    step: int | None = None
    steps_per_second: Number | None = None
    loss: Number | None = None
    losses: tuple[Number, ...] = ()
    worst_layer: str | None = None
    worst_ratio: Number | None = None
    worst_health: str | None = None
    verdict: str | None = None
    message: str = ""
    note: str = ""
    gpus: tuple[GpuShare, ...] = ()

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What tells it from all others, and sorts it among them."""
        return self.host, self.name, self.pid, self.socket


_decoder: msgspec.json.Decoder[Training] = msgspec.json.Decoder(Training, dec_hook=decode_other)


def decode_training(line: bytes) -> Training:
    """Decode a line of `vgtui top --json`.

    Raises:
        msgspec.DecodeError: It is not one, or UnicodeDecodeError.
    """
    return _decoder.decode(line)


@dataclass(slots=True)
class _Watched:
    """What is known of a training.

    Attributes:
        since: When it was first seen, or gave its last frame.
        problem: Why it gives no frames, if that is known.
        ended_at: When its socket closed; None while it is open.
        frames: How many frames have come.
        per_loss: How many frames each of `losses` stands for.
        pending: The losses of the next one.
    """

    endpoint: Endpoint
    since: float
    header: Header | None = None
    frame: Frame | None = None
    problem: str = ""
    ended_at: float | None = None
    frames: int = 0
    losses: list[float] = field(default_factory=list)
    per_loss: int = 1
    pending: list[float] = field(default_factory=list)

    def take(self, line: object) -> None:
        """Take what the training says."""
        if isinstance(line, Header):
            if line != self.header:  # one that is connected to again goes on where it was
                self.header, self.frame = line, None
            self.since = time.monotonic()
        elif isinstance(line, Frame):
            self.frame, self.since, self.problem = line, time.monotonic(), ""
            self.frames += 1
            if line.loss is not None:
                self._add_loss(float(line.loss))

    @property
    def is_settled(self) -> bool:
        """Whether more frames would say little that is new: the verdict is there, or it is past its first steps."""
        if self.ended_at is not None or self.problem:
            return True
        return self.frame is not None and (self.frame.verdict.kind != "starting" or self.frames >= ENOUGH_FRAMES)

    def row(self, devices: Iterable[Device]) -> Training:
        """Say what is known."""
        frame, header, endpoint = self.frame, self.header, self.endpoint
        state: State = "ended" if self.ended_at is not None else "training" if frame else "waiting"
        row = Training(
            name=header.model.name if header and header.model else endpoint.name,
            pid=endpoint.pid,
            socket=str(endpoint.path),
            state=state,
            framework=header.model.framework if header and header.model else "",
            layers=len(header.layers) if header else None,
            losses=tuple(map(Number, self.losses)),
            note=self._note(state),
            gpus=tuple(_share(device, endpoint.pid) for device in devices if endpoint.pid in device.processes),
        )
        if frame is None or header is None:
            return row
        layer, ratio, word = _worst(header, frame)
        return msgspec.structs.replace(
            row,
            step=frame.step,
            steps_per_second=Number(frame.steps_per_second) if frame.steps_per_second else None,
            loss=frame.loss,
            worst_layer=layer,
            worst_ratio=ratio,
            worst_health=word,
            verdict=frame.verdict.kind,
            message=frame.verdict.message,
        )

    def _note(self, state: State) -> str:
        if state == "ended":
            return "ended; its process goes on" if runs(self.endpoint.pid) else "ended with its process"
        if self.problem:
            return self.problem
        silent = time.monotonic() - self.since
        if silent < SILENT_SECONDS:
            return ""
        return f"no frame for {silent:.0f} s: it evaluates, is stopped, or makes no steps"

    def _add_loss(self, loss: float) -> None:
        self.pending.append(loss)
        if len(self.pending) < self.per_loss:
            return
        self.losses.append(sum(self.pending) / len(self.pending))
        self.pending.clear()
        if len(self.losses) >= MAX_LOSSES:
            pairs = zip(self.losses[::2], self.losses[1::2], strict=True)
            self.losses, self.per_loss = [(one + other) / 2 for one, other in pairs], 2 * self.per_loss


class Trainings:
    """The trainings of this machine.

    What was seen stays when it is closed, and goes on when it is followed again.
    """

    def __init__(self, pull_seconds: float = PULL_SECONDS) -> None:
        self._pull_seconds = pull_seconds
        self._watched: dict[Path, _Watched] = {}
        self._following: dict[Path, asyncio.Task[None]] = {}
        self._devices: list[Device] = []
        self.problem = ""
        """Why no sockets can be looked for; "" if they can."""

    @property
    def devices(self) -> Sequence[Device]:
        """The GPUs of this machine."""
        return self._devices

    def rows(self) -> list[Training]:
        """Return a row for each training, by name. Those that ended a while ago are gone."""
        now = time.monotonic()
        for path, watched in list(self._watched.items()):
            if watched.ended_at is not None and now - watched.ended_at > ENDED_SECONDS:
                del self._watched[path]
        return sorted((watched.row(self._devices) for watched in self._watched.values()), key=lambda row: row.key)

    async def follow(self) -> None:
        """Follow all trainings until it is cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self.close()

    async def look_once(self) -> list[Training]:
        """Look at all trainings at once, wait a few seconds at most for their first frames, and return their rows."""
        try:
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SECONDS):
                    while not all(watched.is_settled for watched in self._watched.values()):
                        await asyncio.sleep(0.02)
            return self.rows()
        finally:
            await self.close()

    async def look(self) -> None:
        """Begin to follow the trainings that were not followed yet, and read the GPUs."""
        self._following = {path: task for path, task in self._following.items() if not task.done()}
        try:
            found, self._devices = await asyncio.gather(
                asyncio.to_thread(list_endpoints, self._following.keys()), asyncio.to_thread(read_devices)
            )
            self.problem = ""
        except OSError as error:
            found, self.problem = [], f"no sockets can be looked for: {error.strerror or error}"
        living = {*self._following, *(endpoint.path for endpoint in found)}
        for path, watched in self._watched.items():
            if path not in living and watched.ended_at is None:  # while nobody followed it
                watched.ended_at = time.monotonic()
        for endpoint in found:
            watched = self._watched.setdefault(endpoint.path, _Watched(endpoint, time.monotonic()))
            watched.ended_at = None
            self._following[endpoint.path] = asyncio.create_task(self._follow(watched))

    async def close(self) -> None:
        """Let go of all trainings."""
        for task in self._following.values():
            task.cancel()
        await asyncio.gather(*self._following.values(), return_exceptions=True)
        self._following.clear()

    async def _follow(self, watched: _Watched) -> None:
        source = Attached(watched.endpoint, goes_on=False)
        try:
            while not source.ended:
                began = time.monotonic()
                line = await source.next_answer()
                watched.take(line)
                if isinstance(line, Frame):
                    await asyncio.sleep(began + self._pull_seconds - time.monotonic())
        except UsageError as error:
            watched.problem = error.problem
        finally:
            await source.close()
        if source.ended and (watched.header or not runs(watched.endpoint.pid)):
            watched.ended_at = time.monotonic()
        elif source.ended:
            watched.problem = FULL


def _worst(header: Header, frame: Frame) -> tuple[str | None, Number | None, str | None]:
    """Return the layer that is worst off, its gradient relative to the reference, and the word of its health."""
    norms, words = frame.layers.grad_norm, health_of(frame, header)
    matrices = [info.is_matrix for info in header.layers]
    reference = reference_norm(norms, matrices if any(matrices) else None)
    known = ~np.ma.getmaskarray(norms)
    trained = [index for index, word in enumerate(words) if known[index] and word not in ("frozen", "unknown")]
    if not trained:
        return None, None, None

    def severity(index: int) -> tuple[int, bool, float]:
        word = words[index]
        place = SEVERITY.index(word) if word in SEVERITY else len(SEVERITY)
        norm = float(np.ma.getdata(norms)[index])
        return place, not matrices[index], -norm if word == "exploding" else norm

    worst = min(trained, key=severity)
    with np.errstate(all="ignore"):
        ratio = Number(np.ma.getdata(norms)[worst]) / Number(reference)
    return header.layers[worst].name, None if np.isnan(reference) else ratio, words[worst]


def _share(device: Device, pid: int) -> GpuShare:
    return GpuShare(device.index, device.name, device.busy, device.used, device.total, device.processes[pid])
