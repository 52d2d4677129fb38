"""The header of an array in a NumPy archive, read before the data that it announces."""

import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy


def read_npy_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the shape and the type of an array, and none of its values.

    Args:
        archive: An open .npz file.
        name: The array's name, without .npy.

    Raises:
        KeyError: There is no such array.
        ValueError: It does not begin with a header.
        zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError: It cannot be unpacked.
    """
    with archive.open(f"{name}.npy") as member:
        version = npy.read_magic(member)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(member)
    return shape, dtype
