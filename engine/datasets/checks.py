"""What every data set from a file must satisfy, and the error if it does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.datasets.dataset import VALIDATION_SHARE, Dataset
from engine.errors import UsageError

MAX_BYTES = 2**31
"""The largest size of a data set in memory, as float64."""
MAX_CLASSES = 10_000
MIN_CLASSES = 2


def bad_file(path: Path, problem: str) -> UsageError:
    """Return the error for a data file, which begins with the name of the file."""
    return UsageError("dataset", f"{path.name}: {problem}")


def check_size(path: Path, samples: int, features: int) -> None:
    """Check the size of a data set before it is read.

    Args:
        path: The file, for the error.
        samples: The number of samples.
        features: Features per sample.

    Raises:
        UsageError: The data would take more than MAX_BYTES.
    """
    needed = 8 * samples * features
    if needed > MAX_BYTES:
        raise bad_file(
            path,
            f"{samples} samples of {features} features take {needed / 2**30:.1f} GiB; the limit is "
            f"{MAX_BYTES / 2**30:.0f} GiB, so use a part of the file",
        )


def as_dataset(path: Path, inputs: NDArray[np.float64], labels: Sequence[str] | NDArray[np.generic]) -> Dataset:
    """Make a data set from features and labels.

    Args:
        path: The file, which gives the data set its name.
        inputs: The features, (samples, features).
        labels: One label per sample. Classes are numbered in the sorted order of the labels.

    Returns:
        The data set.

    Raises:
        UsageError: There is no feature, there are fewer than MIN_CLASSES or more than MAX_CLASSES classes, or too few
            samples to split.
    """
    if inputs.shape[1] == 0:
        raise bad_file(path, "there is no feature beside the label; it takes at least one column")
    names, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < MIN_CLASSES:
        raise bad_file(
            path, f"all {len(inputs)} samples have the same label {names[0]!s}; it takes at least two classes"
        )
    if len(names) > MAX_CLASSES:
        raise bad_file(path, f"there are {len(names)} different labels; the limit is {MAX_CLASSES} classes")
    if round(len(inputs) * VALIDATION_SHARE) < 1 or len(inputs) < len(names) + 1:
        raise bad_file(path, f"{len(inputs)} samples are too few to hold out a part for validation")
    return Dataset(path.name, inputs, numbers.astype(np.int64), classes=len(names))
