"""The moment on the screen in two files of their own: the screen as a picture, the layers as a table."""

import time
from pathlib import Path

from vgtui.recordings.frames import Frame, Header
from vgtui.tables import FRAME_COLUMNS, frame_rows, write_csv


def file_name() -> str:
    """What the dashboard calls a file that it writes into the folder where it was begun: by the time."""
    return time.strftime("vgtui-%Y%m%d-%H%M%S")


def export_moment(header: Header, frame: Frame, picture: str) -> Path:
    """Write both files; their path, without the endings. Raises OSError, also where one is there already."""
    path = Path(f"{file_name()}-step-{frame.step}").absolute()
    with path.with_suffix(".csv").open("x", encoding="utf-8", newline="") as table:
        write_csv(table, [FRAME_COLUMNS, *frame_rows(header, frame)])
    with path.with_suffix(".svg").open("x", encoding="utf-8") as image:
        image.write(picture)
    return path
