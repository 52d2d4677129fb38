"""What if: every single change of a network, measured at initialization on the same batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.backend import Backend
from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES, NetworkConfig, TrainingConfig
from engine.datasets import Dataset
from engine.errors import UsageError
from engine.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Probe:
    """A change, the field and its new value, and what it makes of the first layer's share.

    gradient_ratio: the first layer's gradient norm relative to the output layer's. update_ratio: ‖ΔW‖ / ‖W‖ of the
    first layer in the first update, relative to the output layer's. NaN where the change cannot be had.
    """

    setting: str
    value: bool | str
    gradient_ratio: np.float64
    update_ratio: np.float64


def single_changes(network: NetworkConfig) -> Iterator[tuple[str, bool | str]]:
    """Each other activation, BatchNorm and skip connections the other way, each other initialization."""
    yield "batch_norm", not network.batch_norm
    yield "skip_connections", not network.skip_connections
    for setting, names in (("activation", ACTIVATION_NAMES), ("initialization", INITIALIZATION_NAMES)):
        yield from ((setting, name) for name in names if name != getattr(network, setting))


def probe(network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend) -> Iterator[Probe]:
    """Measure every single change: one after the other, a set-up and one forward and backward pass each.

    The weights are drawn from the same seed, and the batch is the first of that seed.
    """
    for setting, value in single_changes(network):
        changed = replace(network, **{setting: value})  # type: ignore[arg-type]
        first, update = _ratios(changed, training, dataset, backend)
        yield Probe(setting, value, np.float64(first), np.float64(update))


def _ratios(
    network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend
) -> tuple[float, float]:
    try:
        trainer = Trainer(network, training, dataset, backend)
    except (UsageError, MemoryError):
        return math.nan, math.nan
    norms = trainer.measure(validate=False).layers.grad_norm
    trainer.step()
    first, last = trainer.network.update_ratio(0), trainer.network.update_ratio(-1)
    return _ratio(float(norms[0]), float(norms[-1])), _ratio(first, last)


def _ratio(first: float, last: float) -> float:
    return first / last if last else math.nan
