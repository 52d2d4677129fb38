"""Your own model as a frame source: the socket of `vgtui.watch` or `vgtui.Emitter`, and later ones of the same name."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace

from engine.errors import UsageError
from vgtui.recordings.reader import CHUNK_BYTES, RecordingReader
from vgtui.watching.descent import runs
from vgtui.watching.endpoints import Endpoint, endpoints_named, list_endpoints
from vgtui.wire.frames import Event, Frame, Header, Line, encode_line
from vgtui.wire.protocol import Answer, Pull

LOOK_SECONDS = 0.5
"""How often to look for the model once its training has ended."""
EXIT_SECONDS = 2.0
"""How long a process may take to end after its last word."""
MAX_NOTES, NOTE_SECONDS = 20, 5.0
"""How many notes are shown in how many seconds; more would leave no room for anything else."""
TOO_MANY = "more notes come than can be shown; they are left out"
ENDED = "the training has ended; what it showed stays, and it goes on here when it begins again"
LEFT = "it is watched no longer, though its process still runs; it goes on here when it is watched again"
LAST = "the training has ended, or is watched no longer; what it showed stays"
SILENT = "the training has ended, or has as many viewers as it takes; it goes on here when it lets one in"


class Attached:
    """Frames of a model that another process trains. A pause is the viewer's alone: the training goes on."""

    def __init__(self, endpoint: Endpoint, goes_on: bool = True) -> None:
        """Prepare to attach to a model; the first question connects.

        Args:
            endpoint: The model.
            goes_on: Whether it goes on with a later model of the same name when this one has ended.
        """
        self._endpoint = endpoint
        self._goes_on = goes_on
        self._reader = RecordingReader(endpoint.name)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._waiting: deque[Line] = deque()
        self._asked = False
        self._may_ask = asyncio.Event()
        self._may_ask.set()
        self._single = False
        self._step = 0
        self._notes = 0
        self._noted_since = 0.0
        self.ended = False
        """Whether the training has ended, for now."""

    async def next_answer(self, at: int = 0) -> Answer:
        """Return the next line of the model, or a note when its training ends."""
        while True:
            if self._waiting:
                if (line := self._bounded(self._waiting.popleft())) is not None:
                    return self._take(line)
                continue
            await self._may_ask.wait()
            if self.ended and not self._streams:
                await asyncio.sleep(LOOK_SECONDS)
            if (note := await self._read_more()) is not None:
                return note

    def train(self, until: int | None = None) -> None:
        """Show frames as they come."""
        self._single = False
        self._may_ask.set()

    def pause(self) -> None:
        """Ask for no more frames."""
        self._single = False
        self._may_ask.clear()

    def step_once(self) -> None:
        """Ask for one frame."""
        self._single = True
        self._may_ask.set()

    async def close(self) -> None:
        """Detach from the model."""
        await self._hang_up()

    async def _read_more(self) -> Event | None:
        """Read what the model says; connect and ask if need be. Returns a note if the training has ended just now."""
        streams = self._streams or await self._connect()
        if streams is None:
            return None if self.ended else self._end(await self._farewell())
        data = b""
        with suppress(OSError):
            data = await self._ask_and_read(*streams)
        if not data:
            await self._hang_up()
            if self._reader.header:
                return self._end(await self._farewell())
            return None if self.ended else self._end(SILENT)
        self.ended = False
        try:
            self._waiting.extend(self._reader.feed(data))
        except UsageError as error:
            raise UsageError("NAME", f"what answers on {self._endpoint.path} is not a watched model") from error
        return None

    async def _farewell(self) -> str:
        """Say whether the training has ended, or only the watching: a process that ends may take a moment for it."""
        if not self._goes_on:
            return LAST
        deadline = time.monotonic() + EXIT_SECONDS
        while runs(self._endpoint.pid):
            if time.monotonic() > deadline:
                return LEFT
            await asyncio.sleep(LOOK_SECONDS / 10)
        return ENDED

    async def _hang_up(self) -> None:
        streams, self._streams = self._streams, None
        if streams:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the same socket, or to a later one of the same name."""
        if not await self._connect_to(self._endpoint) and self._goes_on:
            for endpoint in endpoints_named(self._endpoint.name, await asyncio.to_thread(_endpoints)):
                if await self._connect_to(endpoint):
                    break
        return self._streams

    async def _connect_to(self, endpoint: Endpoint) -> bool:
        with suppress(OSError):
            self._streams = await asyncio.open_unix_connection(endpoint.path)
            self._endpoint = endpoint
            self._reader = RecordingReader(endpoint.name)
            self._asked = False
            return True
        return False

    async def _ask_and_read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if not self._asked:
            writer.write(encode_line(Pull()))
            self._asked = True
        return await reader.read(CHUNK_BYTES)

    def _take(self, line: Line) -> Line:
        if isinstance(line, Header) and line.model and self._endpoint.pid:  # a path that the user gave says no name
            self._endpoint = replace(self._endpoint, name=line.model.name, is_named=True)
        if isinstance(line, Frame):
            self._asked = False
            self._step = line.step
            if self._single:
                self.pause()
        return line

    def _bounded(self, line: Line) -> Line | None:
        """Return what is shown of a line: the first of too many notes becomes a remark, the others None."""
        if not isinstance(line, Event):
            return line
        now = time.monotonic()
        if now - self._noted_since > NOTE_SECONDS:
            self._notes, self._noted_since = 0, now
        self._notes += 1
        if self._notes > MAX_NOTES + 1:
            return None
        return line if self._notes <= MAX_NOTES else Event(step=line.step, kind="note", message=TOO_MANY)

    def _end(self, message: str) -> Event:
        self.ended = True
        return Event(step=self._step, kind="note", message=message)


def _endpoints() -> list[Endpoint]:
    try:
        return list_endpoints()
    except OSError:
        return []


def find_endpoints(wanted: str | None, found: list[Endpoint]) -> list[Endpoint]:
    """Choose endpoints by a name.

    Args:
        wanted: The name of a model, or the number of its process; None for all.
        found: The endpoints that there are.

    Returns:
        The endpoints that match.

    Raises:
        UsageError: There is none.
    """
    if not found:
        raise UsageError(
            "NAME",
            "no model is watched on this machine now; start one with vgtui exec python train.py, or have in the "
            "script: watcher = vgtui.watch(model, optimizer), and watcher.step(loss=loss) once a step",
        )
    matching = found if wanted is None else endpoints_named(wanted, found) or [p for p in found if str(p.pid) == wanted]
    if not matching:
        there = ", ".join(f"{endpoint.name} ({endpoint.pid})" for endpoint in found)
        raise UsageError("NAME", f'no model "{wanted}" is watched now; there is {there}')
    return matching
