"""Each initialization has the mean, the variance and the bounds that its paper gives."""

import numpy as np
import pytest

from engine.config import INITIALIZATION_NAMES, NetworkConfig
from engine.initializers import INITIALIZERS

FAN_IN, FAN_OUT = 300, 200
VARIANCES = {
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_uniform": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "orthogonal": 1 / FAN_IN,
    "pytorch_default": 1 / (3 * FAN_IN),
    "gaussian": 1.5 / FAN_IN,
    "small_normal": 1e-4,
    "standard_normal": 1.0,
}


def draw(name: str, shape: tuple[int, int] = (FAN_IN, FAN_OUT)) -> np.ndarray:
    config = NetworkConfig(initialization=name, weight_variance=1.5, bias_variance=0.25)
    return INITIALIZERS[name].weight(np.random.default_rng(3), shape, config)


@pytest.mark.parametrize("name", INITIALIZATION_NAMES)
def test_mean_and_variance_are_within_four_standard_errors(name: str) -> None:
    weights = draw(name)
    count, variance = weights.size, VARIANCES[name]
    assert weights.shape == (FAN_IN, FAN_OUT)
    assert abs(weights.mean()) < 4 * np.sqrt(variance / count)
    assert abs(weights.var() / variance - 1) < 4 * np.sqrt(2 / count)


@pytest.mark.parametrize("name", ["xavier_uniform", "he_uniform", "pytorch_default"])
def test_uniform_weights_stay_within_their_bound(name: str) -> None:
    bound = np.sqrt(3 * VARIANCES[name])
    assert 0.999 * bound < np.abs(draw(name)).max() <= bound


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60)])
def test_orthogonal_weights_are_orthonormal_along_the_shorter_side(shape: tuple[int, int]) -> None:
    weights = draw("orthogonal", shape)
    product = weights.T @ weights if shape[0] >= shape[1] else weights @ weights.T
    assert product == pytest.approx(np.eye(min(shape)), abs=1e-12)


def test_only_two_initializations_draw_biases() -> None:
    assert [name for name, kind in INITIALIZERS.items() if kind.bias] == ["pytorch_default", "gaussian"]
    config = NetworkConfig(bias_variance=0.25)
    biases = INITIALIZERS["gaussian"].bias(np.random.default_rng(0), (10, 10_000), config)  # type: ignore[misc]
    assert biases.std() == pytest.approx(0.5, rel=0.03)
