"""What if: the effect of changing one setting, at initialization and after some steps of training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.backend import Backend
from engine.changes import AS_IT_IS, Probe, single_changes, with_change
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset
from engine.errors import UsageError
from engine.memory import estimate_memory
from engine.trainer import Trainer

WINDOW = 10
"""The last steps whose mean is the loss of a trial, and the steps between two looks at whether it is still a number."""

REACH = 3.0
"""The gradient reaches the first layer if its ratio is at most so many decades from 1."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How far the trial of a change is.

    Attributes:
        number: Its number in the order of `probe`, from 0: the run as it is.
        probe: What is known of it.
        steps: Its updates so far; 0 while only the ratios are measured.
    """

    number: int
    probe: Probe
    steps: int


def probe(network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend) -> Iterator[Probe]:
    """Measure each change of one setting on its own, at initialization.

    Each takes a set-up, one forward and backward pass, and one update. The weights are drawn from the same seed, and
    the batch is the first of that seed.

    Args:
        network: The network to change.
        training: Its training.
        dataset: The data set.
        backend: Where to compute.

    Yields:
        A probe of the run as it is, then one per change. Its ratios are NaN if the changed run is not valid or does
        not fit into memory beside the original one.
    """
    for setting, value in ((AS_IT_IS, None), *single_changes(network, training)):
        found = Probe(setting, value, np.float64(np.nan), np.float64(np.nan))
        trainer = _trainer(found, network, training, dataset, backend)
        if trainer:
            norms = trainer.measure(validate=False).layers.grad_norm
            trainer.step()
            first, last = trainer.network.update_ratio(0), trainer.network.update_ratio(-1)
            found = replace(
                found, gradient_ratio=_ratio(float(norms[0]), float(norms[-1])), update_ratio=_ratio(first, last)
            )
        del trainer  # before there is another
        yield found


def try_changes(
    network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend, steps: int
) -> Iterator[Trial]:
    """Measure each change as `probe` does, then train each for some steps.

    The run as it is comes first, then the best ratio. Where the gradient reaches the first layer as it is, the ratio is
    not what is wrong, and other learning rates come before.

    Every trial begins at its own initialization, with the same seed and batches. There is one trainer at a time.

    Args:
        network: The network to change.
        training: Its training.
        dataset: The data set.
        backend: Where to compute.
        steps: The updates of each trial, at least 1.

    Yields:
        A trial after each slice of work: its ratios, or one update. The last of a change has all its `steps`: also
        one that ends early, as its loss is NaN and stays so, and one that is not possible.
    """
    measured: list[Probe] = []
    for found in probe(network, training, dataset, backend):
        yield Trial(len(measured), found, 0)
        measured.append(found)
    reaches = measured[0].ratio_distance <= REACH

    def promise(number: int) -> tuple[bool, float]:
        found = measured[number]
        return not (reaches and found.setting == "learning_rate"), found.ratio_distance

    for number in (0, *sorted(range(1, len(measured)), key=promise)):
        for known, made in _learn(measured[number], network, training, dataset, backend, steps):
            yield Trial(number, known, made)


def _learn(
    found: Probe, network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend, steps: int
) -> Iterator[tuple[Probe, int]]:
    """Train a change; after each update, what is known of it and how many updates were made."""
    trainer = _trainer(found, network, training, dataset, backend)
    if trainer is None:
        yield found, steps
        return
    last = []
    for made in range(1, steps + 1):
        trainer.step()
        if made > steps - WINDOW or made % WINDOW == 0:
            measurement = trainer.measure(validate=False)
            if math.isnan(measurement.loss):  # its gradients are NaN too, so it will never be a number again
                yield replace(found, loss=np.float64(np.nan), accuracy=np.float64(np.nan)), steps
                return
            if made > steps - WINDOW:
                last.append((float(measurement.loss), float(measurement.accuracy)))
        if made < steps:
            yield found, made
    loss, accuracy = (np.float64(sum(column) / len(last)) for column in zip(*last, strict=True))
    yield replace(found, loss=loss, accuracy=accuracy), steps


def _trainer(
    found: Probe, network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend
) -> Trainer | None:
    """Set up a changed run beside the original one; None if it is not possible."""
    kept = estimate_memory(network, training, dataset)
    try:
        changed = with_change(network, training, found.setting, found.value)
        return Trainer(*changed, dataset, backend, kept=kept)
    except (UsageError, MemoryError):
        return None


def _ratio(first: float, last: float) -> np.float64:
    return np.float64(first / last if last else np.nan)
