"""Where `vgtui run` writes: standard output, or a file of which a checkpoint knows how much belongs to it."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from engine.errors import UsageError
from vgtui.files.outputs import OutputFile, open_output
from vgtui.wire.protocol import Resumed

STDOUT = "-"


@dataclass(slots=True)
class Sink:
    """Where the frames go.

    Attributes:
        opened: The output file, if it is one.
        kept: How many of its bytes are kept, those of the header among them.
    """

    file: IO[str]
    opened: OutputFile | None = None
    overwrite: bool = False
    kept: int = 0

    @property
    def name(self) -> str:
        """The path of the output, or "-" for standard output."""
        return self.opened.path if self.opened else STDOUT

    @property
    def size(self) -> int:
        """The bytes that were written; 0 for a stream that cannot be rewound."""
        return self.opened.size if self.opened else 0

    def keep(self, begun: Resumed) -> None:
        """Of a file that a checkpoint was written for, what was there by then stays. Raises UsageError if it is not."""
        if not self.opened or self.opened.target is None or self.opened.is_new:
            return
        if os.path.realpath(begun.output) != os.path.realpath(self.name):
            self.opened.check_free("output", self.overwrite)
        elif self.size >= begun.output_bytes:
            self.kept = begun.output_bytes
        elif not self.overwrite:
            raise UsageError(
                "output",
                f"{self.name} has {self.size} bytes, and had {begun.output_bytes} when the checkpoint was written; "
                "name a new file for the frames from there on, or replace it by --overwrite",
            )

    def begin(self) -> None:
        """Take away what is not kept: not before the run is there, so that a wrong word costs no file."""
        if self.opened:
            self.opened.cut(self.kept)


@contextmanager
def opened_sink(output: str, format_name: str, overwrite: bool, resuming: bool) -> Iterator[Sink]:
    """The output, with nothing taken away that is there."""
    if output == STDOUT:
        if format_name in ("jsonl", "csv") and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file format, whatever the locale
        yield Sink(sys.stdout)
        sys.stdout.flush()
        return
    opened = open_output("output", output, overwrite, resumes=resuming)
    try:
        with open(opened.descriptor, "w", encoding="utf-8", newline="\n", closefd=False) as file:
            yield Sink(file, opened, overwrite)
    finally:
        opened.close()
