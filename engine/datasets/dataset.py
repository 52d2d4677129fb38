"""Data sets, and their split into a training and a validation part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VALIDATION_SHARE = 0.2
"""The share of the samples that is held out for validation."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set for classification.

    Attributes:
        name: Its name.
        inputs: (samples, features), float64.
        labels: (samples,), whole numbers from 0.
        classes: The number of classes.
    """

    name: str
    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]
    classes: int

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.labels)

    @property
    def features(self) -> int:
        """The number of features."""
        return int(self.inputs.shape[1])

    @property
    def training_samples(self) -> int:
        """The number of samples that `split` puts into the training part."""
        return self.samples - _held_out(self)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The two parts of a data set, standardized by the training part.

    Attributes:
        training_inputs: (training samples, features); every feature has the mean 0 and the variance 1, or is 0.
        training_labels: (training samples,).
        validation_inputs: (validation samples, features).
        validation_labels: (validation samples,).
    """

    training_inputs: NDArray[np.float64]
    training_labels: NDArray[np.int64]
    validation_inputs: NDArray[np.float64]
    validation_labels: NDArray[np.int64]


def split(dataset: Dataset, rng: np.random.Generator) -> Split:
    """Split a data set at random: 80 % for training, 20 % for validation.

    Args:
        dataset: The data set.
        rng: Draws the split.

    Returns:
        The standardized parts. A constant feature becomes 0.
    """
    order = rng.permutation(dataset.samples)
    held_out = _held_out(dataset)
    validation, training = order[:held_out], order[held_out:]
    mean = dataset.inputs[training].mean(axis=0)
    deviation = dataset.inputs[training].std(axis=0)
    standardized = (dataset.inputs - mean) / np.where(deviation == 0, 1, deviation)
    return Split(standardized[training], dataset.labels[training], standardized[validation], dataset.labels[validation])


def _held_out(dataset: Dataset) -> int:
    return round(dataset.samples * VALIDATION_SHARE)
