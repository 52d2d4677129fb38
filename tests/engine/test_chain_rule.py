"""The factors of the chain rule, against the network's own arrays and against the bound."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from engine.chain_rule import chain_rule
from engine.config import NetworkConfig
from tests.engine.conftest import MakeTrainer
from tests.frames import make_layers


@pytest.mark.parametrize(
    "network",
    [
        {"activation": "sigmoid"},
        {"activation": "tanh", "batch_norm": True},
        {"activation": "relu", "skip_connections": True},
    ],
)
def test_a_factor_is_the_ratio_of_neighbouring_signals_and_the_product_of_its_parts(
    small_trainer: MakeTrainer, network: dict[str, Any]
) -> None:
    trainer = small_trainer(**network)
    layers = trainer.measure().layers
    chain = chain_rule(trainer.network.config, layers)
    signals = [np.linalg.norm(delta) for delta in (*trainer.network.deltas, trainer.network.output_delta)]
    factors = [one / above for one, above in pairwise(signals)]
    assert chain.factor.compressed() == pytest.approx(factors)
    assert (chain.activation * chain.weights).compressed() == pytest.approx(factors)
    assert chain.product.compressed() == pytest.approx([np.prod(factors[layer:]) for layer in range(len(signals))])


def test_the_output_layer_has_a_product_of_1_and_no_factor(small_trainer: MakeTrainer) -> None:
    trainer = small_trainer()
    chain = chain_rule(trainer.network.config, trainer.measure().layers)
    assert chain.product[-1] == 1
    assert chain.factor.mask.tolist() == chain.weights.mask.tolist() == [False, False, False, True]
    assert chain.activation.mask.tolist() == [False, False, False, True]


def test_the_derivatives_of_sigmoid_stay_below_the_bound(digits_trainer: MakeTrainer) -> None:
    trainer = digits_trainer(hidden_layers=20)
    chain = chain_rule(trainer.network.config, trainer.measure().layers)
    assert chain.bound is not None
    assert chain.bound[0] == pytest.approx(0.25**20)
    assert chain.bound[-1] == 1
    of_the_slopes = np.cumprod(chain.activation.filled(1.0)[::-1])[::-1]
    assert np.all(of_the_slopes <= chain.bound)


@pytest.mark.parametrize(
    "network",
    [
        NetworkConfig(3, activation="relu"),
        NetworkConfig(3, activation="tanh"),
        NetworkConfig(3, skip_connections=True),
        NetworkConfig(3, batch_norm=True),
    ],
)
def test_there_is_no_bound_where_it_would_be_meaningless(network: NetworkConfig) -> None:
    assert chain_rule(network, make_layers([1.0] * 4)).bound is None


def test_a_factor_below_a_signal_of_0_is_unknown_and_nan_stays_nan() -> None:
    layers = make_layers([1.0] * 4)
    chain = chain_rule(NetworkConfig(3), replace(layers, delta_norm=np.array([0.0, 0.0, 2.0, 4.0])))
    assert chain.factor.tolist() == [None, 0.0, 0.5, None]
    assert chain.product.tolist() == [0.0, 0.0, 0.5, 1.0]
    chain = chain_rule(NetworkConfig(3), replace(layers, delta_norm=np.array([1.0, np.nan, 2.0, 4.0])))
    assert np.isnan(chain.factor[0])
    assert np.isnan(chain.factor[1])
    assert chain.factor[2] == 0.5


def test_a_slope_of_0_leaves_the_weights_part_unknown() -> None:
    layers = replace(make_layers([1.0] * 3), derivative_rms=np.array([0.0, 0.5, 1.0]))
    assert chain_rule(NetworkConfig(2), layers).weights.tolist() == [None, 2.0, None]
