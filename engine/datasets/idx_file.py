"""IDX, the format of MNIST: …images-idx3-ubyte with …labels-idx1-ubyte in the same folder."""

import gzip
import struct
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from engine.datasets.checks import as_dataset, bad_file, check_size
from engine.datasets.dataset import Dataset

HEADER_BYTES = 4
MAX_RANK = 4
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path, file: IO[bytes]) -> Dataset:
    """Read a file of images and the file of labels in the same folder.

    Args:
        path: The file of images, for the name of the data set and to find the labels.
        file: The opened file of images.

    Returns:
        The data set.

    Raises:
        UsageError: One of the files is missing or not valid, or they do not belong together.
    """
    labels_path = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels_path == path:
        raise bad_file(path, "name the file of images, …images-idx3-ubyte; the labels are read from the same folder")
    if not labels_path.exists():
        raise bad_file(path, f"its labels, {labels_path.name}, are not in the same folder")
    images = _read_array(path, file)
    with gzip.open(labels_path) if labels_path.suffix == ".gz" else labels_path.open("rb") as labels_file:
        labels = _read_array(labels_path, labels_file)  # type: ignore[arg-type]
    if images.ndim < 2 or not len(images):
        raise bad_file(path, f"it holds an array of the shape {images.shape}; it takes images (samples, rows, columns)")
    if labels.shape != images.shape[:1]:
        raise bad_file(path, f"it has {len(images)} images, but {labels_path.name} has the shape {labels.shape}")
    inputs = images.reshape(len(images), -1).astype(np.float64)
    if not np.isfinite(inputs).all():
        raise bad_file(path, "a value is not finite")
    return as_dataset(path, inputs, labels)


def _read_array(path: Path, file: IO[bytes]) -> NDArray[np.generic]:
    magic = file.read(HEADER_BYTES)
    if len(magic) < HEADER_BYTES or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= MAX_RANK:
        raise bad_file(path, f"it begins with {magic.hex(' ') or 'nothing'}, so it is not an IDX file")
    kind, rank = np.dtype(TYPES[magic[2]]), magic[3]
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise bad_file(path, "it ends within its header")
    shape = struct.unpack(f">{rank}I", sizes)
    count = int(np.prod(shape, dtype=object))
    check_size(path, shape[0], count // max(shape[0], 1))
    data = file.read(count * kind.itemsize + 1)
    if len(data) != count * kind.itemsize:
        more = "more" if len(data) > count * kind.itemsize else "fewer"
        raise bad_file(path, f"its header announces {count * kind.itemsize} bytes of data, but there are {more}")
    return np.frombuffer(data, kind).reshape(shape)
