"""Writing a recording: the lines of the frame format as they come, on the disk at most a second later."""

import os
import shlex
import stat
import time
import zlib
from errno import ENOENT
from pathlib import Path

from engine.errors import UsageError, unwritable
from vgtui.recordings.frames import Line, encode_line

FLUSH_SECONDS = 1.0
"""What a killed program may lose."""
GZIP = 16 + zlib.MAX_WBITS


class Recorder:
    """Appends to one file, which it makes; compressed when its name ends with .gz. After a fault it takes no more."""

    def __init__(self, path: str | Path) -> None:
        """Raises UsageError for a path that cannot be written, or where something is already."""
        self.path = Path(path)
        self.lines = 0
        self._waiting = bytearray()
        self._flushed_at = time.monotonic()
        self._packer = zlib.compressobj(wbits=GZIP) if self.path.suffix == ".gz" else None
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise unwritable("record", path, error) from error
        found = os.fstat(self._file)
        if stat.S_ISREG(found.st_mode) and found.st_size:
            os.close(self._file)
            raise UsageError("record", f"{path} is there already; it takes the name of a new file")

    @property
    def where(self) -> str:
        """Where the file is, and the command that shows it, for whoever has left the dashboard."""
        path = str(self.path.absolute())
        return f"the recording is {path}; see it again with: vgtui replay {shlex.quote(path)}"

    def write(self, message: Line) -> None:
        """Take a line; it waits for the next flush. Raises OSError where a flush is due and the disk takes no more."""
        self._waiting += encode_line(message)
        self.lines += 1
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what has waited for a second. Raises OSError."""
        if self._waiting and time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self._flush(zlib.Z_SYNC_FLUSH)

    def close(self) -> None:
        """Write all that waits, and end the file properly. Raises OSError; the file is closed all the same."""
        if self._file < 0:
            return
        try:
            self._flush(zlib.Z_FINISH)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: what was written stays readable."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _flush(self, mode: int) -> None:
        found = os.fstat(self._file)
        if stat.S_ISREG(found.st_mode) and not found.st_nlink:
            raise FileNotFoundError(ENOENT, "the file was taken away")
        data = bytes(self._waiting)
        self._waiting.clear()
        self._flushed_at = time.monotonic()
        if self._packer:
            data = self._packer.compress(data) + self._packer.flush(mode)
        while data:
            data = data[os.write(self._file, data) :]
