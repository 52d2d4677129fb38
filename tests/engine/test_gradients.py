"""Every gradient against the complex step."""

import numpy as np
import pytest

from engine.config import ACTIVATION_NAMES
from tests.engine.conftest import MakeTrainer
from tests.engine.reference import complex_step_gradient, forward

TOLERANCE = 1e-10
"""Relative to the largest gradient of the layer."""


@pytest.mark.parametrize("skip_connections", [False, True], ids=["plain", "skip"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["bias", "batch_norm"])
@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_every_gradient_matches_the_complex_step(
    small_trainer: MakeTrainer, activation: str, batch_norm: bool, skip_connections: bool
) -> None:
    trainer = small_trainer(
        activation=activation,
        batch_norm=batch_norm,
        skip_connections=skip_connections,
        initialization="pytorch_default",
    )
    for _ in range(3):  # away from gains of 1 and biases of 0
        trainer.step()
    measurement = trainer.measure()
    inputs, labels = trainer.current_batch()
    parameters, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    config = trainer.network.config

    assert measurement.loss == pytest.approx(forward(config, parameters, inputs, labels).loss.real, rel=1e-12)
    expected = {name: complex_step_gradient(config, parameters, name, inputs, labels) for name in gradients}
    for name, gradient in gradients.items():
        layer = name.rsplit(".", 1)[0].removesuffix(".norm")
        largest = max(np.abs(values).max() for other, values in expected.items() if other.startswith(f"{layer}."))
        assert np.abs(gradient - expected[name]).max() <= TOLERANCE * largest, name


def test_gradients_are_right_where_only_hidden_widths_agree(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer(width=4, skip_connections=True, activation="tanh", hidden_layers=2)
    trainer.measure()
    inputs, labels = trainer.current_batch()
    parameters, gradients = trainer.network.named_parameters(), trainer.network.named_gradients()
    for name, gradient in gradients.items():
        expected = complex_step_gradient(trainer.network.config, parameters, name, inputs, labels)
        assert gradient == pytest.approx(expected, abs=1e-12)
