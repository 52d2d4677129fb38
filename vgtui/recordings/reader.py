"""Reading the frame format, piece by piece as the bytes come: what is whole is given, what is not is counted.

Memory is bounded by the longest line that is taken, whatever the file holds or unpacks to.
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from engine.config import NetworkConfig, TrainingConfig
from engine.errors import UsageError
from engine.telemetry import ALL_FIELDS, SIGNED_FIELDS
from vgtui.files.inputs import STREAM as STREAM
from vgtui.files.inputs import InputFile, opened
from vgtui.model.differences import settings_from_header
from vgtui.recordings.writer import GZIP
from vgtui.terminal.text import shortened
from vgtui.wire.frames import (
    FORMAT,
    LANES_VERSION,
    LINE_LIMIT,
    VERSION,
    Event,
    Frame,
    Header,
    Line,
    carried,
    decode_other,
    in_lane,
)

CHUNK_BYTES = 2**16
UNPACK_BYTES = 2**20
"""How much is unpacked at a time."""
NO_HEADER = "is not a recording: its first line is not a header, as vgtui --record FILE writes it"
OPENING = (b"{", b" ", b"\t", b"\r")
"""How a header may begin; whatever begins in another way is refused before the end of its line is there."""
GZIP_MAGIC = b"\x1f"
"""A compressed file's first byte; a header's is {."""

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line, dec_hook=decode_other)
_FAULTS = (msgspec.DecodeError, UsageError, ValueError, TypeError, OverflowError, RecursionError)
"""What decoding raises for a line that is not of the format, or holds impossible values."""


class _Opening(msgspec.Struct):
    """What every version's header begins with."""

    type: str = ""
    format: str = ""
    version: int = 0


class RecordingReader:
    """Takes bytes and gives messages.

    Attributes:
        name: What errors call the source; shown as it is.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.header: Header | None = None
        """The newest."""
        self.frames = 0
        self.taken = 0
        """Bytes of the lines that were taken, as they are unpacked."""
        self.damaged = 0
        self._first_damaged = 0
        self._line = 0
        self._tail = bytearray()
        self._overlong = False
        self._packed: bool | None = None
        self._unpacker: Any = None
        self._broken = ""
        self._step = 0
        self._headers: dict[str, Header] = {}
        """That of each lane, or the only one, by the name of its lane."""

    def feed(self, data: bytes) -> Iterator[Line]:
        """The messages that these bytes complete.

        Raises:
            UsageError: There is no header to begin with.
        """
        return (message for message in self.feed_slowly(data) if message)

    def feed_slowly(self, data: bytes) -> Iterator[Line | None]:
        """The same, with None for each line that has nothing to say: little is done between one thing and the next."""
        for piece in self._unpacked(data):
            whole, newline, rest = piece.rpartition(b"\n")
            if newline:
                self._tail += whole
                lines, self._tail = self._tail.split(b"\n"), bytearray()
                for line in lines:
                    yield self._take(line)
            self._tail += rest
            too_long = len(self._tail) > LINE_LIMIT
            if self.header is None and (too_long or (self._tail and not self._tail.startswith(OPENING))):
                raise self._problem(NO_HEADER)
            if too_long:
                self._overlong = True
                self._tail.clear()
            yield None

    def header_of(self, frame: Frame) -> Header:
        """That of the run that the frame given last is of."""
        return self._headers[frame.lane or ""]

    @property
    def packed(self) -> bool:
        """Whether the bytes are compressed."""
        return bool(self._packed)

    @property
    def flawed(self) -> bool:
        """Whether anything was left out."""
        return bool(self.damaged or self._broken or self._tail or self._overlong)

    def summary(self) -> str:
        """What there was, and what was wrong with it, in a sentence."""
        words = [f"{self.frames} frame{'s' * (self.frames != 1)}"]
        if self.damaged:
            lines = "line" if self.damaged == 1 else "lines"
            words.append(f"{self.damaged} damaged {lines} left out, the first is line {self._first_damaged}")
        if self._broken:
            words.append(self._broken)
        if self._tail or self._overlong:
            words.append("the last line is torn and left out")
        return "; ".join(words)

    def check_begun(self) -> None:
        """At the end: raises UsageError where there was no header."""
        if self.header is None:
            if self._broken:
                raise self._problem(f"cannot be unpacked: {self._broken}")
            what = "ends within its first line" if self._tail else "is empty"
            raise self._problem(f"{what}, so there is nothing to show")

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        if self._packed is None and data:
            self._packed = data.startswith(GZIP_MAGIC)
        if not self._packed:
            yield data
            return
        while data and not self._broken:
            if self._unpacker is None:
                self._unpacker = zlib.decompressobj(wbits=GZIP)
            try:
                piece = self._unpacker.decompress(data, UNPACK_BYTES)
            except zlib.error:
                self._broken = f"the compressed data are damaged after line {self._line}"
                return
            data = self._unpacker.unconsumed_tail
            if self._unpacker.eof:  # another part may follow
                data, self._unpacker = self._unpacker.unused_data, None
            yield piece

    def _take(self, line: bytes | bytearray) -> Line | None:
        """What a line says; None for nothing."""
        self._line += 1
        self.taken += len(line) + 1
        overlong, self._overlong = self._overlong, False
        if overlong:
            return self._leave_out()
        if self.header is None:
            message: Line = self._first_header(line)
        elif not line.strip():
            return None
        else:
            try:
                message = _decoder.decode(line)
                self._check(message)
            except _FAULTS:
                return self._leave_out()
        if isinstance(message, Header):
            self._begin(message)
        elif isinstance(message, Frame):
            self.frames += 1
            self._step = message.step
        return message

    def _begin(self, header: Header) -> None:
        """A lane has this header from now on; without a lane, it is that of all that follows."""
        self.header = header
        self._headers = carried(self._headers, header) | {header.lane or "": header}

    def _leave_out(self) -> Event | None:
        self.damaged += 1
        if self.damaged > 1:
            return None
        self._first_damaged = self._line
        return Event(step=self._step, kind="note", message=f"line {self._line} is damaged and left out")

    def _first_header(self, line: bytes | bytearray) -> Header:
        try:
            opening = msgspec.json.decode(line, type=_Opening)
        except _FAULTS:
            opening = _Opening()
        if (opening.type, opening.format) != ("header", FORMAT):
            raise self._problem(NO_HEADER)
        if opening.version > LANES_VERSION:
            raise self._problem(
                f"has version {opening.version} of the format, and this vgtui reads up to {LANES_VERSION}; update vgtui"
            )
        try:
            message = _decoder.decode(line)
            assert isinstance(message, Header)
            self._check(message)
        except _FAULTS as error:
            raise self._problem(f"has a damaged header: {shortened(str(error))}") from error
        return message

    def _problem(self, words: str) -> UsageError:
        return UsageError("FILE", f"{self.name} {words}")

    def _check(self, message: Line) -> None:
        """Raises ValueError where parts do not fit together, so that whatever shows them can rely on it."""
        if isinstance(message, Header):
            _check_header(message)
            self._check_lanes(message)
        elif message.lane not in (UNSET, *self._headers) and isinstance(message, Event):
            raise ValueError("an event of a lane without a header")
        elif isinstance(message, Frame):
            if (header := self._headers.get(message.lane or "")) is None:
                raise ValueError("a frame of a lane without a header")
            _check_frame(message, header)

    def _check_lanes(self, header: Header) -> None:
        """What goes on under another header is the same run."""
        if header.continues is UNSET:
            return
        before = self._headers.get(header.continues)
        if before is None or in_lane(before, header.lane or "", header.continues) != header:
            raise ValueError("it continues a run that does not exist")


def _check_header(header: Header) -> None:
    if (header.format, header.version) != (FORMAT, LANES_VERSION if header.lane else VERSION):
        raise ValueError("it is of another version")
    if (own := header.own) is None:
        if header.model is None or not header.layers:
            raise ValueError("neither a network with its training and data set, nor a model with its layers")
        return
    data, hidden = own.dataset, own.network.hidden_layers
    if len(header.layers) != hidden + 1:
        raise ValueError(f"{len(header.layers)} layers for {hidden} hidden layers")
    settings_from_header(header)  # validates network and training together
    if min(data.samples, data.features, data.classes) < 1:
        raise ValueError("a data set without samples, features or classes")
    if not 0 <= data.mean_square < math.inf:
        raise ValueError("a mean square that cannot be one")


def _check_frame(frame: Frame, header: Header) -> None:
    if min(frame.step, frame.epoch or 0, frame.steps_per_second) < 0:
        raise ValueError("a negative step, epoch or speed")
    if frame.run != header.run:
        raise ValueError("a frame of another run than its header")
    for name in ALL_FIELDS:
        values = frame.layers.of(name)
        if len(values) != len(header.layers):
            raise ValueError(f"{len(values)} values of {name} for {len(header.layers)} layers")
        if name not in SIGNED_FIELDS and np.ma.filled(values, 0).min() < 0:
            raise ValueError(f"a negative {name}")
    _check_ties(frame, len(header.layers))
    for cure in frame.verdict.cures:
        if cure.setting is None:
            continue
        if header.own is None:
            raise ValueError("a setting to change of a model that has none")
        for setting, value in ((cure.setting, cure.value), *((one.setting, one.value) for one in cure.also)):
            _check_change(header.own.network, header.own.training, setting, value)


def _check_ties(frame: Frame, layers: int) -> None:
    if frame.ties and len(frame.ties) != layers:
        raise ValueError(f"{len(frame.ties)} ties for {layers} layers")
    for profile in frame.through_time or ():
        if not (0 <= profile.layer < layers and len(profile.norm)) or np.ma.filled(profile.norm, 0).min() < 0:
            raise ValueError("a profile over time that cannot be one")


@lru_cache(maxsize=256)
def _check_change(network: NetworkConfig, training: TrainingConfig, setting: str, value: Any) -> None:
    """Raises where there is no such setting, or it cannot have this value."""
    change: dict[str, Any] = {setting: value}
    if hasattr(network, setting):
        replace(network, **change)
    else:
        replace(training, **change)


def read_recording(source: InputFile | str, reader: RecordingReader) -> Iterator[Line]:
    """Everything that is whole in a file, from its start to its end; reader.summary() says afterwards what was not.

    Raises:
        UsageError: It cannot be read, or is not a recording.
    """
    with opened(source) as file:
        while data := file.read(CHUNK_BYTES):
            yield from reader.feed(data)
    reader.check_begun()
