"""What every data set of a user's own must be, and the one way to refuse it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.datasets.dataset import VALIDATION_SHARE, Dataset
from engine.errors import UsageError

MAX_BYTES = 2**31
"""Of a data set in memory, as float64."""
MAX_CLASSES = 10_000


def bad_file(path: Path, problem: str) -> UsageError:
    """The error for a file, by its name."""
    return UsageError("dataset", f"{path.name}: {problem}")


def check_size(path: Path, samples: int, features: int) -> None:
    """Raise UsageError when the data would not fit, before it is read."""
    needed = 8 * samples * features
    if needed > MAX_BYTES:
        raise bad_file(
            path,
            f"{samples} samples of {features} features take {needed / 2**30:.1f} GiB; the most is "
            f"{MAX_BYTES / 2**30:.0f} GiB, so take a part of the file",
        )


def as_dataset(path: Path, inputs: NDArray[np.float64], labels: Sequence[str] | NDArray[np.generic]) -> Dataset:
    """A data set from features (samples, features) and a label a sample. Classes are numbered in the labels' order."""
    if inputs.shape[1] == 0:
        raise bad_file(path, "there is no feature beside the label; it takes one column or more")
    names, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 2:
        raise bad_file(path, f"all {len(inputs)} samples have the one label {names[0]!s}; it takes two classes or more")
    if len(names) > MAX_CLASSES:
        raise bad_file(path, f"there are {len(names)} different labels; the most is {MAX_CLASSES} classes")
    if round(len(inputs) * VALIDATION_SHARE) < 1 or len(inputs) < len(names) + 1:
        raise bad_file(path, f"{len(inputs)} samples are too few to hold a part of them out for validation")
    return Dataset(path.name, inputs, numbers.astype(np.int64), classes=len(names))
