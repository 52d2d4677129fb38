"""Data sets from files, chosen by file name, with or without gzip; memory is bounded and no code is executed."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from engine.datasets.checks import bad_file
from engine.datasets.csv_file import read_csv
from engine.datasets.dataset import Dataset
from engine.datasets.idx_file import read_idx
from engine.datasets.npz_file import read_npz
from engine.errors import UsageError

FileReader = Callable[[Path, IO[bytes]], Dataset]


def load_file(name: str) -> Dataset:
    """Load the data set of a .csv, .npz or IDX file.

    Args:
        name: The path of the file, which may begin with ~.

    Returns:
        The data set.

    Raises:
        UsageError: The file cannot be read or is not valid; the text has line and column where there are any.
    """
    path = dataset_path(name)
    reader = _reader(path)
    try:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                with gzip.open(file) as unpacked:
                    return reader(path, unpacked)  # type: ignore[arg-type]
            return reader(path, file)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise bad_file(path, f"the compressed file is damaged: {error}") from error
    except OSError as error:
        raise UsageError("dataset", f"{name} cannot be read: {error.strerror or error}") from error


def dataset_path(name: str) -> Path:
    """Return the path that a user names.

    Args:
        name: A path, which may begin with ~.

    Returns:
        The path, with the home folder inserted.

    Raises:
        UsageError: No file can have this name.
    """
    if "\0" in name:
        raise UsageError("dataset", f"{name!r} is not a file name")
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UsageError("dataset", f"{name} cannot be found: {error}") from error


def _reader(path: Path) -> FileReader:
    bare = path.with_suffix("") if path.suffix == ".gz" else path
    if bare.suffix == ".csv":
        return read_csv
    if path.suffix == ".npz":
        return read_npz
    if "idx3" in bare.name or "idx1" in bare.name or bare.suffix == ".idx":
        return read_idx
    raise bad_file(path, "unknown file type; it may be .csv, .npz or IDX (…-idx3-ubyte), and .gz of .csv and IDX")
