"""How frames are written for other programs: as JSON Lines, as CSV."""

import csv
from typing import IO, Protocol

from engine.telemetry import LAYER_FIELDS
from vgtui.recordings.frames import Frame, Header, encode_line, number_text


class FrameWriter(Protocol):
    """Takes a header and then frames."""

    def __init__(self, file: IO[str]) -> None: ...

    def header(self, header: Header, begun: bool = False) -> None:
        """begun: the file has its beginning already, so nothing is written."""

    def frame(self, frame: Frame) -> None: ...

    def close(self) -> None:
        """The last frame has been written."""


class JsonLinesWriter:
    """The frame format, line by line as it comes."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def header(self, header: Header, begun: bool = False) -> None:
        if not begun:
            self._write(header)

    def frame(self, frame: Frame) -> None:
        self._write(frame)

    def _write(self, message: Header | Frame) -> None:
        self._file.write(encode_line(message).decode())
        self._file.flush()

    def close(self) -> None:
        pass


class CsvWriter:
    """One row a frame and layer; unknown is empty, non-finite is NaN, Infinity or -Infinity."""

    RUN_FIELDS = ("step", "epoch", "loss", "accuracy", "validation_accuracy", "steps_per_second")

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._rows = csv.writer(file, lineterminator="\n")
        self._header: Header | None = None

    def header(self, header: Header, begun: bool = False) -> None:
        self._header = header
        if not begun:
            self._rows.writerow([*self.RUN_FIELDS, "verdict", "layer", "fan_in", "fan_out", *LAYER_FIELDS])

    def frame(self, frame: Frame) -> None:
        assert self._header
        run = [number_text(getattr(frame, name)) for name in self.RUN_FIELDS]
        columns = [getattr(frame.layers, name).tolist() for name in LAYER_FIELDS]
        for info, values in zip(self._header.layers, zip(*columns, strict=True), strict=True):
            cells = ["" if value is None else number_text(value) for value in values]
            self._rows.writerow([*run, frame.verdict.kind, info.name, info.fan_in, info.fan_out, *cells])
        self._file.flush()

    def close(self) -> None:
        pass
