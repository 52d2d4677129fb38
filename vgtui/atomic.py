"""Writing a file as a whole: it is either all there or as it was before."""

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file beside `path`, which then takes its place; on any failure nothing is left of it.

    A link goes on pointing to its file, and a file that is replaced keeps its permissions. What is not a file, such as
    /dev/stdout, cannot be replaced: it is written to directly.

    Raises OSError, and what `write` raises.
    """
    target = Path(os.path.realpath(path))
    replaced = target.exists()
    if replaced and not target.is_file():
        with target.open("wb") as file:
            write(file)
        return
    written = target.with_name(f".vgtui-{secrets.token_hex(8)}")  # short: the name of the target may be the longest
    try:
        with written.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if replaced:
            shutil.copymode(target, written)
        os.replace(written, target)
    except BaseException:
        with suppress(OSError):
            written.unlink()
        raise
