"""The event files that TensorBoard reads, by its own package: the numbers of each tag at each step.

Of a histogram the norm is no estimate: TensorBoard's format has the sum of the squares beside the bins.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from vgtui.files.inputs import STREAM
from vgtui.user.extras import missing

MARK = "tfevents"
"""What the name of every event file has in it."""
FRAMING_BYTES = 16
"""What stands around a record: its length, and a checksum of each."""
MAX_VALUES = 20_000_000
"""Numbers that are kept of a run; they take 2 GB."""
MAX_FOLDERS = 2000
"""Folders that are looked through for runs."""
MAX_NAMES = 8
"""Names in a message."""

Values = dict[str, dict[int, float]]
"""Of each tag, in the order in which the tags came, the number at each step."""


@dataclass(slots=True)
class EventLog:
    """What the event files of a run hold.

    Attributes:
        scalars: The scalars.
        norms: The norm of what each histogram is of: the root of the sum of squares.
        bins_only: Tags of histograms without a sum of squares.
        too_small: How many histograms have squares that were too small for their writer, so that the norm is unknown.
        times: The time of each step, in seconds.
        remarks: What is wrong with the files, a sentence each.
    """

    scalars: Values = field(default_factory=dict)
    norms: Values = field(default_factory=dict)
    bins_only: set[str] = field(default_factory=set)
    too_small: int = 0
    times: dict[int, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def is_event_log(path: str) -> bool:
    """Return whether a path is a folder, which a recording never is, or an event file by its name."""
    return path != STREAM and (os.path.isdir(path) or MARK in os.path.basename(path))


def read_event_log(path: str) -> EventLog:
    """Read the event files of a run.

    Args:
        path: An event file, or the folder of a run; a folder above it if there is only one run in it.

    Raises:
        UsageError: There is no event file, there are several runs, nothing in them can be read, or TensorBoard is not
            installed.
    """
    files = _files_of(path)
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError as error:
        raise missing("event files need", "tensorboard") from error
    log = EventLog()
    records = count = 0
    for file in files:
        read = 0
        for record in _records(RawEventFileLoader, file):
            read += len(record) + FRAMING_BYTES
            records += 1
            try:
                event = Event.FromString(record)
            except DecodeError:
                log.remarks.append(f"record {records} is damaged and left out")
                continue
            count += _take(log, event)
            if count > MAX_VALUES:
                raise UsageError("FILE", f"{path} holds more than {MAX_VALUES} numbers, the most that are read")
        if read < file.stat().st_size:
            log.remarks.append(f"{file.name} is damaged or torn {read} bytes from its start; what follows is left out")
    if log.too_small:
        words = "histograms have squares that were too small for their writer: their norms are unknown"
        log.remarks.append(f"{log.too_small} {words}")
    if not records:
        raise UsageError("FILE", f"{path} cannot be read: there is no whole record in it")
    return log


def _files_of(path: str) -> list[Path]:
    """The event files of the only run, the oldest first. Raises UsageError."""
    place = Path(path)
    if not place.is_dir():
        if not os.access(place, os.R_OK):
            reason = "Permission denied" if place.exists() else "No such file or directory"
            raise UsageError("FILE", f"{path} cannot be read: {reason}")
        return [place]
    if own := _event_files(place):
        return own
    runs: dict[Path, list[Path]] = {}
    for number, (folder, folders, _) in enumerate(os.walk(place)):
        folders.sort()
        if files := _event_files(Path(folder)):
            runs[Path(folder)] = files
        if number > MAX_FOLDERS:
            break
    if not runs:
        reason = f"it is a folder without event files of TensorBoard, which have {MARK} in their names"
        raise UsageError("FILE", f"{path} cannot be read: {reason}")
    if len(runs) > 1:
        names = [str(folder) for folder in runs]
        raise UsageError("FILE", f"{path} has {len(runs)} runs in it; name one of them: {some(names)}")
    return next(iter(runs.values()))


def _event_files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if MARK in file.name and file.is_file())
    except OSError as error:
        raise UsageError("FILE", f"{folder} cannot be read: {error.strerror}") from error


def _records(loader: Any, file: Path) -> Iterator[bytes]:
    """The records of a file, up to the first that is damaged. Raises UsageError."""
    try:
        yield from loader(str(file)).Load()
    except OSError as error:
        raise UsageError("FILE", f"{file} cannot be read: {error.strerror or error}") from error


def _take(log: EventLog, event: Any) -> int:
    """Take the numbers of an event; returns how many."""
    if event.step < 0:
        return 0
    step = int(event.step)
    values = event.summary.value
    if len(values):
        log.times[step] = event.wall_time
    for value in values:
        kind = value.WhichOneof("value")
        if kind == "histo":
            _take_histogram(log, value, step)
        elif kind == "simple_value":
            log.scalars.setdefault(value.tag, {})[step] = value.simple_value
        elif kind == "tensor":
            _take_tensor(log, value, step)
    return len(values)


def _take_histogram(log: EventLog, value: Any, step: int) -> None:
    """Take the norm, unless the squares were too small for the writer, which sums them in the type of the array."""
    histogram = value.histo
    series = log.norms.setdefault(value.tag, {})
    if histogram.sum_squares or (histogram.min == histogram.max == 0):
        series[step] = math.sqrt(max(histogram.sum_squares, 0.0))
    else:
        log.too_small += 1


def _take_tensor(log: EventLog, value: Any, step: int) -> None:
    """Take what TensorFlow 2 writes: a scalar as a tensor; of a histogram it has the bins alone."""
    tensor = value.tensor
    sizes = [size.size for size in tensor.tensor_shape.dim]
    if len(sizes) == 2 and sizes[1] == 3:
        log.bins_only.add(value.tag)
    elif not sizes:
        from tensorboard.util.tensor_util import make_ndarray

        number = make_ndarray(tensor)
        if number.dtype.kind in "fiu":
            log.scalars.setdefault(value.tag, {})[step] = float(number)


def some(names: Iterable[str]) -> str:
    """Name the first few."""
    names = list(names)
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
