"""Continuing with the weights of another network, wherever they fit."""

from dataclasses import replace

import numpy as np
import pytest

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.trainer import Trainer
from tests.engine.strict_device import strict_backend

NETWORK = NetworkConfig(hidden_layers=4, width=8)
TRAINING = TrainingConfig(batch_size=32, optimizer="adam", learning_rate=0.01)


def trained(steps: int = 7) -> Trainer:
    trainer = Trainer(NETWORK, TRAINING, load_dataset("digits"), select_backend("numpy"))
    for _ in range(steps):
        trainer.step()
    return trainer


def adopting(other: Trainer, **changes: object) -> Trainer:
    network = replace(NETWORK, **changes)  # type: ignore[arg-type]
    trainer = Trainer(network, TRAINING, load_dataset("digits"), select_backend("numpy"))
    trainer.adopt(other)
    return trainer


def test_the_same_network_continues_with_the_same_batches_and_loss() -> None:
    other = trained()
    trainer = adopting(other)
    assert trainer.step_count == 7
    assert trainer.measure().loss == other.measure().loss
    assert trainer.measure().layers.update_ratio.mask.all()  # it has not made an update itself
    for _ in range(100):  # into the next epoch, which has a new order
        trainer.step()
        other.step()
    for mine, others in zip(trainer.current_batch(), other.current_batch(), strict=True):
        assert np.array_equal(mine, others)


def test_parameters_of_another_shape_are_drawn_again_and_the_output_layers_match() -> None:
    other = trained()
    before = other.network.named_parameters()
    deeper = adopting(other, hidden_layers=6).network.named_parameters()
    fresh = Trainer(replace(NETWORK, hidden_layers=6), TRAINING, load_dataset("digits"), select_backend("numpy"))
    drawn = fresh.network.named_parameters()
    for layer in range(4):
        assert np.array_equal(deeper[f"layers.{layer}.weight"], before[f"layers.{layer}.weight"])
    for layer in (4, 5):
        assert np.array_equal(deeper[f"layers.{layer}.weight"], drawn[f"layers.{layer}.weight"])
    assert np.array_equal(deeper["layers.6.weight"], before["layers.4.weight"])
    wider = adopting(other, width=16).network.named_parameters()
    assert not np.array_equal(wider["layers.1.weight"][:8, :8], before["layers.1.weight"])


def test_batch_norm_starts_at_its_defaults_and_is_kept_with_its_statistics() -> None:
    with_norm = adopting(trained(), batch_norm=True)
    parameters = with_norm.network.named_parameters()
    assert (parameters["layers.0.norm.gain"] == 1).all()
    for _ in range(3):
        with_norm.step()
    kept = adopting(with_norm, batch_norm=True, activation="tanh").network.named_parameters()
    before = with_norm.network.named_parameters()
    for part in ("weight", "norm.gain", "norm.bias", "norm.running_mean", "norm.running_var"):
        assert np.array_equal(kept[f"layers.2.{part}"], before[f"layers.2.{part}"])


def test_the_optimizer_starts_over() -> None:
    """The first update of Adam has the size of the learning rate, at any step count."""
    trainer = adopting(trained(), activation="relu")
    before = trainer.network.named_parameters()["layers.0.weight"]
    trainer.step()
    moved = np.abs(trainer.network.named_parameters()["layers.0.weight"] - before)
    assert moved.max() == pytest.approx(TRAINING.learning_rate, rel=1e-3)


def test_a_run_with_adopted_weights_resumes_bit_for_bit() -> None:
    trainer = adopting(trained(), activation="relu")
    trainer.step()
    again = Trainer(replace(NETWORK, activation="relu"), TRAINING, load_dataset("digits"), select_backend("numpy"))
    again.restore(trainer.state())
    for _ in range(3):
        trainer.step()
        again.step()
    assert again.measure().loss == trainer.measure().loss


def test_adopting_on_a_device_needs_no_hidden_wait() -> None:
    backend, _, _ = strict_backend()
    first, second = (Trainer(NETWORK, TRAINING, load_dataset("digits"), backend) for _ in range(2))
    first.step()
    second.adopt(first)
    assert second.measure().loss == first.measure().loss
