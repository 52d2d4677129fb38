"""A restored trainer continues as if it had never stopped."""

from typing import Any

import numpy as np
import pytest

from engine.backend import select_backend
from engine.config import OPTIMIZER_NAMES, NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.telemetry import MEASUREMENTS
from engine.trainer import Trainer
from tests.engine.strict_device import strict_backend


def make_trainer(optimizer: str = "sgd", batch_norm: bool = True, backend: Any = None) -> Trainer:
    network = NetworkConfig(3, 8, activation="tanh", batch_norm=batch_norm)
    training = TrainingConfig(500, optimizer, 0.01, weight_decay=0.01, gradient_clip=1.0)
    return Trainer(network, training, load_dataset("digits"), backend or select_backend("numpy"))


def step(trainer: Trainer, times: int) -> None:
    for _ in range(times):
        trainer.step()


def assert_same(one: Trainer, other: Trainer) -> None:
    ours, theirs = one.measure(), other.measure()
    assert (ours.step, ours.epoch, ours.loss) == (theirs.step, theirs.epoch, theirs.loss)
    assert (ours.accuracy, ours.validation_accuracy) == (theirs.accuracy, theirs.validation_accuracy)
    for field in MEASUREMENTS:
        assert ours.layers.of(field).tolist() == theirs.layers.of(field).tolist(), field
    for name, values in one.network.named_parameters().items():
        assert np.array_equal(values, other.network.named_parameters()[name]), name


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_a_restored_trainer_continues_bit_for_bit(optimizer: str, batch_norm: bool) -> None:
    whole, first, second = (make_trainer(optimizer, batch_norm) for _ in range(3))
    for trainer in (whole, first):
        step(trainer, 2)
        trainer.measure()
        step(trainer, 3)  # an epoch has two steps; this stops in the middle of one, with extremes to keep
    second.restore(first.state())
    for steps in (0, 1, 4):
        step(whole, steps)
        step(second, steps)
        assert_same(whole, second)


def test_a_state_is_a_copy() -> None:
    trainer = make_trainer("adam")
    state = trainer.state()
    before = {name: values.copy() for name, values in state.items()}
    step(trainer, 3)
    assert all(np.array_equal(state[name], before[name]) for name in state)


def test_a_state_crosses_to_a_device_and_back_without_a_hidden_wait() -> None:
    backend, _, _ = strict_backend()
    here, there = make_trainer("adam"), make_trainer("adam", backend=backend)
    step(here, 3)
    there.restore(here.state())
    back = make_trainer("adam")
    back.restore(there.state())
    assert_same(here, back)


def not_an_order(state: dict[str, Any]) -> None:
    state["order"][0] = state["order"][1]


def no_generator(state: dict[str, Any]) -> None:
    state["generator"] = np.frombuffer(b"{}", np.uint8)


def negative_step(state: dict[str, Any]) -> None:
    state["step"] = np.array(-1)


@pytest.mark.parametrize("damage", [not_an_order, no_generator, negative_step])
def test_a_state_that_is_not_valid_is_refused(damage: Any) -> None:
    state = make_trainer().state()
    damage(state)
    with pytest.raises(UsageError):
        make_trainer().restore(state)
