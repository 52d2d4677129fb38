"""The live frame source: a worker process, driven over a socket."""

import asyncio
import itertools
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

import vgtui
from vgtui.wire.frames import LINE_LIMIT, Event, Frame, Header, RunId, encode_line
from vgtui.wire.protocol import (
    Answer,
    Command,
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

LAST_WORDS = 20
"""Lines of the worker's stderr that are kept to explain its death."""
PATIENCE_SECONDS = 0.5
"""How long a worker may take to leave by itself."""
SILENCE_SECONDS = 10.0
"""From when on a worker that says nothing, not even when it is asked, is called silent."""


class _NotStartedError(Exception):
    """No process, file or thread is available for the worker."""


class LiveRun:
    """Trains in a process of its own. `threads`, the backend and everything else follow from the settings.

    validate: every frame with the whole validation part, rather than as often as a screen needs it. checkpoint: where
    to go on, a file that was saved with the same settings.
    """

    def __init__(self, settings: RunSettings, *, validate: bool = False, checkpoint: str | None = None) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._validate = validate
        self._at = 0
        self._among = 1
        self._train = Train()
        self._worker: _Worker | None = None
        self._leaving: asyncio.Task[str] | None = None
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._asked = False
        self._silent = False
        self._closed = False
        self._step = 0
        self._ids = itertools.count(1)
        self._run: RunId = next(self._ids)
        """The run whose answers are wanted: between a restart and its header, others still come."""
        self._there: RunId = msgspec.UNSET
        """The run that the worker has."""

    @property
    def process_id(self) -> int | None:
        """The worker's, while there is one."""
        return self._worker.process.pid if self._worker else None

    async def next_answer(self, at: int = 0) -> Answer:
        try:
            return await self._next_answer(at)
        except _NotStartedError as error:
            self._wanted.clear()
            return Event(step=self._step, kind="fault", message=f"the training process cannot be started: {error}")

    async def _next_answer(self, at: int) -> Answer:
        if not self._asked:
            self._at = at
        worker = await self._running_worker()
        while True:
            if not self._asked:
                self.ask(self._at)
            was_silent = self._silent
            line = await self._next_line(worker)
            if line is None:
                return Silent(SILENCE_SECONDS)
            if not line.endswith(b"\n"):
                if worker is self._worker:
                    return await self._fault(worker)
                # that one was left behind, silent, by a restart; or the run is closed
                worker = await self._running_worker()
                continue
            answer = answer_decoder.decode(line)
            if isinstance(answer, Pong) and not was_silent:
                continue
            if isinstance(answer, Frame):
                self._asked = False
                self._step = answer.step
            elif isinstance(answer, Header):
                self._there = answer.run  # passed on whatever run it is of, as that may go on
                return answer
            if isinstance(answer, Frame | Refused | Inspected | Tried) and answer.run != self._run:
                continue
            if isinstance(answer, Refused):
                self._run = self._there
            return answer

    def ask(self, at: int = 0) -> None:
        self._at = at
        if self._worker:
            self._send(Pull(at, self._validate))
            self._asked = True

    def another(self, settings: RunSettings) -> "LiveRun":
        return LiveRun(settings, validate=self._validate)

    def share_cores(self, among: int) -> None:
        self._among = among
        self._send(ShareCores(among))

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        self._settings = settings
        self._run = next(self._ids)
        self._wanted.set()
        if self._silent and self._worker:  # it would not hear of it
            self._leaving = asyncio.create_task(self._worker.end())
            self._worker, self._asked, self._silent = None, False, False
        self._send(Restart(settings, self._run, keep=keep))

    def train(self, until: int | None = None) -> None:
        self._train = Train(until)
        self._send(self._train)

    def pause(self) -> None:
        self.train(until=0)

    def step_once(self) -> None:
        self._train = Train(until=0)  # for a worker that takes over: it waits too
        self._send(StepOnce())

    def inspect(self, layer: int) -> None:
        self._send(Inspect(layer))

    def try_changes(self) -> None:
        self._send(TryChanges())

    def save(self, command: Save) -> None:
        """Have a checkpoint written; Saved is the answer."""
        self._send(command)

    async def close(self) -> None:
        self._closed = True
        worker, self._worker = self._worker, None
        if self._leaving:
            await self._leaving
        if worker:
            await worker.end()

    async def _running_worker(self) -> "_Worker":
        """The worker; a new one, with its first question asked, where there is none."""
        if self._worker is None:
            await self._wanted.wait()
            self._worker = await self._start_worker()
            self._there = msgspec.UNSET
            self.share_cores(self._among)
            # asked before trained, so that the first frame is the network at initialization
            self._send(Restart(self._settings, self._run, self._checkpoint))
            self.ask(self._at)
            self._send(self._train)
        return self._worker

    async def _start_worker(self) -> "_Worker":
        """A new process; none for a run that is closed, also where that happens meanwhile."""
        if not self._closed:
            try:
                worker = await _Worker.start()
            except (OSError, RuntimeError) as error:  # no more processes, files or memory
                raise _NotStartedError(getattr(error, "strerror", None) or str(error)) from error
            if not self._closed:
                return worker
            await worker.end()
        raise asyncio.CancelledError

    async def _next_line(self, worker: "_Worker") -> bytes | None:
        """The worker's next line; None, once, where it is silent."""
        if self._silent:
            line = await worker.read_line()
            self._silent = False
            return line
        line = await worker.read_line(SILENCE_SECONDS / 2)
        if line is None:
            self._send(Ping())
            line = await worker.read_line(SILENCE_SECONDS / 2)
        self._silent = line is None
        return line

    def _send(self, command: Command) -> None:
        if self._worker:
            self._worker.writer.write(encode_line(command))

    async def _fault(self, worker: "_Worker") -> Event:
        self._worker = None
        self._wanted.clear()
        return Event(step=self._step, kind="fault", message=await worker.end())


@dataclass(slots=True)
class _Worker:
    """The process, our end of the socket, and the tasks that keep its last words and read its next line."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last_words: "asyncio.Task[deque[str]]"
    reading: "asyncio.Task[bytes] | None" = None

    @classmethod
    async def start(cls) -> "_Worker":
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
        """One line, or what there is of it when the worker has gone; None where none has come after these seconds."""
        self.reading = self.reading or asyncio.create_task(self.reader.readline())
        done, _ = await asyncio.wait([self.reading], timeout=seconds)
        if not done:
            return None
        reading, self.reading = self.reading, None
        return b"" if reading.cancelled() or isinstance(reading.exception(), ConnectionError) else reading.result()

    async def end(self) -> str:
        """Close the socket, see the process off, and say how it ended."""
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
        """Whether the process ends within a moment."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)
            return True
        return False


def _safe_path() -> list[str]:
    """Keep the working folder out of the worker's module path, unless it is where vgtui itself lies."""
    return [] if Path(vgtui.__file__).parent.parent == Path.cwd() else ["-P"]


async def _keep_last(stream: asyncio.StreamReader) -> deque[str]:
    """The last lines of a stream, when it has ended."""
    lines: deque[str] = deque(maxlen=LAST_WORDS)
    unfinished = b""
    while chunk := await stream.read(65536):
        *whole, unfinished = (unfinished + chunk)[-65536:].split(b"\n")
        lines.extend(line.decode(errors="replace").strip() for line in whole if line.strip())
    return lines
