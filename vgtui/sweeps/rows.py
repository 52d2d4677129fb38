"""The file of a sweep: a line that says what it is, then a line a run as they come, in whatever order.

A sweep whose file was cut off anywhere can be resumed: rows that are whole count, and only the rest is computed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import msgspec

from engine.errors import UsageError, unwritable
from engine.telemetry import ALL_FIELDS, LayerMeasurements
from vgtui.files.inputs import InputFile, opened
from vgtui.model.differences import differences
from vgtui.sweeps.grid import FORMAT, VERSION, Sweep
from vgtui.terminal.capabilities import tell
from vgtui.wire.frames import LINE_LIMIT, Number, decode_other, encode_line


class Row(msgspec.Struct, frozen=True, tag_field="type", tag="row", kw_only=True):
    """What came of one run; None is unknown.

    Attributes:
        number: The number of its point.
        values: Every field of its settings.
        gradient_ratio_start: ‖∂E/∂W‖ of the first layer / that of the output layer, at step 0.
        gradient_ratio_end: The same at the last step.
        depth_scale: Fitted to the error signal at step 0, in layers.
        error: Why there is no result, where there is none.
        layers: The measurements of all layers at the last step; unset in a file of an older vgtui, and in a failed run.
    """

    number: int
    values: dict[str, bool | int | float | str | None]
    steps: int
    gradient_ratio_start: Number | None = None
    gradient_ratio_end: Number | None = None
    depth_scale: Number | None = None
    loss: Number | None = None
    accuracy: Number | None = None
    validation_accuracy: Number | None = None
    verdict: str | None = None
    computed_on: str | None = None
    steps_per_second: float | None = None
    error: str | None = None
    layers: LayerMeasurements | msgspec.UnsetType = msgspec.UNSET

    @property
    def failed(self) -> bool:
        """Whether there is no result; an empty error is an error too."""
        return self.verdict is None or self.error is not None


RESULTS = tuple(name for name in Row.__struct_fields__ if name not in ("number", "values", "steps", "layers"))
"""The columns that a run fills."""


class _Opening(msgspec.Struct):
    """What the first line of every format of ours has."""

    format: str = ""


_Line: TypeAlias = Sweep | Row
_decoder: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line, dec_hook=decode_other)
_FAULTS = (msgspec.DecodeError, UsageError, ValueError, TypeError, OverflowError, RecursionError)


class SweepFile:
    """Appends rows to a file, which is locked while it is open.

    Nothing is written or removed before begin(), or the first row. With `overwrite`, what is there is replaced.

    Attributes:
        done: The rows that were in the file already, by number.
        damage: What was wrong with the other lines, in words; "" where nothing was.
    """

    def __init__(self, path: str, sweep: Sweep, overwrite: bool = False) -> None:
        """Raises UsageError where the file cannot be written, or belongs to something else."""
        self.path = path
        self._sweep = sweep
        self._begun = False
        self.damage = ""
        self._is_new = not os.path.lexists(path)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise unwritable("output", path, error) from error
        try:
            self._lock()
            self._size = 0
            self.done: dict[int, Row] = {} if overwrite else self._go_on(sweep)
        except BaseException:
            os.close(self._file)
            raise

    def begin(self) -> None:
        """Write the line that defines the sweep, where it is not there yet. Raises OSError."""
        if self._begun:
            return
        self._begun = True
        os.ftruncate(self._file, self._size)  # a line that was cut off is computed again
        os.lseek(self._file, 0, os.SEEK_END)
        if not self._size:
            self._append(encode_line(self._sweep))

    def append(self, row: Row) -> None:
        """Write a row. Raises OSError where the disk takes no more; the file then ends where it ended before."""
        self.begin()
        self._append(encode_line(row))

    def __enter__(self) -> "SweepFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            if self._is_new and not os.fstat(self._file).st_size:
                os.unlink(self.path)
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError("output", f"{self.path} is being written by another vgtui sweep") from error

    def _go_on(self, sweep: Sweep) -> dict[int, Row]:
        done: dict[int, Row] = {}
        if os.fstat(self._file).st_size:
            with Path(self.path).open("rb") as file:
                reader = SweepReader(self.path, file, "output")
                refuse_other_sweep(self.path, reader.sweep, sweep)
                done = {row.number: row for row in reader.rows()}
                self._size = reader.whole_bytes
                self.damage = reader.damage
        return done

    def _append(self, data: bytes) -> None:
        start = self._size
        try:
            while data:
                written = os.write(self._file, data)
                self._size += written
                data = data[written:]
        except OSError:
            os.ftruncate(self._file, start)
            raise


class SweepReader:
    """Reads the file of a sweep, a line at a time."""

    def __init__(self, path: str, file: Any, setting: str = "FILE") -> None:
        """Read the line that defines the sweep.

        Args:
            path: What errors call the file.
            file: Open for reading bytes, at its start.
            setting: The setting that errors name.

        Raises:
            UsageError: It is not a sweep.
        """
        self.path = path
        self._file = file
        self._damaged = self._first_damaged = 0
        first = file.readline(LINE_LIMIT)
        try:
            sweep = _decoder.decode(first)
            assert isinstance(sweep, Sweep)
        except (*_FAULTS, AssertionError) as error:
            problem = f"{path} is not a sweep: its first line is not as vgtui sweep --output writes it"
            if setting == "output":
                problem += "; give a new file, or --overwrite"
            raise UsageError(setting, problem) from error
        if (sweep.format, sweep.version) != (FORMAT, VERSION):
            problem = f"{path} has version {sweep.version} of the format, and this vgtui reads {VERSION}"
            raise UsageError(setting, problem)
        try:
            for axis in sweep.vary:
                axis.check()
            sweep.check()
            if min(sweep.seeds, sweep.steps + 1) < 1:
                raise UsageError("seeds", f"{sweep.seeds} seeds of {sweep.steps} steps")
        except UsageError as error:
            raise UsageError(setting, f"{path} cannot be a sweep: {error.setting}: {error.problem}") from error
        self._values = {axis.field: frozenset(axis.values) for axis in sweep.vary}
        self.sweep = sweep
        self.whole_bytes = len(first)

    @property
    def damage(self) -> str:
        """What was left out of what was read so far, in words; "" where nothing was."""
        if not self._damaged:
            return ""
        rows = "row is" if self._damaged == 1 else "rows are"
        return f"{self._damaged} damaged {rows} left out, the first is line {self._first_damaged}"

    def rows(self) -> Iterator[Row]:
        """What is whole; a torn last line is left out, and a damaged one counted, as is one of another sweep."""
        for number, line in enumerate(self._lines(), start=2):
            if row := self._row(line):
                yield row
            else:
                self._damaged += 1
                self._first_damaged = self._first_damaged or number

    def _row(self, line: bytes) -> Row | None:
        """A line as a row of this sweep; None where it is not one."""
        try:
            row = _decoder.decode(line)
            if not isinstance(row, Row) or not 0 <= row.number < self.sweep.size or "seed" not in row.values:
                return None
            if row.layers is not msgspec.UNSET and len({len(row.layers.of(name)) for name in ALL_FIELDS}) > 1:
                return None
            ours = all(field in row.values and row.values[field] in values for field, values in self._values.items())
        except _FAULTS:
            return None
        return row if ours else None

    def _lines(self) -> Iterator[bytes]:
        """What ends as a line does; of one that is too long only its beginning, which is no row."""
        while line := self._file.readline(LINE_LIMIT):
            length, rest = len(line), line
            while len(rest) == LINE_LIMIT and not rest.endswith(b"\n"):
                rest = self._file.readline(LINE_LIMIT)
                length += len(rest)
            if not rest.endswith(b"\n"):
                return
            self.whole_bytes += length
            yield line


def is_sweep(source: InputFile | str) -> bool:
    """Whether a file begins as a sweep does; its first line can still be read afterwards.

    Raises:
        UsageError: It cannot be read.
    """
    with opened(source) as file:
        line = file.look_at_first_line(LINE_LIMIT)
    try:
        return msgspec.json.decode(line, type=_Opening).format == FORMAT
    except _FAULTS:
        return False


def read_sweep(source: InputFile | str) -> tuple[Sweep, list[Row]]:
    """Read a sweep and its rows, in the order of their numbers; damaged rows are reported on stderr.

    Raises:
        UsageError: It cannot be read, or is not a sweep.
    """
    with opened(source) as file:
        reader = SweepReader(file.path, file)
        rows = {row.number: row for row in reader.rows()}
    if reader.damage:
        again = "; the same vgtui sweep computes again what is missing" if len(rows) < reader.sweep.size else ""
        tell(f"{file.path}: {reader.damage}{again}")
    return reader.sweep, [rows[number] for number in sorted(rows)]


def refuse_other_sweep(path: str, there: Sweep, wanted: Sweep) -> None:
    """Check that a file holds the sweep that is to be computed.

    Raises:
        UsageError: It holds another one; the error says in what they differ first.
    """
    if there == wanted:
        return
    if there.vary != wanted.vary:
        words = f"of {' and '.join(f'{len(axis.values)} values of {axis.name}' for axis in there.vary) or 'one run'}"
    elif (there.steps, there.seeds) != (wanted.steps, wanted.seeds):
        words = f"{there.steps} steps and {there.seeds} seeds"
    else:
        found = differences(there.settings, wanted.settings)
        words = f"{found[0].before} rather than {found[0].after}" if found else "another data set or backend"
    problem = f"{path} belongs to another sweep, {words}; give the same options, a new file, or --overwrite"
    raise UsageError("output", problem)
