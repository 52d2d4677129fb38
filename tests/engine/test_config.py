"""Every wrong value has a message that names it and says which values are valid."""

from typing import Any

import pytest

from engine.activations import ACTIVATIONS
from engine.config import (
    ACTIVATION_NAMES,
    DATASET_NAMES,
    INITIALIZATION_NAMES,
    OPTIMIZER_NAMES,
    NetworkConfig,
    TrainingConfig,
    check_together,
)
from engine.datasets import BUILT_IN
from engine.errors import UsageError
from engine.initializers import INITIALIZERS
from engine.optimizers import OPTIMIZERS


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hidden_layers": 0}, "hidden_layers: 0 is out of range; it takes a whole number from 1 to 10000"),
        ({"hidden_layers": 2.5}, "hidden_layers: 2.5 is out of range"),
        ({"hidden_layers": True}, "hidden_layers: True is out of range"),
        ({"width": -1}, "width: -1 is out of range"),
        ({"activation": "sigmod"}, 'activation: no activation "sigmod"; did you mean "sigmoid"?'),
        ({"activation": 3}, 'activation: no activation "3"; it may be sigmoid, tanh'),
        ({"initialization": "he"}, 'initialization: no initialization "he"'),
        ({"batch_norm": "yes"}, "batch_norm: 'yes' is neither true nor false"),
        ({"weight_variance": 0.0}, "weight_variance: 0.0 is out of range; it takes a number above 0"),
        ({"bias_variance": -0.1}, "bias_variance: -0.1 is out of range; it takes a number from 0"),
        ({"dtype": "float16"}, 'dtype: no dtype "float16": a gradient below 6e-8 is 0 in it'),
        ({"dtype": "int"}, 'dtype: no dtype "int"'),
    ],
)
def test_a_wrong_network_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        NetworkConfig(**values)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"batch_size": 0}, "batch_size: 0 is out of range"),
        ({"optimizer": "sdg"}, 'optimizer: no optimizer "sdg"; did you mean "sgd"?'),
        ({"learning_rate": "x"}, "learning_rate: 'x' is out of range; it takes a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: nan is out of range"),
        ({"learning_rate": float("inf")}, "learning_rate: inf is out of range"),
        ({"momentum": 1.0}, "momentum: 1.0 is out of range; it takes a number from 0 and below 1"),
        ({"weight_decay": -1.0}, "weight_decay: -1.0 is out of range"),
        ({"gradient_clip": 0.0}, "gradient_clip: 0.0 is out of range"),
        ({"seed": -1}, "seed: -1 is out of range"),
    ],
)
def test_wrong_training_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        TrainingConfig(**values)
    assert str(refusal.value).startswith(sentence)


def test_batch_norm_needs_more_than_one_sample() -> None:
    with pytest.raises(UsageError, match="batch_size: 1 with BatchNorm"):
        check_together(NetworkConfig(batch_norm=True), TrainingConfig(batch_size=1))


def test_the_names_are_those_of_the_tables() -> None:
    assert tuple(ACTIVATIONS) == ACTIVATION_NAMES
    assert tuple(INITIALIZERS) == INITIALIZATION_NAMES
    assert tuple(OPTIMIZERS) == OPTIMIZER_NAMES
    assert tuple(BUILT_IN) == DATASET_NAMES
