"""The live frame source: a worker process, driven over a socket."""

import asyncio
import itertools
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import msgspec

import vgtui
from engine.changes import TRIAL_STEPS
from vgtui.wire.frames import LINE_LIMIT, Event, Frame, Header, RunId, encode_line
from vgtui.wire.protocol import (
    Answer,
    Command,
    HoldTrials,
    Inspect,
    Inspected,
    Ping,
    Pong,
    Pull,
    Refused,
    Restart,
    Save,
    ShareCores,
    Silent,
    StepOnce,
    Train,
    Tried,
    TryChanges,
    answer_decoder,
)
from vgtui.wire.run_settings import RunSettings

MAX_LAST_WORDS = 20
"""Lines of the worker's stderr that are kept to explain its end."""
PATIENCE_SECONDS = 0.5
"""How long a worker may take to leave by itself."""
SILENCE_SECONDS = 10.0
"""How long a worker may say nothing, not even when it is pinged, before it is called silent."""


class State(Enum):
    """Whether there is a worker, and what it was asked."""

    ABSENT = auto()
    """There is no worker. The next question starts one."""
    IDLE = auto()
    """The worker has no question to answer."""
    ASKED = auto()
    """The worker was asked for a frame."""
    SILENT = auto()
    """The worker was asked for a frame, and does not even answer a ping."""
    FAILED = auto()
    """The worker has ended, or could not be started. Questions wait for a restart."""
    CLOSED = auto()
    """The run is over. There is no other state after it."""


class _NotStartedError(Exception):
    """No process, file or thread is available for the worker."""


class LiveRun:
    """A run that trains in a process of its own, which it starts with the first question."""

    def __init__(self, settings: RunSettings, *, validate: bool = False, checkpoint: str | None = None) -> None:
        """Prepare a run.

        Args:
            settings: The settings; threads, the backend and everything else follow from them.
            validate: Measure every frame on the whole validation part, rather than as often as a screen needs it.
            checkpoint: A file to resume from, saved with the same settings.
        """
        self._settings = settings
        self._checkpoint = checkpoint
        self._validate = validate
        self._at = 0
        self._among = 1
        self._train = Train()
        self._state = State.ABSENT
        self._worker: _Worker | None = None
        """The worker, in the states IDLE, ASKED and SILENT."""
        self._leaving: asyncio.Task[str] | None = None
        self._may_start = asyncio.Event()
        self._may_start.set()
        self._step = 0
        self._ids = itertools.count(1)
        self._run: RunId = next(self._ids)
        """The run whose answers are wanted: between a restart and its header, others still come."""
        self._present: RunId = msgspec.UNSET
        """The run that the worker has."""

    @property
    def process_id(self) -> int | None:
        """The process of the worker, if there is one."""
        return self._worker.process.pid if self._worker else None

    async def next_answer(self, at: int = 0) -> Answer:
        """Ask for the frame from step `at` on, and return the worker's next answer."""
        try:
            return await self._next_answer(at)
        except _NotStartedError as error:
            self._enter(State.FAILED)
            return Event(step=self._step, kind="fault", message=f"the training process cannot be started: {error}")

    async def _next_answer(self, at: int) -> Answer:
        if self._state not in (State.ASKED, State.SILENT):
            self._at = at
        worker = await self._running_worker()
        while True:
            if self._state is State.IDLE:
                self.ask(self._at)
            was_silent = self._state is State.SILENT
            line = await self._next_line(worker)
            if line is None:
                return Silent(SILENCE_SECONDS)
            if line.endswith(b"\n"):
                answer = answer_decoder.decode(line)
                if self._take(answer, worker, was_silent):
                    return answer
            elif worker is self._worker:
                return await self._fault(worker)
            else:  # it was silent and a restart left it behind, or the run is closed
                worker = await self._running_worker()

    def _take(self, answer: Answer, worker: "_Worker", was_silent: bool) -> bool:
        """Note what an answer of a worker says. Returns whether it is to be passed on."""
        match answer:
            case Pong():
                return was_silent
            case Header(run=run):
                self._present = run  # passed on whatever run it is of, as that run may go on
            case Frame(step=step):
                self._step = step
                if worker is self._worker:
                    self._enter(State.IDLE, worker)
        if isinstance(answer, Frame | Refused | Inspected | Tried) and answer.run != self._run:
            return False
        if isinstance(answer, Refused):
            self._run = self._present
        return True

    def ask(self, at: int = 0) -> None:
        """Ask for the frame from step `at` on, instead of what an open question asked for."""
        self._at = at
        if self._worker:
            self._send(Pull(at, self._validate))
            if self._state is State.IDLE:
                self._enter(State.ASKED, self._worker)

    def another(self, settings: RunSettings) -> "LiveRun":
        """Return a second run with these settings, to train beside this one."""
        return LiveRun(settings, validate=self._validate)

    def share_cores(self, among: int) -> None:
        """Share the cores among so many runs from now on."""
        self._among = among
        self._send(ShareCores(among))

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        """Begin again with these settings, or keep the step and the weights. A worker that is silent is left behind."""
        self._settings = settings
        self._run = next(self._ids)
        if self._state is State.SILENT and self._worker:  # it would not hear of the restart
            self._leaving = asyncio.create_task(self._worker.end())
            self._enter(State.ABSENT)
        elif self._state is State.FAILED:
            self._enter(State.ABSENT)
        self._send(Restart(settings, self._run, keep=keep))

    def train(self, until: int | None = None) -> None:
        """Go on, up to a step if one is given."""
        self._train = Train(until)
        self._send(self._train)

    def pause(self) -> None:
        """Wait after this step."""
        self.train(until=0)

    def step_once(self) -> None:
        """Make one update, then wait."""
        self._train = Train(until=0)  # for a worker that takes over: it waits too
        self._send(StepOnce())

    def inspect(self, layer: int) -> None:
        """Look inside a layer. The answer is Inspected."""
        self._send(Inspect(layer))

    def try_changes(self, steps: int = TRIAL_STEPS) -> None:
        """Measure each change of the run on its own, and train each for some steps. The answers are Tried."""
        self._send(TryChanges(steps))

    def hold_trials(self, hold: bool) -> None:
        """Leave off trying changes where it is, or go on with it."""
        self._send(HoldTrials(hold))

    def save(self, command: Save) -> None:
        """Have a checkpoint written; Saved is the answer."""
        self._send(command)

    async def close(self) -> None:
        """End the worker."""
        worker = self._worker
        self._enter(State.CLOSED)
        if self._leaving:
            await self._leaving
        if worker:
            await worker.end()

    def _enter(self, state: State, worker: "_Worker | None" = None) -> None:
        """Go to another state; only here does one follow another.

        Args:
            state: The next state. A closed run stays closed.
            worker: The worker that there is in this state.
        """
        if self._state is State.CLOSED:
            return
        self._state, self._worker = state, worker
        if state is State.FAILED:
            self._may_start.clear()
        else:
            self._may_start.set()

    async def _running_worker(self) -> "_Worker":
        """Return the worker, or start one with its first question asked."""
        if self._worker is None:
            await self._may_start.wait()
            worker = await self._start_worker()
            self._enter(State.IDLE, worker)
            self._present = msgspec.UNSET
            self.share_cores(self._among)
            # asked before trained, so that the first frame is the network at initialization
            self._send(Restart(self._settings, self._run, self._checkpoint))
            self.ask(self._at)
            self._send(self._train)
            return worker
        return self._worker

    async def _start_worker(self) -> "_Worker":
        """Start a process, unless the run is closed, before or meanwhile."""
        if self._state is not State.CLOSED:
            try:
                worker = await _Worker.start()
            except (OSError, RuntimeError) as error:  # no more processes, files or memory
                raise _NotStartedError(getattr(error, "strerror", None) or str(error)) from error
            if not self._is_closed:
                return worker
            await worker.end()
        raise asyncio.CancelledError

    @property
    def _is_closed(self) -> bool:
        return self._state is State.CLOSED

    async def _next_line(self, worker: "_Worker") -> bytes | None:
        """Return the worker's next line; None, once, when it falls silent."""
        if self._state is State.SILENT:
            line = await worker.read_line()
        else:
            line = await worker.read_line(SILENCE_SECONDS / 2)
            if line is None:
                self._send(Ping())
                line = await worker.read_line(SILENCE_SECONDS / 2)
        if worker is self._worker:
            self._enter(State.SILENT if line is None else State.ASKED, worker)
        return line

    def _send(self, command: Command) -> None:
        if self._worker:
            self._worker.writer.write(encode_line(command))

    async def _fault(self, worker: "_Worker") -> Event:
        self._enter(State.FAILED)
        return Event(step=self._step, kind="fault", message=await worker.end())


@dataclass(slots=True)
class _Worker:
    """A process, our end of its socket, and the tasks that keep its last words and read its next line."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last_words: "asyncio.Task[deque[str]]"
    reading: "asyncio.Task[bytes] | None" = None

    @classmethod
    async def start(cls) -> "_Worker":
        """Start a process. Raises OSError or RuntimeError if the system has none to give."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *_safe_path(),
                    "-m",
                    "vgtui.worker.main",
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
        assert process.stderr is not None
        return cls(process, reader, writer, asyncio.create_task(_keep_last(process.stderr)))

    async def read_line(self, seconds: float | None = None) -> bytes | None:
        """Read a line.

        Args:
            seconds: How long to wait for it; without end if None.

        Returns:
            The line, or what there is of it when the worker has gone. None if none has come in time.
        """
        self.reading = self.reading or asyncio.create_task(self.reader.readline())
        done, _ = await asyncio.wait([self.reading], timeout=seconds)
        if not done:
            return None
        reading, self.reading = self.reading, None
        return b"" if reading.cancelled() or isinstance(reading.exception(), ConnectionError) else reading.result()

    async def end(self) -> str:
        """Close the socket, see the process off, and return a sentence on how it ended."""
        if self.reading:
            self.reading.cancel()
        self.writer.close()
        if not await self._has_left():
            with suppress(ProcessLookupError):  # it has left just now
                self.process.kill()
            if not await self._has_left():  # a driver does not let it go
                self.last_words.cancel()
                return f"the training process {self.process.pid} hangs in the system and cannot be killed"
        words = await self.last_words
        code = self.process.returncode or 0
        if code < 0:
            hint = "; the system may be out of memory" if -code == signal.SIGKILL else ""
            return f"the training process was killed by {signal.Signals(-code).name}{hint}"
        reason = words[-1] if words else "it gave no reason"
        return f"the training process ended with code {code}: {reason}"

    async def _has_left(self) -> bool:
        """Return whether the process ends within a moment."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)
            return True
        return False


def _safe_path() -> list[str]:
    """Keep the working folder out of the worker's module path, unless vgtui itself is in it."""
    return [] if Path(vgtui.__file__).parent.parent == Path.cwd() else ["-P"]


async def _keep_last(stream: asyncio.StreamReader) -> deque[str]:
    """Return the last lines of a stream when it has ended."""
    lines: deque[str] = deque(maxlen=MAX_LAST_WORDS)
    unfinished = b""
    while chunk := await stream.read(65536):
        *whole, unfinished = (unfinished + chunk)[-65536:].split(b"\n")
        lines.extend(line.decode(errors="replace").strip() for line in whole if line.strip())
    return lines
