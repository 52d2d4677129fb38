"""What if: the effect of changing one setting, measured at initialization on the same batch."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from engine.backend import Backend
from engine.changes import Probe, single_changes
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset
from engine.errors import UsageError
from engine.memory import estimate_memory
from engine.trainer import Trainer


def probe(network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend) -> Iterator[Probe]:
    """Measure each change of one setting on its own.

    Each takes a set-up, one forward and backward pass, and one update. The weights are drawn from the same seed, and
    the batch is the first of that seed.

    Args:
        network: The network to change.
        training: Its training, which stays the same.
        dataset: The data set.
        backend: Where to compute.

    Yields:
        A probe per change. Its ratios are NaN if the changed network is not valid or does not fit into memory beside
        the original one.
    """
    kept = estimate_memory(network, training, dataset)
    for setting, value in single_changes(network):
        changed = replace(network, **{setting: value})  # type: ignore[arg-type]
        first, update = _ratios(changed, training, dataset, backend, kept)
        yield Probe(setting, value, np.float64(first), np.float64(update))


def _ratios(
    network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend, kept: int
) -> tuple[float, float]:
    try:
        trainer = Trainer(network, training, dataset, backend, kept=kept)
    except (UsageError, MemoryError):
        return math.nan, math.nan
    norms = trainer.measure(validate=False).layers.grad_norm
    trainer.step()
    first, last = trainer.network.update_ratio(0), trainer.network.update_ratio(-1)
    return _ratio(float(norms[0]), float(norms[-1])), _ratio(first, last)


def _ratio(first: float, last: float) -> float:
    return first / last if last else math.nan
