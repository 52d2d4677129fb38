"""A file that keeps the last minutes of a training whole, and ever fewer frames of what is older.

It is a recording like any other, at every moment. Lines are appended to its last segment. When two neighbouring
segments of the same level are old enough, a new file with one in their place, of the next level, takes the place of the
old file: a level has every second frame of the one before. A compressed segment is a gzip member of its own, so that
all other segments are copied as they are.
"""

import os
import time
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from errno import ENOENT
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import BinaryIO

from engine.errors import UsageError
from vgtui.files.outputs import OutputFile, open_output, rewriting
from vgtui.recordings.moments import AROUND, Moment
from vgtui.recordings.writer import FLUSH_SECONDS, GZIP

SEGMENT_FRAMES = 256
"""Frames of a segment."""
SEGMENT_BYTES = 2**22
"""Bytes of a segment's lines, where frames are large."""
MAX_MOMENTS = 16
"""Moments that are kept whole of each level: those that matter most, and of them the largest."""
MIN_SHARE = 1 / 8
"""The share of the frames that must be due to be dropped, for the file to be written anew."""
COPY_BYTES = 2**20
"""How much is copied at a time."""
ALWAYS = -1
"""In place of a frame's number: a line that is always kept, a header or a note."""


@dataclass(slots=True)
class _Segment:
    """Neighbouring lines of the file.

    Attributes:
        level: Of its frames, those are left whose number is a multiple of 2**level, and those around moments.
        begin: Where it begins in the file.
        end: Where it ends.
        numbers: For each line, the number of the frame that it belongs to, or ALWAYS.
        until: The time of its last line.
    """

    level: int
    begin: int
    end: int
    numbers: list[int] = field(default_factory=list)
    until: float = 0.0


class Ring:
    """Writes one file, compressed when its name ends with .gz. After a fault it takes no more."""

    def __init__(self, path: str | Path, keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Open a new file.

        Args:
            path: The file.
            keep: For how many seconds every frame is kept.
            clock: The time in seconds.

        Raises:
            UsageError: It cannot be written, holds something already, or is not a regular file.
        """
        self.path = Path(path)
        self._keep = keep
        self._clock = clock
        self._is_packed = self.path.suffix == ".gz"
        output = open_output("record", str(path), None)
        if output.target is None:
            output.close()
            raise UsageError("record", f"{path} is not a regular file, of which what is older could be thinned")
        self._output: OutputFile | None = output
        self._segments = [_Segment(0, 0, 0)]
        """The last one is open."""
        self._packer = self._new_packer()
        self._moments: list[Moment] = []
        """Those that are kept whole, in order."""
        self._waiting = bytearray()
        self._taken = 0
        """Bytes of the lines of the open segment."""
        self._flushed_at = clock()
        self._compact_at = 0
        """How many frames there must be for another attempt, after one that failed."""

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits for the next flush."""
        return bool(self._waiting)

    @property
    def frames(self) -> int:
        """How many lines that belong to frames there are."""
        return sum(len(segment.numbers) - segment.numbers.count(ALWAYS) for segment in self._segments)

    def write(self, line: bytes, number: int = ALWAYS, at: float | None = None) -> None:
        """Take a line; it waits for the next flush.

        Args:
            line: The line with its newline.
            number: The number of the frame that it belongs to, counted from 0.
            at: Its time; None for now.

        Raises:
            OSError: The disk takes no more.
        """
        last = self._segments[-1]
        last.numbers.append(number)
        last.until = self._clock() if at is None else at
        self._waiting += line
        self._taken += len(line)
        if len(last.numbers) >= SEGMENT_FRAMES or self._taken >= SEGMENT_BYTES:
            self._flush(zlib.Z_FINISH)
            self._segments.append(_Segment(0, last.end, last.end))
            self._packer, self._taken = self._new_packer(), 0
            self._compact_if_due()
        self.flush_if_due()

    def keep_whole(self, moment: Moment) -> None:
        """Keep all frames around a moment."""
        self._moments.append(moment)

    def flush_if_due(self) -> None:
        """Write what has waited for a second. Raises OSError."""
        if self._waiting and self._clock() - self._flushed_at >= FLUSH_SECONDS:
            self._flush(zlib.Z_SYNC_FLUSH)

    def close(self) -> None:
        """Write all that waits, and end the file properly. Raises OSError; the file is closed all the same."""
        try:
            if self._output and self._segments[-1].numbers:
                self._flush(zlib.Z_FINISH)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: what was written stays readable."""
        output, self._output = self._output, None
        if output:
            output.close()

    def _new_packer(self) -> "zlib._Compress | None":
        return zlib.compressobj(wbits=GZIP) if self._is_packed else None

    def _flush(self, mode: int) -> None:
        if self._output is None:
            return
        if not os.fstat(self._output.descriptor).st_nlink:
            raise FileNotFoundError(ENOENT, "the file was taken away")
        data = bytes(self._waiting)
        self._waiting.clear()
        self._flushed_at = self._clock()
        if self._packer:
            data = self._packer.compress(data) + self._packer.flush(mode)
        self._segments[-1].end += len(data)
        while data:
            data = data[os.write(self._output.descriptor, data) :]

    # what becomes of what is older

    def _level(self, at: float) -> int:
        """Return of which level a frame of a time ought to be: 1 beyond `keep`, 2 beyond twice that, 3 beyond four."""
        age = (self._clock() - at) / self._keep
        return 0 if age < 1 else 1 + int(log2(age))

    def _compact_if_due(self) -> None:
        """Write the file anew without what is due to be dropped, if that is much. The file stays if that fails."""
        if (total := self.frames) < self._compact_at:
            return
        self._forget_moments()
        after = self._merged()
        dropped = total - sum(len(numbers) - numbers.count(ALWAYS) for _, numbers, _ in after)
        if dropped < max(SEGMENT_FRAMES, MIN_SHARE * total):
            return
        try:
            self._rewrite(after)
        except OSError:  # such as a full disk: what is there stays
            self._compact_at = 2 * total
        else:
            self._compact_at = 0

    def _forget_moments(self) -> None:
        """Of each level, keep MAX_MOMENTS that matter most; all of those whose frames are not thinned yet."""
        levels: dict[int, list[Moment]] = {}
        for moment in self._moments:
            levels.setdefault(self._level(moment.at), []).append(moment)
        kept = levels.pop(0, [])
        for found in levels.values():  # of equal ones, the first
            kept += sorted(found, key=lambda moment: (-moment.rank, -moment.size, moment.frame))[:MAX_MOMENTS]
        self._moments = sorted(kept, key=lambda moment: moment.frame)

    def _merged(self) -> list[tuple[list[_Segment], list[int], int]]:
        """Return what the file is to consist of: the segments for each new one, with their lines, and its level."""
        newest = max((max(segment.numbers, default=ALWAYS) for segment in self._segments[-2:]), default=ALWAYS)
        around = [moment.frame for moment in self._moments]
        parts = [([segment], segment.numbers, segment.level) for segment in self._segments]
        merged = True
        while merged:
            merged = False
            for index, ((first, _, level), (second, numbers, other)) in enumerate(pairwise(parts)):
                last = second[-1]
                # what comes next may be a moment, and the frames before it are still to be kept
                is_old = last is not self._segments[-1] and max(numbers, default=ALWAYS) < newest - AROUND
                if level == other < self._level(last.until) and is_old:
                    lines = [number for number in (*parts[index][1], *numbers) if _stays(number, level + 1, around)]
                    parts[index : index + 2] = [([*first, *second], lines, level + 1)]
                    merged = True
                    break
        return parts

    def _rewrite(self, parts: Iterable[tuple[list[_Segment], list[int], int]]) -> None:
        """Write the file anew. Raises OSError; all stays as it was then."""
        output = self._output
        if output is None or output.target is None:
            return
        if not os.path.samestat(os.stat(output.target), os.fstat(output.descriptor)):
            raise FileNotFoundError(ENOENT, "another file is in its place")
        segments: list[_Segment] = []
        with open(output.target, "rb") as source, rewriting(output) as file:
            for old, numbers, level in parts:
                begin = file.tell()
                if len(old) == 1:
                    _copy(source, file, old[0])
                else:
                    self._thin(source, file, old, level)
                segments.append(_Segment(level, begin, file.tell(), numbers, old[-1].until))
        self._segments = segments

    def _thin(self, source: BinaryIO, file: BinaryIO, segments: Iterable[_Segment], level: int) -> None:
        """Write those lines of some segments that a level has."""
        around = [moment.frame for moment in self._moments]
        packer = self._new_packer()
        for segment in segments:
            for number, line in zip(segment.numbers, self._lines(source, segment), strict=True):
                if _stays(number, level, around):
                    file.write(packer.compress(line) if packer else line)
        if packer:
            file.write(packer.flush())

    def _lines(self, source: BinaryIO, segment: _Segment) -> Iterator[bytes]:
        """Yield the lines of a segment with their newlines."""
        unpacker = zlib.decompressobj(wbits=GZIP) if self._is_packed else None
        rest = b""
        for piece in _pieces(source, segment):
            *lines, rest = (rest + (unpacker.decompress(piece) if unpacker else piece)).split(b"\n")
            for line in lines:
                yield line + b"\n"


def _stays(number: int, level: int, around: list[int]) -> bool:
    """Return whether a line stays at a level: its frame is one of those left, or near one of the moments, in order."""
    if number == ALWAYS or number % 2**level == 0:
        return True
    place = bisect_left(around, number - AROUND)
    return place < len(around) and around[place] <= number + AROUND


def _pieces(source: BinaryIO, segment: _Segment) -> Iterator[bytes]:
    """Yield the bytes of a segment. Raises OSError if they are not all there."""
    source.seek(segment.begin)
    left = segment.end - segment.begin
    while left:
        piece = source.read(min(left, COPY_BYTES))
        if not piece:
            raise FileNotFoundError(ENOENT, "a part of the file was taken away")
        left -= len(piece)
        yield piece


def _copy(source: BinaryIO, file: BinaryIO, segment: _Segment) -> None:
    for piece in _pieces(source, segment):
        file.write(piece)
