"""How frames are written for other programs: as JSON Lines, as CSV."""

from typing import IO, Protocol

from vgtui.recordings.tables import FRAME_COLUMNS, frame_rows, write_csv
from vgtui.wire.frames import Frame, Header, encode_line


class FrameWriter(Protocol):
    """Takes a header and then frames."""

    def __init__(self, file: IO[str]) -> None: ...

    def header(self, header: Header, begun: bool = False) -> None:
        """begun: the file has its beginning already, so nothing is written."""

    def frame(self, frame: Frame) -> None:
        """Take the next frame; the header has come before."""

    def close(self) -> None:
        """The last frame has been written."""


class JsonLinesWriter:
    """The frame format, line by line as it comes."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def header(self, header: Header, begun: bool = False) -> None:
        """Write the header as a line, unless the file has it already."""
        if not begun:
            self._write(header)

    def frame(self, frame: Frame) -> None:
        """Write the frame as a line."""
        self._write(frame)

    def _write(self, message: Header | Frame) -> None:
        self._file.write(encode_line(message).decode())
        self._file.flush()

    def close(self) -> None:
        """Do nothing: every line is written as it comes."""


class CsvWriter:
    """One row a frame and layer."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._header: Header | None = None

    def header(self, header: Header, begun: bool = False) -> None:
        """Keep the header, and write the names of the columns unless the file has them already."""
        self._header = header
        if not begun:
            write_csv(self._file, [FRAME_COLUMNS])

    def frame(self, frame: Frame) -> None:
        """Write a row for each layer of the frame."""
        assert self._header
        write_csv(self._file, frame_rows(self._header, frame))
        self._file.flush()

    def close(self) -> None:
        """Do nothing: every row is written as it comes."""
