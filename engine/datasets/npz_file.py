"""NumPy archives with x (samples, …) and y (samples,). Pickles are refused, and sizes are checked before reading."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.datasets.checks import as_dataset, bad_file, check_size
from engine.datasets.dataset import Dataset
from engine.errors import UsageError
from engine.npy_header import read_npy_header

NAMES = {"inputs": ("x", "X", "images"), "labels": ("y", "Y", "labels")}


def read_npz(path: Path, file: IO[bytes]) -> Dataset:
    """Read a NumPy archive.

    Args:
        path: The file, for the name of the data set and for errors.
        file: The opened file.

    Returns:
        The data set.

    Raises:
        UsageError: The archive is damaged, an array is missing, or its shape, type or values are not valid.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            inputs = _member(path, archive, "inputs")
            labels = _member(path, archive, "labels")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise bad_file(path, f"not a .npz archive, or a damaged one: {error}") from error
    if inputs.ndim < 2:
        raise bad_file(path, f"x has the shape {inputs.shape}; it takes (samples, features)")
    if labels.shape != inputs.shape[:1]:
        raise bad_file(path, f"y has the shape {labels.shape}, but x has {len(inputs)} samples")
    if inputs.dtype.kind not in "fiub":
        raise bad_file(path, f"x has the type {inputs.dtype}; it takes real numbers")
    if labels.dtype.kind not in "iubUS" and not (labels.dtype.kind == "f" and np.all(labels == np.round(labels))):
        raise bad_file(path, f"y has the type {labels.dtype} or fractions; it takes whole numbers or words")
    if not len(inputs):
        raise bad_file(path, "x has no samples")
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        sample, feature = (int(index) for index in np.argwhere(~np.isfinite(flat))[0])
        raise bad_file(path, f"x[{sample}], feature {feature} is not finite")
    return as_dataset(path, flat, labels)


def _member(path: Path, archive: zipfile.ZipFile, role: str) -> NDArray[Any]:
    """Read one array, after a check of the size in its header; no more than that size is read."""
    present = [name.removesuffix(".npy") for name in archive.namelist()]
    name = next((candidate for candidate in NAMES[role] if candidate in present), None)
    if name is None:
        raise bad_file(path, f'there is no array "{NAMES[role][0]}"; there are: {", ".join(present[:8]) or "none"}')
    try:
        shape, dtype = read_npy_header(archive, name)
        if dtype.hasobject:
            raise bad_file(path, f"{name} holds Python objects, which are never loaded; save numbers instead")
        samples = shape[0] if shape else 0
        check_size(path, samples, int(np.prod(shape[1:], dtype=object)))
        with archive.open(f"{name}.npy") as member:
            return np.asarray(npy.read_array(member, allow_pickle=False))
    except UsageError:
        raise
    except (KeyError, ValueError, EOFError, OSError, MemoryError) as error:
        raise bad_file(path, f"{name} cannot be read: {str(error).splitlines()[0]}") from error
