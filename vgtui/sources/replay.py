"""A recording as a frame source: a file at the pace of its run, faster or slower, or a stream as it comes."""

import asyncio
import itertools
import os
import stat
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from msgspec import UNSET

from engine.errors import UsageError
from vgtui.recordings.reader import CHUNK_BYTES, STREAM, RecordingReader
from vgtui.wire.frames import Event, Frame, Header, Line, carried
from vgtui.wire.protocol import Answer

SPEEDS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
FIRST_GAP_SECONDS = 0.1
"""The pause before a run's first frame, and where it is not known how fast it trained."""
MAX_GAP_SECONDS = 2.0
"""The pause between two frames, however far apart they are."""
GROWTH_SECONDS = 0.5
"""How often to look at a file again that has ended: it may still be written."""
BREATH_SECONDS = 0.02
"""How long lines are taken without a break for keys and drawing."""


class Replay:
    """The frames of a recording. A file is played in the time that its steps took; a stream is followed."""

    def __init__(self, path: str, file: int | None = None) -> None:
        """Open a recording and read its header.

        Args:
            path: A file, or "-" for standard input.
            file: What was made of it, open already: a copy of this is read.

        Raises:
            UsageError: It cannot be read, or it is not a recording.
        """
        self._reader = RecordingReader("standard input" if path == STREAM else path)
        try:
            given = sys.stdin.fileno() if path == STREAM else file
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if given is None else os.dup(given)
        except OSError as error:
            raise UsageError("FILE", f"{path} cannot be read: {error.strerror}") from error
        self._is_file = stat.S_ISREG(os.fstat(self._file).st_mode)
        self._follows = path == STREAM or not self._is_file
        self._waiting: deque[Line] = deque()
        self._messages: Iterator[Line | None] = iter(())
        self._reading: asyncio.Future[bytes] | None = None
        self._position = 0
        self._ended = False
        self._speed = SPEEDS.index(1.0)
        self._paused = False
        self._single = 0
        self._skip_to = 0
        self._due: dict[str, float] = {}
        self._shown: dict[str, Frame] = {}
        """When the next frame of each lane is due, and its last one: two lanes play side by side."""
        self._breathed_at = 0.0
        self._has_lanes = False
        self._passing = 0
        self._plays = 0
        """How often play_from() was called: what was under way before is not wanted any more."""
        self._poked = asyncio.Event()
        self.header = self._begin()

    @property
    def ended(self) -> bool:
        """Whether all frames that there are, for now, have been given."""
        return self._ended

    @property
    def seekable(self) -> bool:
        """Whether it is a file, which can be played again."""
        return self._is_file

    @property
    def has_lanes(self) -> bool:
        """Whether two runs were compared so far."""
        return self._has_lanes

    @property
    def pace(self) -> str:
        """How fast it plays and how far it is, as words for the screen."""
        if self._ended:
            return "end"
        if self._follows:
            return "following"
        speed = SPEEDS[self._speed]
        return f"{speed:g}×  {100 * self._place / max(self._size(), 1):.0f} %"

    async def next_answer(self, at: int = 0) -> Answer:
        """Return the next line when it is due; frames before step `at` are left out."""
        while True:
            message = await self._next_message()
            if self._passing and not self._ended:  # it was given before
                self._passing -= isinstance(message, Frame)
                continue
            if isinstance(message, Frame):
                if not await self._until_due(message):
                    continue
                self._shown[message.lane or ""] = message
                if message.step < at:
                    continue
            elif isinstance(message, Header):
                self._take_header(message)
            return message

    def train(self, until: int | None = None) -> None:
        """Play."""
        self._paused = False
        self._due.clear()
        self._poked.set()

    def pause(self) -> None:
        """Stop at this frame."""
        self._paused = True
        self._single = self._skip_to = 0
        self._poked.set()

    def step_once(self) -> None:
        """Give the next frame of each lane, then stop."""
        self._paused = True
        self._single += max(1, len(self._shown))
        self._poked.set()

    def change_speed(self, step: int) -> None:
        """Play faster (1) or slower (−1)."""
        self._speed = min(max(self._speed + step, 0), len(SPEEDS) - 1)
        self._due.clear()
        self._poked.set()

    def skip(self, share: float) -> None:
        """Give a share of the whole recording at once, 1 for all that is left."""
        self._skip_to = self._place + max(1, round(share * self._size()))
        self._poked.set()

    def play_from(self, frame: int) -> None:
        """Play again from a frame, 0 for the first with its header. The next one comes at once."""
        self._reader = RecordingReader(self._reader.name)
        self._messages = iter(())
        self._waiting.clear()
        self._ended = False
        self._position = self._skip_to = 0
        self._single = 1
        self._shown, self._due = {}, {}
        self._passing = frame
        self._plays += 1
        self._poked.set()

    async def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, -1
        if file < 0:
            return
        if self._reading and not self._reading.done():  # do not wait for a slow disk
            self._reading.add_done_callback(lambda _: os.close(file))
        else:
            os.close(file)

    def _begin(self) -> Header:
        """Read as far as the header."""
        try:
            while self._reader.header is None:
                data = os.read(self._file, CHUNK_BYTES)
                if not data:
                    self._reader.check_begun()
                self._position += len(data)
                self._messages = self._reader.feed_slowly(data)
                self._waiting.extend(first for first in itertools.islice(self._messages, 1) if first)
        except OSError as error:
            raise UsageError("FILE", f"{self._reader.name} cannot be read: {error.strerror}") from error
        assert self._reader.header
        return self._reader.header

    @property
    def _place(self) -> int:
        """How far the file has been played, in bytes; of a compressed one, how far it has been read."""
        return self._position if self._reader.packed else self._reader.taken

    def _size(self) -> int:
        return os.fstat(self._file).st_size if self._is_file and self._file >= 0 else 0

    async def _next_message(self) -> Line:
        while True:
            if self._waiting:
                return self._waiting.popleft()
            plays = self._plays
            for message in self._messages:
                await self._breathe()
                if plays != self._plays:
                    break
                if message:
                    return message
            else:
                data = await self._read()
            if plays != self._plays:
                continue
            if data:
                self._position += len(data)
                self._messages = self._reader.feed_slowly(data)
                self._ended = False
            elif not self._ended:
                self._ended = True
                what = "stream" if self._follows else "recording"
                return Event(step=0, kind="note", message=f"end of the {what}: {self._reader.summary()}")
            else:
                self._poked.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._poked.wait(), GROWTH_SECONDS)

    async def _read(self) -> bytes:
        """Read what there is; nothing at the end, for now."""
        try:
            if self._is_file:  # a slow disk must not hold up the keys
                loop = asyncio.get_running_loop()
                self._reading = loop.run_in_executor(None, os.pread, self._file, CHUNK_BYTES, self._position)
                return await asyncio.shield(self._reading)
            await self._until_readable()
            return os.read(self._file, CHUNK_BYTES)
        except OSError as error:
            return self._lost(error)

    def _lost(self, error: OSError) -> bytes:
        if not self._ended:
            self._ended = True
            self._waiting.append(Event(step=0, kind="note", message=f"cannot be read any further: {error.strerror}"))
        return b""

    async def _until_readable(self) -> None:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self._file, readable.set)
        except PermissionError:  # a device that is always ready, such as /dev/null
            return
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._file)

    async def _until_due(self, frame: Frame) -> bool:
        """Wait as long as the run took, at the present speed; while paused, until a single frame is wanted.

        Returns:
            Whether the frame is still wanted: it is not if play_from() was called meanwhile.
        """
        plays, lane = self._plays, frame.lane or ""
        due = self._due.get(lane, time.monotonic()) + self._gap(frame) / SPEEDS[self._speed]
        while self._place > self._skip_to:
            if self._single:
                self._single -= 1
                break
            wait = None if self._paused else due - time.monotonic()
            if wait is not None and wait <= 0:
                break
            self._poked.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), wait)
            if plays != self._plays:
                return False
        self._due[lane] = max(due, time.monotonic())
        return True

    async def _breathe(self) -> None:
        """Let other tasks run if it is time for that."""
        if time.monotonic() - self._breathed_at > BREATH_SECONDS:
            await asyncio.sleep(0)
            self._breathed_at = time.monotonic()

    def _take_header(self, header: Header) -> None:
        """Begin with the frames of another run, or go on in another lane."""
        self._has_lanes |= bool(header.lane)
        self._shown, self._due = carried(self._shown, header), carried(self._due, header)
        if header.continues is UNSET:
            self._shown.pop(header.lane or "", None)

    def _gap(self, frame: Frame) -> float:
        if self._follows:
            return 0.0
        before = self._shown.get(frame.lane or "")
        if before is None or not frame.steps_per_second:
            return FIRST_GAP_SECONDS
        return min(max(frame.step - before.step, 0) / frame.steps_per_second, MAX_GAP_SECONDS)
