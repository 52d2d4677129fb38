"""From norms to a verdict."""

from dataclasses import replace

import numpy as np
import pytest

from engine.config import NetworkConfig
from engine.diagnosis import diagnose, layer_health
from engine.telemetry import LayerMeasurements
from tests.engine.conftest import MakeTrainer

SIGMOID = NetworkConfig(hidden_layers=3, width=6)


@pytest.fixture
def layers(small_trainer: MakeTrainer) -> LayerMeasurements:
    return small_trainer().measure().layers


def with_norms(layers: LayerMeasurements, norms: list[float]) -> LayerMeasurements:
    values = np.array(norms)
    return replace(layers, grad_norm=values, grad_norm_min=values, grad_norm_max=values)


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        (
            [0.5, 0.4, 0.6, 1.0],
            "healthy: every layer learns; layer 2 gets the least, 0.4 of what the output layer gets",
        ),
        ([3e-14, 1e-9, 1e-4, 1.0], "vanishing: layer 1 gets 3e-14 of what the output layer gets"),
        ([0.0, 0.0, 1e-4, 1.0], "vanished: 2 layers, layer 1 among them, get a gradient of exactly 0"),
        ([1e-4, 0.0, 1e-4, 1.0], "vanished: layer 2 gets a gradient of exactly 0"),
        ([0.0, 0.0, 0.0, 0.0], "vanished: not even the output layer gets a gradient"),
        ([20.0, 3.0, 1.0, 0.01], "exploding: layer 1 gets 2e+03 times what the output layer gets"),
        ([5e4, 3.0, 1.0, 1e3], "exploding: the gradient norm of layer 1 is 5e+04"),
        ([1.0, np.nan, 1.0, 1.0], "non-finite: the gradient of layer 2 is NaN or ∞"),
        ([1.0, 1.0, 1.0, np.inf], "non-finite: the gradient of the output layer is NaN or ∞"),
    ],
)
def test_a_verdict_names_the_layer_and_the_number(layers: LayerMeasurements, norms: list[float], message: str) -> None:
    verdict = diagnose(SIGMOID, with_norms(layers, norms))
    assert verdict.message == message
    assert verdict.message.startswith(verdict.kind)


def test_a_nan_between_two_measurements_counts(layers: LayerMeasurements) -> None:
    spiked = replace(with_norms(layers, [1.0] * 4), grad_norm_max=np.array([1.0, np.nan, 1.0, 1.0]))
    assert diagnose(SIGMOID, spiked).kind == "non-finite"


def test_cures_are_single_changes_that_are_not_made_yet(layers: LayerMeasurements) -> None:
    starved = with_norms(layers, [1e-9, 1e-6, 1e-4, 1.0])
    assert [cure.setting for cure in diagnose(SIGMOID, starved).cures] == [
        "batch_norm",
        "skip_connections",
        "activation",
    ]
    cured = replace(SIGMOID, batch_norm=True, activation="relu")
    assert [cure.setting for cure in diagnose(cured, starved).cures] == ["skip_connections", "initialization"]


def test_a_healthy_network_needs_no_cure(layers: LayerMeasurements) -> None:
    assert diagnose(SIGMOID, with_norms(layers, [1.0] * 4)).cures == ()


def test_every_layer_has_a_word() -> None:
    norms = np.array([0.0, 1e-12, 1e-5, 0.5, 1e5, np.nan, np.inf, 1.0])
    assert layer_health(norms) == ["zero", "vanished", "weak", "learning", "exploding", "NaN", "infinite", "learning"]


def test_the_default_network_is_vanishing_and_names_the_keys_cures(digits_trainer: MakeTrainer) -> None:
    trainer = digits_trainer()
    verdict = diagnose(trainer.network.config, trainer.measure().layers)
    assert verdict.kind == "vanishing"
    assert [cure.setting for cure in verdict.cures] == ["batch_norm", "skip_connections", "activation"]
