"""The moment on the screen in two files of their own: the screen as a picture, the layers as a table."""

import time
from contextlib import AbstractContextManager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from vgtui.files.outputs import writing_whole
from vgtui.recordings.tables import FRAME_COLUMNS, frame_rows, write_csv
from vgtui.wire.frames import Frame, Header


def file_name() -> str:
    """What the dashboard calls a file that it writes into the folder where it was begun: by the time."""
    return time.strftime("vgtui-%Y%m%d-%H%M%S")


def export_moment(header: Header, frame: Frame, picture: str) -> Path:
    """Write both files, or none; their path, without the endings. Raises UsageError."""
    path = Path(f"{file_name()}-step-{frame.step}")
    with _new(f"{path}.csv") as table, _new(f"{path}.svg") as image:
        with TextIOWrapper(table, "utf-8", newline="") as text:
            write_csv(text, [FRAME_COLUMNS, *frame_rows(header, frame)])
        image.write(picture.encode())
    return path.absolute()


def _new(path: str) -> AbstractContextManager[BinaryIO]:
    return writing_whole("export", path, overwrite=None)
