"""Writes the moment on the screen to two files: the screen as a picture, the layers as a table."""

import time
from contextlib import AbstractContextManager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from vgtui.files.outputs import writing_whole
from vgtui.recordings.tables import FRAME_COLUMNS, frame_rows, write_csv
from vgtui.wire.frames import Frame, Header


def file_name() -> str:
    """The name of a new file in the current folder, without ending: vgtui and the time."""
    return time.strftime("vgtui-%Y%m%d-%H%M%S")


def export_moment(header: Header, frame: Frame, picture: str) -> Path:
    """Write both files, or neither.

    Args:
        header: The run's header.
        frame: The moment.
        picture: The screen as SVG.

    Returns:
        The absolute path of both files, without the ending.

    Raises:
        UsageError: If a file exists or cannot be written.
    """
    path = Path(f"{file_name()}-step-{frame.step}")
    with _new(f"{path}.csv") as table, _new(f"{path}.svg") as image:
        with TextIOWrapper(table, "utf-8", newline="") as text:
            write_csv(text, [FRAME_COLUMNS, *frame_rows(header, frame)])
        image.write(picture.encode())
    return path.absolute()


def _new(path: str) -> AbstractContextManager[BinaryIO]:
    return writing_whole("export", path, overwrite=None)
