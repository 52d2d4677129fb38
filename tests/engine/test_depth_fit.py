"""The depth scale of a measured network."""

import math

import numpy as np
import pytest

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.depth_fit import fitted_depth_scale
from engine.theory import depth_scale, fixed_point
from engine.trainer import Trainer


@pytest.mark.parametrize("slope", [-0.5, 0.2])
def test_a_signal_that_changes_by_one_factor_a_layer_gives_its_scale(slope: float) -> None:
    signal = np.append(np.exp(slope * np.arange(12)), 99.0)  # the output layer is left out
    assert fitted_depth_scale(signal) == pytest.approx(1 / abs(slope))


def test_zeros_and_non_finite_norms_are_left_out() -> None:
    signal = np.array([0.0, np.nan, np.inf, 1.0, 2.0, 4.0, 8.0, 1.0])
    assert fitted_depth_scale(signal) == pytest.approx(1 / math.log(2))


def test_three_layers_are_enough_and_the_last_hidden_one_counts() -> None:
    assert fitted_depth_scale(np.array([1.0, 2.0, 8.0, 1.0])) == pytest.approx(1 / (1.5 * math.log(2)))


def test_fewer_than_three_layers_have_no_scale() -> None:
    assert math.isnan(fitted_depth_scale(np.array([1.0, 2.0, 3.0])))
    assert math.isnan(fitted_depth_scale(np.zeros(10)))


def test_a_signal_that_does_not_change_has_an_infinite_scale() -> None:
    assert fitted_depth_scale(np.full(10, 0.5)) == math.inf


@pytest.mark.parametrize("weight_variance", [1.0, 3.0])
def test_a_wide_network_has_the_depth_scale_of_theory(weight_variance: float) -> None:
    network = NetworkConfig(
        20, 400, activation="tanh", initialization="gaussian", weight_variance=weight_variance, bias_variance=0.05
    )
    trainer = Trainer(network, TrainingConfig(64), load_dataset("digits"), select_backend("numpy"))
    fitted = fitted_depth_scale(trainer.measure(validate=False).layers.delta_norm)
    assert fitted == pytest.approx(depth_scale(fixed_point("tanh", weight_variance, 0.05)[1]), rel=0.15)
