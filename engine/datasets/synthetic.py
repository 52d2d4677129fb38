"""Points in the plane whose classes no straight line separates; the same points every time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.datasets.dataset import Dataset

SAMPLES = 1_500
SEED = 2026


def load_spirals() -> Dataset:
    """Make three arms of a spiral, one and a quarter turns each, with a little noise."""
    rng = np.random.default_rng(SEED)
    labels = np.arange(SAMPLES) % 3
    radius = np.sqrt(rng.uniform(0.02, 1, SAMPLES))
    angle = 2.5 * np.pi * radius + labels * 2 * np.pi / 3
    return _points("spirals", radius * np.cos(angle), radius * np.sin(angle), labels, 0.02, rng)


def load_moons() -> Dataset:
    """Make two interleaving half circles, with noise."""
    rng = np.random.default_rng(SEED)
    labels = np.arange(SAMPLES) % 2
    angle = rng.uniform(0, np.pi, SAMPLES)
    across = np.where(labels == 0, np.cos(angle), 1 - np.cos(angle))
    up = np.where(labels == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _points("moons", across, up, labels, 0.1, rng)


def load_blobs() -> Dataset:
    """Make four round clouds at the corners of a square."""
    rng = np.random.default_rng(SEED)
    labels = np.arange(SAMPLES) % 4
    return _points("blobs", 4.0 * (labels % 2), 4.0 * (labels // 2), labels, 0.8, rng)


def _points(
    name: str,
    across: NDArray[Any],
    up: NDArray[Any],
    labels: NDArray[Any],
    noise: float,
    rng: np.random.Generator,
) -> Dataset:
    inputs = np.column_stack([across, up]) + noise * rng.standard_normal((len(labels), 2))
    return Dataset(name, inputs, labels.astype(np.int64), classes=int(labels.max()) + 1)
