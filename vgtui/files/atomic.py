"""Writing a file as a whole: it is either all there or as it was before."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a file beside `target` that takes its place at the end; after a failure nothing of it is left.

    A file that is replaced keeps its permissions.

    Raises:
        OSError: It cannot be written.
    """
    written = target.with_name(f".vgtui-{secrets.token_hex(8)}")  # short: the name of the target may be the longest
    try:
        with written.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, written)
        os.replace(written, target)
    except BaseException:
        with suppress(OSError):
            written.unlink()
        raise


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Have `write` fill a file that takes the place of `path`, or of what that links to.

    What is not a regular file, such as /dev/stdout, cannot be replaced, and is written to directly. What `write` raises
    is raised.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            write(file)
    else:
        with replacing(target) as whole:
            write(whole)
