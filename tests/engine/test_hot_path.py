"""A step allocates no large array, and random configurations train with correct gradients."""

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backend import select_backend
from engine.config import (
    ACTIVATION_NAMES,
    INITIALIZATION_NAMES,
    OPTIMIZER_NAMES,
    NetworkConfig,
    TrainingConfig,
    check_together,
)
from engine.datasets import Dataset, load_dataset
from engine.trainer import Trainer
from tests.engine.conftest import CLASSES, FEATURES, MakeTrainer
from tests.engine.reference import complex_step_gradient

SHORT, LONG = (32, 64, 250), (64, 128, 1000)
"""Width, batch and steps, without and with --slow."""


@pytest.mark.parametrize(
    "network",
    [
        {"activation": "sigmoid"},  # whose norms are recomputed where squares underflow
        {"activation": "selu", "initialization": "lecun_normal"},
        {"activation": "gelu", "batch_norm": True, "skip_connections": True},
    ],
    ids=["sigmoid", "selu", "gelu with everything"],
)
def test_a_thousand_steps_allocate_no_large_block_and_leak_nothing(
    digits_trainer: MakeTrainer, network: dict[str, Any], long_form: bool
) -> None:
    width, batch, steps = LONG if long_form else SHORT
    training = TrainingConfig(batch, optimizer="adam", learning_rate=1e-4, gradient_clip=1.0, weight_decay=1e-4)
    trainer = digits_trainer(training, hidden_layers=10, width=width, **network)
    array_of_rank_3 = 10 * width * batch * 4
    trainer.step()
    tracemalloc.start()
    try:
        for _ in range(30):  # objects of earlier steps, which are not traced, are replaced by traced ones
            trainer.step()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(steps):
            trainer.step()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 0.9 * array_of_rank_3
    assert after - before < 10 * steps


@pytest.mark.timing
def test_a_thousand_layers_start_within_three_seconds_and_run() -> None:
    begin = time.perf_counter()
    trainer = Trainer(NetworkConfig(1000, 64), TrainingConfig(), load_dataset("digits"), select_backend("numpy"))
    assert len(trainer.measure().layers.grad_norm) == 1001
    assert time.perf_counter() - begin < 3
    trainer.step()


def configurations() -> st.SearchStrategy[tuple[NetworkConfig, TrainingConfig]]:
    """Draw any valid small network and training, in float64."""
    networks = st.builds(
        NetworkConfig,
        hidden_layers=st.integers(1, 4),
        width=st.sampled_from([1, 3, FEATURES]),
        activation=st.sampled_from(ACTIVATION_NAMES),
        batch_norm=st.booleans(),
        skip_connections=st.booleans(),
        initialization=st.sampled_from(INITIALIZATION_NAMES),
        weight_variance=st.floats(0.01, 4),
        bias_variance=st.floats(0, 1),
        dtype=st.just("float64"),
    )
    trainings = st.builds(
        TrainingConfig,
        batch_size=st.sampled_from([2, 7, 16]),
        optimizer=st.sampled_from(OPTIMIZER_NAMES),
        learning_rate=st.floats(1e-4, 0.05),
        momentum=st.floats(0, 0.95),
        weight_decay=st.floats(0, 0.1),
        gradient_clip=st.none() | st.floats(0.1, 10),
        seed=st.integers(0, 2**32),
    )
    return st.tuples(networks, trainings)


@given(configurations())
def test_any_configuration_trains_with_the_gradients_of_the_complex_step(
    small_data: Dataset, configuration: tuple[NetworkConfig, TrainingConfig]
) -> None:
    network, training = configuration
    check_together(network, training)
    trainer = Trainer(network, training, small_data, select_backend("numpy"))
    for _ in range(20):
        trainer.step()
    measurement = trainer.measure()
    if not np.isfinite(measurement.layers.grad_norm).all() or measurement.layers.grad_norm.max() > 1e6:
        return  # the network exploded, which is valid
    inputs, labels = trainer.current_batch()
    parameters, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    assert inputs.shape == (training.batch_size, FEATURES)
    assert set(labels) <= set(range(CLASSES))
    expected = {name: complex_step_gradient(network, parameters, name, inputs, labels) for name in gradients}
    largest = max(np.abs(values).max() for values in expected.values())
    for name, gradient in gradients.items():
        # with a batch of two, BatchNorm's variance may be tiny, which amplifies rounding errors
        assert np.abs(gradient - expected[name]).max() <= 1e-7 * largest, name
