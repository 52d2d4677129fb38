"""Writing a recording: the lines of the frame format as they come, on the disk at most a second later."""

import os
import shlex
import time
import zlib
from errno import ENOENT
from pathlib import Path

from vgtui.files.outputs import OutputFile, open_output
from vgtui.wire.frames import Line, encode_line

FLUSH_SECONDS = 1.0
"""What a killed program may lose."""
GZIP = 16 + zlib.MAX_WBITS


class Recorder:
    """Writes one file, compressed when its name ends with .gz. After a fault it takes no more.

    Attributes:
        overwrite: Whether a file that exists is replaced when the first lines are written; None where there is no
            such option.
    """

    def __init__(self, path: str | Path, overwrite: bool | None = None) -> None:
        """Raises UsageError for a path that cannot be written, or where something is already."""
        self.path = Path(path)
        self.lines = 0
        self._waiting = bytearray()
        self._flushed_at = time.monotonic()
        self._packer = zlib.compressobj(wbits=GZIP) if self.path.suffix == ".gz" else None
        self._begun = False
        self._output: OutputFile | None = open_output("record", str(path), overwrite)

    @property
    def where(self) -> str:
        """Where the file is, and the command that shows it, to be said when the dashboard has closed."""
        path = str(self.path.absolute())
        return f"the recording is {path}; see it again with: vgtui replay {shlex.quote(path)}"

    def write(self, message: Line) -> None:
        """Take a line; it waits for the next flush.

        Raises:
            OSError: A flush is due and the disk takes no more.
        """
        self._waiting += encode_line(message)
        self.lines += 1
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what has waited for a second. Raises OSError."""
        if self._output and self._waiting and time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self._flush(self._output, zlib.Z_SYNC_FLUSH)

    def close(self) -> None:
        """Write all that waits, and end the file properly. Raises OSError; the file is closed all the same."""
        try:
            if self._output and self.lines:
                self._flush(self._output, zlib.Z_FINISH)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: what was written stays readable."""
        output, self._output = self._output, None
        if output:
            output.close()

    def _flush(self, output: OutputFile, mode: int) -> None:
        if output.target is not None and not os.fstat(output.descriptor).st_nlink:
            raise FileNotFoundError(ENOENT, "the file was taken away")
        if not self._begun:
            output.cut()
            self._begun = True
        data = bytes(self._waiting)
        self._waiting.clear()
        self._flushed_at = time.monotonic()
        if self._packer:
            data = self._packer.compress(data) + self._packer.flush(mode)
        while data:
            data = data[os.write(output.descriptor, data) :]
