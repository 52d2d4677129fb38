"""What a data set is, and how it becomes a training and a validation part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VALIDATION_SHARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """inputs: (samples, features), float64. labels: (samples,), whole numbers from 0. classes: how many there are."""

    name: str
    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]
    classes: int

    @property
    def samples(self) -> int:
        return len(self.labels)

    @property
    def features(self) -> int:
        return int(self.inputs.shape[1])

    @property
    def training_samples(self) -> int:
        """How many of them split() gives to the training part."""
        return self.samples - _held_out(self)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The two parts of a data set, standardised by the training part."""

    training_inputs: NDArray[np.float64]
    training_labels: NDArray[np.int64]
    validation_inputs: NDArray[np.float64]
    validation_labels: NDArray[np.int64]


def split(dataset: Dataset, rng: np.random.Generator) -> Split:
    """80 % for training, 20 % for validation, drawn by rng; a feature that never changes becomes 0."""
    order = rng.permutation(dataset.samples)
    held_out = _held_out(dataset)
    validation, training = order[:held_out], order[held_out:]
    mean = dataset.inputs[training].mean(axis=0)
    deviation = dataset.inputs[training].std(axis=0)
    standardized = (dataset.inputs - mean) / np.where(deviation == 0, 1, deviation)
    return Split(standardized[training], dataset.labels[training], standardized[validation], dataset.labels[validation])


def _held_out(dataset: Dataset) -> int:
    return round(dataset.samples * VALIDATION_SHARE)
