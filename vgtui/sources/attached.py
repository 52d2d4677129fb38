"""Somebody's own model as a frame source: the socket of `vgtui.watch` or `vgtui.Emitter`, and the next one after it."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace

from engine.errors import UsageError
from vgtui.recordings.reader import CHUNK_BYTES, RecordingReader
from vgtui.watching.endpoints import Place, called, places
from vgtui.wire.frames import Event, Frame, Header, Line, encode_line
from vgtui.wire.protocol import Answer, Pull

LOOK_SECONDS = 0.5
"""How often it is looked for once the training has ended."""
NOTES, NOTE_SECONDS = 20, 5.0
"""As many notes are shown in such a time; a training that says more would leave no room for anything else."""
TOO_MANY = "more notes come than can be shown, and are left out"
ENDED = "the training has ended; what it showed stays, and it goes on here when it begins again"
SILENT = "the training has ended, or has as many viewers as it takes; it goes on here when it lets one in"


class Attached:
    """Frames of a model that is trained elsewhere. Pausing is ours alone: the training goes on."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._reader = RecordingReader(place.name)
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
        """Whether nobody trains it now."""

    async def next_answer(self, at: int = 0) -> Answer:
        while True:
            if self._waiting:
                if (line := self._bounded(self._waiting.popleft())) is not None:
                    return self._take(line)
                continue
            await self._may_ask.wait()
            if self.ended and not self._streams:
                await asyncio.sleep(LOOK_SECONDS)
            streams = self._streams or await self._connect()
            if streams is None:
                if not self.ended:
                    return self._end(ENDED)
                continue
            data = b""
            with suppress(OSError):
                data = await self._ask_and_read(*streams)
            if not data:
                await self._hang_up()
                if self._reader.header:
                    return self._end(ENDED)
                if not self.ended:
                    return self._end(SILENT)
                continue
            self.ended = False
            try:
                self._waiting.extend(self._reader.feed(data))
            except UsageError as error:
                raise UsageError("NAME", f"what answers on {self._place.path} is no watched model") from error

    def train(self, until: int | None = None) -> None:
        self._single = False
        self._may_ask.set()

    def pause(self) -> None:
        self._single = False
        self._may_ask.clear()

    def step_once(self) -> None:
        self._single = True
        self._may_ask.set()

    async def close(self) -> None:
        await self._hang_up()

    async def _hang_up(self) -> None:
        streams, self._streams = self._streams, None
        if streams:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """To the same socket, or to a later one of the same name."""
        if not await self._connect_to(self._place):
            for place in called(self._place.name, await asyncio.to_thread(_places)):
                if await self._connect_to(place):
                    break
        return self._streams

    async def _connect_to(self, place: Place) -> bool:
        with suppress(OSError):
            self._streams = await asyncio.open_unix_connection(place.path)
            self._place = place
            self._reader = RecordingReader(place.name)
            self._asked = False
            return True
        return False

    async def _ask_and_read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if not self._asked:
            writer.write(encode_line(Pull()))
            self._asked = True
        return await reader.read(CHUNK_BYTES)

    def _take(self, line: Line) -> Line:
        if isinstance(line, Header) and line.model and self._place.pid:  # of a path that was given, nothing is known
            self._place = replace(self._place, name=line.model.name, is_named=True)
        if isinstance(line, Frame):
            self._asked = False
            self._step = line.step
            if self._single:
                self.pause()
        return line

    def _bounded(self, line: Line) -> Line | None:
        """What is shown of a line: notes beyond what there is room for are left out, and the first says so."""
        if not isinstance(line, Event):
            return line
        now = time.monotonic()
        if now - self._noted_since > NOTE_SECONDS:
            self._notes, self._noted_since = 0, now
        self._notes += 1
        if self._notes > NOTES + 1:
            return None
        return line if self._notes <= NOTES else Event(step=line.step, kind="note", message=TOO_MANY)

    def _end(self, message: str) -> Event:
        self.ended = True
        return Event(step=self._step, kind="note", message=message)


def _places() -> list[Place]:
    try:
        return places()
    except OSError:
        return []


def find_place(wanted: str | None, found: list[Place]) -> list[Place]:
    """What a name, or a process's number, means of what there is; all of it where nothing is wanted.

    Raises UsageError where that is nothing.
    """
    if not found:
        raise UsageError(
            "NAME",
            "no model is watched on this machine now; in the training script: "
            "watcher = vgtui.watch(model, optimizer), and watcher.step(loss=loss) once a step",
        )
    matching = found if wanted is None else called(wanted, found) or [p for p in found if str(p.pid) == wanted]
    if not matching:
        there = ", ".join(f"{place.name} ({place.pid})" for place in found)
        raise UsageError("NAME", f'no model "{wanted}" is watched now; there is {there}')
    return matching
