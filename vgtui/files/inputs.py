"""Files that are read, opened once: what is in a pipe can be looked at and is read afterwards all the same."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from engine.errors import UsageError

Result = TypeVar("Result")

STREAM = "-"
"""How standard input is called."""


class InputFile:
    """A file open for reading bytes; "-" is standard input. Every method raises UsageError where it cannot be read."""

    def __init__(self, path: str, file: io.BufferedReader | None = None) -> None:
        """Open a file.

        Args:
            path: What errors call it.
            file: What was made of it, open already; it is closed with this.
        """
        self.path = path
        self._looked_at = io.BytesIO()
        self._file = file or self._try(self._open)

    def look_at_first_line(self, limit: int) -> bytes:
        """The first line, or so much of it; it is still there to be read. To be called ahead of reading."""
        line = self._try(lambda: self._file.readline(limit))
        self._looked_at = io.BytesIO(line)
        return line

    def readline(self, limit: int) -> bytes:
        """Read the next line, or up to `limit` bytes of it; nothing at the end of the file."""
        return self._looked_at.readline(limit) or self._try(lambda: self._file.readline(limit))

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; nothing at the end of the file."""
        return self._looked_at.read(size) or self._try(lambda: self._file.read(size))

    def fileno(self) -> int:
        """The number of the open file."""
        return self._file.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _open(self) -> io.BufferedReader:
        is_stream = self.path == STREAM
        return open(sys.stdin.fileno() if is_stream else self.path, "rb", closefd=not is_stream)

    def _try(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except OSError as error:
            raise UsageError("FILE", f"{self.path} cannot be read: {error.strerror or error}") from error


@contextmanager
def opened(source: InputFile | str) -> Iterator[InputFile]:
    """A file that is open already, and stays so; or a path, open for as long as it is read."""
    if isinstance(source, InputFile):
        yield source
    else:
        with InputFile(source) as file:
            yield file
