"""The measurements, against plain NumPy on the same parameters and batch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET

from engine.backend import scaled_row_norms, select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import Dataset
from engine.telemetry import LAYER_FIELDS, MEASUREMENTS, OPTIONAL_FIELDS
from engine.trainer import Trainer
from tests.engine.conftest import MakeTrainer
from tests.engine.reference import PHI, STEP, complex_step_gradient, forward


@pytest.mark.parametrize("skip_connections", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_every_field_matches_its_definition(
    small_trainer: MakeTrainer, activation: str, skip_connections: bool
) -> None:
    trainer = small_trainer(activation=activation, skip_connections=skip_connections)
    trainer.step()
    before = trainer.network.named_parameters()
    trainer.step()
    layers = trainer.measure().layers
    inputs, labels = trainer.current_batch()
    parameters, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    reference = forward(trainer.network.config, parameters, inputs, labels)
    weights = [f"layers.{layer}.weight" for layer in range(4)]
    outputs = [*reference.outputs, reference.logits]
    slopes = [PHI[activation](z + 1j * STEP).imag / STEP for z in reference.pre_activations]

    assert layers.grad_norm == pytest.approx([np.linalg.norm(gradients[name]) for name in weights], rel=1e-12)
    assert layers.weight_norm == pytest.approx([np.linalg.norm(parameters[name]) for name in weights], rel=1e-12)
    assert layers.activation_mean == pytest.approx([output.real.mean() for output in outputs], rel=1e-10, abs=1e-12)
    assert layers.activation_std == pytest.approx([output.real.std() for output in outputs], rel=1e-10)
    assert layers.derivative_rms == pytest.approx([*(np.sqrt((s**2).mean()) for s in slopes), 1], rel=1e-12)
    assert layers.activation_rms == pytest.approx([np.sqrt((o.real**2).mean()) for o in outputs], rel=1e-10)
    assert layers.of("grad_zero_share").tolist() == [np.mean(gradients[name] == 0) for name in weights]
    moved = [np.linalg.norm(parameters[n] - before[n]) / np.linalg.norm(parameters[n]) for n in weights]
    assert layers.update_ratio.tolist() == pytest.approx(moved, rel=1e-9)
    probabilities = np.exp(reference.logits.real) / np.exp(reference.logits.real).sum(axis=1, keepdims=True)
    assert layers.delta_norm[-1] == pytest.approx(np.linalg.norm((probabilities - np.eye(3)[labels]) / len(labels)))


def test_the_error_signal_is_the_derivative_by_the_pre_activation(small_trainer: MakeTrainer) -> None:
    # a bias is added to z, so its gradient is the sum of delta over the batch; with a batch of one it is delta
    trainer = small_trainer(TrainingConfig(batch_size=1), activation="tanh")
    layers = trainer.measure().layers
    gradients = trainer.network.named_gradients()
    assert layers.delta_norm == pytest.approx([np.linalg.norm(gradients[f"layers.{i}.bias"]) for i in range(4)])


def test_extremes_cover_every_step_since_the_last_measurement(small_trainer: MakeTrainer) -> None:
    watched, skipping = small_trainer(), small_trainer()
    watched.measure()
    skipping.measure()
    norms = []
    for _ in range(5):
        watched.step()
        skipping.step()
        norms.append(watched.measure().layers.grad_norm)
    layers = skipping.measure().layers
    assert layers.grad_norm_min.tolist() == np.min(norms, axis=0).tolist()
    assert layers.grad_norm_max.tolist() == np.max(norms, axis=0).tolist()
    assert layers.grad_norm.tolist() == norms[-1].tolist()


def test_fields_are_float64_with_one_entry_per_weight_layer(digits_trainer: MakeTrainer) -> None:
    layers = digits_trainer(hidden_layers=1).measure().layers
    for field in MEASUREMENTS:
        assert layers.of(field).dtype == np.float64
        assert layers.of(field).shape == (2,)


def test_meaningless_values_are_masked(small_trainer: MakeTrainer) -> None:
    sigmoid, relu = small_trainer(activation="sigmoid"), small_trainer(activation="relu")
    assert sigmoid.measure().layers.dead.tolist() == [None] * 4
    assert relu.measure().layers.saturated.tolist() == [None] * 4
    assert None not in sigmoid.measure().layers.saturated.tolist()[:3]
    assert sigmoid.measure().layers.saturated.tolist()[3] is None
    assert relu.measure().layers.update_ratio.tolist() == [None] * 4


def test_saturated_and_dead_units_are_counted(small_data: Dataset) -> None:
    def measure(activation: str) -> tuple[Trainer, int]:
        network = NetworkConfig(1, 6, activation=activation, initialization="standard_normal", dtype="float64")
        trainer = Trainer(network, TrainingConfig(batch_size=8), small_data, select_backend("numpy"))
        inputs, labels = trainer.current_batch()
        z = forward(network, trainer.network.named_parameters(), inputs, labels).pre_activations[0].real
        counted = (1 - np.tanh(z) ** 2 < 0.05).sum() if activation == "tanh" else (z <= 0).all(axis=0).sum()
        return trainer, int(counted)

    trainer, counted = measure("tanh")
    assert counted > 0
    assert trainer.measure().layers.saturated[0] == counted / (6 * 8)
    trainer, counted = measure("relu")
    assert trainer.measure().layers.dead[0] == counted / 6


@pytest.mark.parametrize("skip_connections", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_noise_scale_is_that_of_the_gradients_of_single_samples(
    small_trainer: MakeTrainer, activation: str, skip_connections: bool
) -> None:
    samples = 32
    trainer = small_trainer(TrainingConfig(samples), activation=activation, skip_connections=skip_connections)
    noise = trainer.measure().layers.of("noise_scale")
    inputs, labels = trainer.current_batch()
    network, parameters = trainer.network.config, trainer.network.named_parameters()
    for layer in range(4):
        single = np.array(
            [
                complex_step_gradient(network, parameters, f"layers.{layer}.weight", inputs[[i]], labels[[i]])
                for i in range(samples)
            ]
        ).reshape(samples, -1)
        variance = single.var(axis=0, ddof=1).sum()
        size = np.linalg.norm(single.mean(axis=0)) ** 2 - variance / samples  # both unbiased
        assert noise.tolist()[layer] == (pytest.approx(variance / size, rel=1e-6) if size > 0 else None)
    assert any(noise.tolist())


def test_with_batch_norm_no_sample_has_a_gradient_of_its_own_and_the_noise_scale_is_unknown(
    small_trainer: MakeTrainer,
) -> None:
    assert small_trainer(TrainingConfig(8), batch_norm=True).measure().layers.of("noise_scale").tolist() == [None] * 4


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "rmsprop"])
def test_norms_of_the_optimizers_state_match_its_formulas(small_trainer: MakeTrainer, optimizer: str) -> None:
    trainer = small_trainer(TrainingConfig(8, optimizer, 1e-3, momentum=0.9))
    assert trainer.measure().layers.of("momentum_norm").tolist() == [None] * 4
    weights = [f"layers.{layer}.weight" for layer in range(4)]
    mean: dict[str, Any] = dict.fromkeys(weights, 0.0)
    square = dict(mean)
    new, decay = (1.0, 0.999) if optimizer == "momentum" else (0.1, 0.99 if optimizer == "rmsprop" else 0.999)
    for _ in range(4):
        trainer.measure()
        gradients = trainer.network.named_gradients()
        mean = {name: 0.9 * mean[name] + new * gradients[name] for name in weights}
        square = {name: decay * square[name] + (1 - decay) * gradients[name] ** 2 for name in weights}
        trainer.step()
    layers = trainer.measure().layers
    means = [np.linalg.norm(mean[name]) for name in weights]
    roots = [np.linalg.norm(np.sqrt(square[name])) for name in weights]
    unknown = [None] * 4
    has_mean, has_square = optimizer != "rmsprop", optimizer != "momentum"
    assert layers.of("momentum_norm").tolist() == (pytest.approx(means, rel=1e-10) if has_mean else unknown)
    assert layers.of("second_moment_norm").tolist() == (pytest.approx(roots, rel=1e-10) if has_square else unknown)


def test_what_no_layer_has_is_not_in_a_measurement(small_trainer: MakeTrainer) -> None:
    layers = small_trainer(TrainingConfig(8), batch_norm=True).measure().layers
    assert [name for name in OPTIONAL_FIELDS if getattr(layers, name) is not UNSET] == ["grad_zero_share"]
    assert all(getattr(layers, name) is not UNSET for name in LAYER_FIELDS)


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e-12, 1.0, 1e30])
def test_float32_norms_survive_underflow_and_overflow(size: float) -> None:
    backend = select_backend("numpy")
    rows = (np.random.default_rng(0).standard_normal((3, 4096)) * size).astype(np.float32)
    with backend.quiet():
        norms = backend.row_norms([rows])
    assert norms == pytest.approx(np.sqrt((rows.astype(np.longdouble) ** 2).sum(axis=1)).astype(float), rel=1e-5)


def test_float64_norms_survive_underflow() -> None:
    with np.errstate(under="ignore"):
        assert select_backend("numpy").row_norms([np.full((1, 4), 1e-300)]) == pytest.approx([2e-300], rel=1e-12)


def test_zero_nan_and_infinity_are_reported_as_such() -> None:
    rows = np.array([[0, 0], [1, np.nan], [1, np.inf], [3, 4]], dtype=np.float32)
    for norms in (select_backend("numpy").row_norms([rows]), scaled_row_norms(np, rows)):
        assert norms[0] == 0
        assert np.isnan(norms[1])
        assert norms[2] == np.inf
        assert norms[3] == 5


def test_a_step_copies_nothing_to_the_host_and_a_measurement_copies_once(small_data: Dataset) -> None:
    copies: list[Any] = []
    numpy = select_backend("numpy")

    def to_host(array: Any) -> Any:
        copies.append(array)
        return numpy.to_host(array)

    counting = replace(numpy, to_host=to_host)
    network = NetworkConfig(hidden_layers=3, width=6, batch_norm=True, skip_connections=True)
    trainer = Trainer(network, TrainingConfig(batch_size=8, gradient_clip=1.0), small_data, counting)
    for _ in range(10):
        trainer.step()
    assert copies == []
    trainer.measure()
    assert len(copies) == 1
