"""Jobs that other processes can be given, which do what a test needs to see."""

import os
import signal
from pathlib import Path

from tests.sweeps.rows import row_of
from vgtui.sweeps.grid import Point
from vgtui.sweeps.rows import Row


def quick(point: Point) -> Row:
    return row_of(point)


def raising_at_four(point: Point) -> Row:
    if point.values["width"] == 4:
        raise ZeroDivisionError("four")
    return row_of(point)


def killed_at_four(point: Point) -> Row:
    if point.values["width"] == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return row_of(point)


def killed_once(note: Path, point: Point) -> Row:
    """The first process that comes to the point of width 4 is killed there, and leaves a note."""
    if point.values["width"] == 4 and not note.exists():
        note.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return row_of(point)
