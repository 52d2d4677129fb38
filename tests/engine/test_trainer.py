"""Training as a whole: what is learnt, what is reproducible, what is refused."""

import numpy as np
import pytest

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset, load_dataset
from engine.errors import UsageError
from engine.telemetry import MEASUREMENTS, Measurement
from engine.trainer import Trainer
from tests.engine.conftest import MakeTrainer


def as_lists(measurement: Measurement) -> list[object]:
    return [
        measurement.loss,
        *(measurement.layers.of(name).tolist() for name in MEASUREMENTS),
    ]


def test_the_default_network_starves_its_first_layer(digits_trainer: MakeTrainer) -> None:
    norms = digits_trainer().measure().layers.grad_norm
    assert 0 < norms[0] < 1e-8 * norms[-1]


def test_relu_with_he_initialization_feeds_its_first_layer(digits_trainer: MakeTrainer) -> None:
    norms = digits_trainer(activation="relu", initialization="he_normal").measure().layers.grad_norm
    assert norms[0] > 1e-2 * norms[-1]


def test_the_cured_network_learns_digits_in_200_steps(digits_trainer: MakeTrainer) -> None:
    trainer = digits_trainer(activation="relu", initialization="he_normal", batch_norm=True, skip_connections=True)
    for _ in range(200):
        trainer.step()
    assert trainer.measure().validation_accuracy >= 0.9


def test_the_default_network_does_not_learn_digits_in_500_steps(digits_trainer: MakeTrainer) -> None:
    trainer = digits_trainer()
    for _ in range(500):
        trainer.step()
    assert trainer.measure().validation_accuracy < 0.2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seed_gives_the_same_measurements_bit_for_bit(digits_trainer: MakeTrainer, dtype: str) -> None:
    runs = []
    for _ in range(2):
        trainer = digits_trainer(hidden_layers=5, activation="tanh", batch_norm=True, dtype=dtype)
        for _ in range(30):
            trainer.step()
        runs.append(as_lists(trainer.measure()))
    assert runs[0] == runs[1]


def test_measuring_changes_nothing(digits_trainer: MakeTrainer) -> None:
    watched, unwatched = (digits_trainer(hidden_layers=4, activation="relu", batch_norm=True) for _ in range(2))
    for _ in range(25):
        watched.measure()
        watched.step()
        unwatched.step()
    for name, values in watched.network.named_parameters().items():
        assert np.array_equal(values, unwatched.network.named_parameters()[name])


def test_another_seed_gives_other_weights_and_batches(digits_trainer: MakeTrainer) -> None:
    one, other = digits_trainer(), digits_trainer(TrainingConfig(seed=1))
    assert not np.array_equal(one.current_batch()[0], other.current_batch()[0])
    name = "layers.0.weight"
    assert not np.array_equal(one.network.named_parameters()[name], other.network.named_parameters()[name])


def test_a_change_of_the_network_leaves_the_batches_as_they_are(digits_trainer: MakeTrainer) -> None:
    one, other = digits_trainer(), digits_trainer(activation="relu", hidden_layers=3, batch_norm=True)
    for _ in range(13):  # beyond the first epoch
        one.step()
        other.step()
    assert np.array_equal(one.current_batch()[0], other.current_batch()[0])


def test_an_epoch_shows_every_sample_at_most_once(small_data: Dataset) -> None:
    trainer = Trainer(NetworkConfig(1, 4), TrainingConfig(batch_size=8), small_data, select_backend("numpy"))
    rows: list[tuple[float, ...]] = []
    while trainer.epoch == 0:
        rows.extend(map(tuple, trainer.current_batch()[0].tolist()))
        trainer.step()
    assert len(set(rows)) == len(rows) == 32


def test_sgd_subtracts_the_rate_times_the_gradient(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer(TrainingConfig(batch_size=8, learning_rate=0.5))
    trainer.measure()
    before, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    trainer.step()
    for name, values in trainer.network.named_parameters().items():
        assert values == pytest.approx(before[name] - 0.5 * gradients[name], rel=1e-14, abs=1e-16)


def test_momentum_follows_its_recurrence(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer(TrainingConfig(batch_size=8, optimizer="momentum", learning_rate=0.1, momentum=0.8))
    name = "layers.1.weight"
    velocity = np.zeros((6, 6))
    for _ in range(4):
        trainer.measure()
        before, gradient = trainer.network.named_parameters()[name], trainer.network.named_gradients()[name]
        velocity = 0.8 * velocity + gradient
        trainer.step()
        assert trainer.network.named_parameters()[name] == pytest.approx(before - 0.1 * velocity, rel=1e-12, abs=1e-15)


def test_weight_decay_adds_the_parameters_to_the_gradient(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer(TrainingConfig(batch_size=8, weight_decay=0.3, learning_rate=0.1))
    trainer.measure()
    before, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    trainer.step()
    for name, values in trainer.network.named_parameters().items():
        assert values == pytest.approx(
            before[name] - 0.1 * (gradients[name] + 0.3 * before[name]), rel=1e-12, abs=1e-15
        )


def test_clipping_bounds_the_global_norm_and_leaves_the_direction(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer(TrainingConfig(batch_size=8, gradient_clip=0.01, learning_rate=1.0))
    trainer.measure()
    before, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
    assert norm > 0.01
    trainer.step()
    for name, values in trainer.network.named_parameters().items():
        assert before[name] - values == pytest.approx(gradients[name] * 0.01 / norm, rel=1e-3, abs=1e-12)


def test_running_statistics_move_by_a_tenth_towards_the_batch(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer(batch_norm=True)
    inputs, _ = trainer.current_batch()
    z = inputs @ trainer.network.named_parameters()["layers.0.weight"]
    trainer.step()
    after = trainer.network.named_parameters()
    assert after["layers.0.norm.running_mean"] == pytest.approx(0.1 * z.mean(axis=0), abs=1e-12)
    assert after["layers.0.norm.running_var"] == pytest.approx(0.9 + 0.1 * z.var(axis=0, ddof=1), abs=1e-12)


def test_a_batch_larger_than_the_training_part_is_refused(small_data: Dataset) -> None:
    with pytest.raises(UsageError, match="batch_size: 100 is more than the 32 training samples of small"):
        Trainer(NetworkConfig(), TrainingConfig(batch_size=100), small_data, select_backend("numpy"))


def test_a_network_that_does_not_fit_into_memory_is_refused_with_the_estimate() -> None:
    with pytest.raises(UsageError, match=r"need about \d+\.\d GiB"):
        Trainer(NetworkConfig(10_000, 65_536), TrainingConfig(), load_dataset("digits"), select_backend("numpy"))


def test_a_thousand_layers_train() -> None:
    network = NetworkConfig(1000, 16, activation="relu", initialization="he_normal")
    trainer = Trainer(network, TrainingConfig(batch_size=16), load_dataset("digits"), select_backend("numpy"))
    trainer.step()
    assert len(trainer.measure().layers.grad_norm) == 1001
