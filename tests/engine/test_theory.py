"""Mean-field theory against an independent integrator, published values and the engine's measurements."""

import math
import time

import numpy as np
import pytest
from scipy.integrate import quad

from engine.backend import select_backend
from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES, NetworkConfig, TrainingConfig
from engine.datasets import Dataset, load_dataset
from engine.initializers import INITIALIZERS
from engine.theory import (
    Prediction,
    correlation_depth_scale,
    depth_scale,
    fixed_point,
    moments,
    predict,
    weight_and_bias_variance,
)
from engine.trainer import Trainer
from tests.engine.reference import PHI, STEP
from tests.forms import slow_but


def normal(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("variance", [0.01, 0.5555, 1.0, 9.0, 64.0])
@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_moments_match_adaptive_quadrature(activation: str, variance: float) -> None:
    def integrate(power: int, derivative: bool) -> float:
        def integrand(z: float) -> float:
            h = PHI[activation](np.array(math.sqrt(variance) * z + 1j * STEP))
            return float((h.imag / STEP if derivative else h.real) ** power) * normal(z)

        options = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 400}
        return float(quad(integrand, -10, 0, **options)[0] + quad(integrand, 0, 10, **options)[0])

    mean, mean_square, slope = moments(activation, variance)
    assert mean == pytest.approx(integrate(1, derivative=False), rel=1e-9, abs=1e-11)
    assert mean_square == pytest.approx(integrate(2, derivative=False), rel=1e-9)
    assert slope == pytest.approx(integrate(2, derivative=True), rel=1e-9)


@pytest.mark.parametrize(
    ("activation", "weight_variance", "variance", "factor"),
    [
        ("sigmoid", 1.0, 0.2647, 0.0557),
        ("sigmoid", 2.0, 0.5553, 0.1010),
        ("tanh", 2.0, 0.6180, 1.1055),
        ("relu", 2.0, 1.0, 1.0),
        ("selu", 1.0, 1.0, 1.0716),
        ("gelu", 1.0, 0.0, 0.25),
    ],
)
def test_fixed_points_match_the_table(activation: str, weight_variance: float, variance: float, factor: float) -> None:
    q, chi = fixed_point(activation, weight_variance, 0.0)
    assert q == pytest.approx(variance, abs=5e-5)
    assert chi == pytest.approx(factor, abs=5e-5)
    # the fixed point is accurate to more digits than the table has
    assert weight_variance * moments(activation, q)[1] == pytest.approx(q, rel=1e-6, abs=1e-12)


def test_closed_forms_of_relu() -> None:
    assert moments("relu", 4.0) == pytest.approx((2 / math.sqrt(2 * math.pi), 2.0, 0.5), rel=1e-12)
    mean, mean_square, slope = moments("relu", 1.0)
    assert slope / (mean_square - mean**2) == pytest.approx(math.pi / (math.pi - 1), rel=1e-12)


def test_the_depth_scale_is_where_a_norm_falls_by_e() -> None:
    assert depth_scale(math.exp(-0.5)) == pytest.approx(4)
    assert depth_scale(math.exp(0.5)) == pytest.approx(4)
    assert depth_scale(1.0) == math.inf
    assert depth_scale(0.0) == 0.0


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def measured_profile(network: NetworkConfig, data: Dataset, seeds: int) -> np.ndarray:
    """Return log10 of the gradient norms relative to the output layer's, for one sample, averaged over seeds."""
    logs = []
    for seed in range(seeds):
        trainer = Trainer(network, TrainingConfig(batch_size=1, seed=seed), data, select_backend("numpy"))
        norms = trainer.measure(validate=False).layers.grad_norm
        logs.append(np.log10(norms / norms[-1]))
    return np.asarray(np.mean(logs, axis=0))


@pytest.mark.parametrize(
    ("width", "dtype", "seeds"), [(256, "float32", 6), pytest.param(512, "float64", 10, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("initialization", ["xavier_normal", "he_normal", "lecun_normal"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "selu"])
def test_the_measured_profile_is_the_predicted_one(
    digits: Dataset, activation: str, initialization: str, width: int, dtype: str, seeds: int
) -> None:
    network = NetworkConfig(20, width, activation=activation, initialization=initialization, dtype=dtype)
    prediction = predict(network, digits.features, digits.classes, input_mean_square=61 / 64)
    assert isinstance(prediction, Prediction)
    expected = np.log10(prediction.gradient_profile)
    measured = measured_profile(network, digits, seeds)
    # 15 % of the decades between a layer and the output, but at least 15 % of one decade
    assert np.all(np.abs(measured - expected) <= 0.15 * np.maximum(np.abs(expected), 1))


def test_batch_norm_with_relu_explodes_by_1_467_a_layer(digits: Dataset) -> None:
    network = NetworkConfig(30, 512, activation="relu", initialization="he_normal", batch_norm=True)
    prediction = predict(network, digits.features, digits.classes)
    assert isinstance(prediction, Prediction)
    assert prediction.factor[:-1] == pytest.approx(math.pi / (math.pi - 1), rel=1e-9)
    growth = []
    for seed in range(3):
        trainer = Trainer(network, TrainingConfig(batch_size=128, seed=seed), digits, select_backend("numpy"))
        signals = trainer.measure(validate=False).layers.delta_norm
        growth.append((signals[3] / signals[27]) ** (2 / 24))
    assert np.mean(growth) == pytest.approx(1.467, abs=0.03)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_with_skip_connections_there_is_no_curve(batch_norm: bool) -> None:
    words = predict(NetworkConfig(skip_connections=True, batch_norm=batch_norm), 64, 10)
    assert isinstance(words, str)
    assert words.startswith("no theory: ")


NAMES, WAYS = ("sigmoid", "tanh", "relu", "selu", "gelu"), ("xavier_normal", "he_normal")
BATCHES = [[name, way] for name in NAMES for way in WAYS]
SHORT = [["sigmoid", "xavier_normal"], ["tanh", "xavier_normal"], ["relu", "he_normal"], ["gelu", "he_normal"]]


@pytest.mark.parametrize(("activation", "initialization"), slow_but(BATCHES, *SHORT))
def test_signals_and_activations_of_a_whole_batch_are_the_predicted_ones(
    digits: Dataset, activation: str, initialization: str
) -> None:
    network = NetworkConfig(12, 384, activation=activation, initialization=initialization)
    prediction = predict(network, digits.features, digits.classes, input_mean_square=61 / 64)
    assert isinstance(prediction, Prediction)
    logs, spreads = [], []
    for seed in range(4):
        trainer = Trainer(network, TrainingConfig(batch_size=128, seed=seed), digits, select_backend("numpy"))
        layers = trainer.measure(validate=False).layers
        logs.append(np.log10(layers.delta_norm / layers.delta_norm[-1]))
        spreads.append(layers.activation_std)
    expected = np.log10(prediction.signal_profile)
    assert np.all(np.abs(np.mean(logs, axis=0) - expected) <= 0.15 * np.maximum(np.abs(expected), 1))
    # gelu shrinks small signals more than large ones, so samples of different size deviate from their mean
    decades = 0.2 if activation == "gelu" else 0.1
    assert np.log10(np.mean(spreads, axis=0)[:-1]) == pytest.approx(
        np.log10(prediction.activation_spread[:-1]), abs=decades
    )


def iterated_correlation_slope(weight_variance: float, bias_variance: float) -> float:
    """Compute the slope at c* for tanh, with c* by iteration and integrals by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / math.sqrt(2 * math.pi)
    q, _ = fixed_point("tanh", weight_variance, bias_variance)
    c = 0.5
    for _ in range(2000):
        first = math.sqrt(q) * nodes[:, None]
        second = math.sqrt(q) * (c * nodes[:, None] + math.sqrt(1 - c * c) * nodes[None, :])
        c = (weight_variance * float(weights @ (np.tanh(first) * np.tanh(second)) @ weights) + bias_variance) / q
        c = min(c, 1.0)
    slopes = (1 - np.tanh(first) ** 2) * (1 - np.tanh(second) ** 2)
    return weight_variance * float(weights @ slopes @ weights)


@pytest.mark.parametrize("weight_variance", [1.0, 2.0, 3.0])
def test_the_depth_scale_of_correlations_is_that_of_their_map_at_its_fixed_point(weight_variance: float) -> None:
    slope = iterated_correlation_slope(weight_variance, 0.05)
    assert correlation_depth_scale("tanh", weight_variance, 0.05) == pytest.approx(1 / abs(math.log(slope)), rel=1e-5)


def test_below_the_edge_of_chaos_correlations_and_gradients_have_the_same_scale() -> None:
    _, chi = fixed_point("tanh", 1.25, 0.05)
    assert correlation_depth_scale("tanh", 1.25, 0.05) == pytest.approx(depth_scale(chi) / 2)


def test_a_variance_without_a_fixed_point_has_no_depth_scale() -> None:
    assert math.isnan(correlation_depth_scale("relu", 2.5, 0.0))


@pytest.mark.timing
def test_a_variance_that_changes_by_rounding_alone_is_at_its_fixed_point_at_once() -> None:
    begin = time.perf_counter()
    assert fixed_point("relu", 2.0, 0.0)[0] == pytest.approx(1.0)
    assert fixed_point("linear", 1.0, 0.0)[0] == pytest.approx(1.0)
    assert time.perf_counter() - begin < 0.5  # 100 000 iterations took 1.4 s each


@pytest.mark.parametrize("initialization", [name for name in INITIALIZATION_NAMES if name != "gaussian"])
@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 200), (200, 300)])
def test_the_variances_match_those_of_drawn_weights(initialization: str, fan_in: int, fan_out: int) -> None:
    network = NetworkConfig(initialization=initialization)
    weight, bias = weight_and_bias_variance(network, fan_in, fan_out)
    initializer, rng = INITIALIZERS[initialization], np.random.default_rng(0)
    drawn = initializer.weight(rng, (fan_in, fan_out), network)
    assert fan_in * drawn.var() == pytest.approx(weight, rel=0.02)
    biases = initializer.bias(rng, (fan_in, fan_out), network) if initializer.bias else np.zeros(fan_out)
    assert biases.var() == pytest.approx(bias, rel=0.3, abs=0)
