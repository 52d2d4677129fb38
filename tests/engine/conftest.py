"""Small data and trainers for the engine's tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset, load_dataset
from engine.trainer import Trainer

MakeTrainer = Callable[..., Trainer]
FEATURES, CLASSES = 6, 3


@pytest.fixture(scope="session")
def small_data() -> Dataset:
    rng = np.random.default_rng(7)
    return Dataset("small", rng.standard_normal((40, FEATURES)), rng.integers(0, CLASSES, 40), CLASSES)


@pytest.fixture
def small_trainer(small_data: Dataset) -> MakeTrainer:
    """Make trainers in float64 with 3 hidden layers as wide as the input, so that each can have a skip connection."""

    def make(training: TrainingConfig | None = None, **network: Any) -> Trainer:
        config = NetworkConfig(**{"hidden_layers": 3, "width": FEATURES, "dtype": "float64", **network})
        return Trainer(config, training or TrainingConfig(batch_size=8), small_data, select_backend("numpy"))

    return make


@pytest.fixture
def digits_trainer() -> MakeTrainer:
    """Make trainers on digits."""

    def make(training: TrainingConfig | None = None, **network: Any) -> Trainer:
        return Trainer(
            NetworkConfig(**network), training or TrainingConfig(), load_dataset("digits"), select_backend("numpy")
        )

    return make
