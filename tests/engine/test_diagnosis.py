"""From norms to a verdict."""

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.config import NetworkConfig, TrainingConfig
from engine.diagnosis import diagnose
from engine.health import layer_health
from engine.progress import Learning, Trend
from engine.telemetry import LayerMeasurements
from engine.verdict import BOUNDS, PERSISTENCE, Change, Verdict
from tests.engine.conftest import MakeTrainer

SIGMOID = NetworkConfig(hidden_layers=3, width=6)
TRAINING = TrainingConfig()


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
            "starting: the gradient reaches every layer, and nothing is learned yet; layer 2 gets the least gradient, "
            "0.4 of what the output layer gets",
        ),
        ([3e-14, 1e-9, 1e-4, 1.0], "vanishing: layer 1 gets 3e-14 of what the output layer gets"),
        ([0.0, 0.0, 1e-4, 1.0], "vanished: 2 layers, layer 1 the first, get a gradient of exactly 0"),
        ([1e-4, 0.0, 1e-4, 1.0], "vanished: layer 2 gets a gradient of exactly 0"),
        ([0.0, 0.0, 0.0, 0.0], "vanished: not even the output layer gets a gradient"),
        ([20.0, 3.0, 1.0, 0.01], "exploding: layer 1 gets 2e+03 times what the output layer gets"),
        ([5e4, 3.0, 1.0, 1e3], "exploding: the gradient norm of layer 1 is 5e+04"),
        ([1.0, np.nan, 1.0, 1.0], "non-finite: the gradient of layer 2 is NaN or ∞"),
        ([1.0, 1.0, 1.0, np.inf], "non-finite: the gradient of the output layer is NaN or ∞"),
    ],
)
def test_a_verdict_names_the_layer_and_the_number(layers: LayerMeasurements, norms: list[float], message: str) -> None:
    verdict = diagnose(SIGMOID, TRAINING, [with_norms(layers, norms)])
    assert verdict.message == message
    assert verdict.message.startswith(verdict.kind)


def test_a_nan_between_two_measurements_counts(layers: LayerMeasurements) -> None:
    spiked = replace(with_norms(layers, [1.0] * 4), grad_norm_max=np.array([1.0, np.nan, 1.0, 1.0]))
    assert diagnose(SIGMOID, TRAINING, [spiked]).kind == "non-finite"


def test_cures_are_single_changes_that_are_not_made_yet(layers: LayerMeasurements) -> None:
    starved = with_norms(layers, [1e-9, 1e-6, 1e-4, 1.0])
    assert [cure.setting for cure in diagnose(SIGMOID, TRAINING, [starved]).cures] == [
        "batch_norm",
        "skip_connections",
        "activation",
    ]
    cured = replace(SIGMOID, batch_norm=True, activation="relu")
    assert [cure.setting for cure in diagnose(cured, TRAINING, [starved]).cures] == [
        "skip_connections",
        "initialization",
    ]


def learning(trend: Trend, step: int = 100, now: float = 2.3, **fields: float) -> Learning:
    """What the losses of ten classes say."""
    known = {"initial": 2.3, "guess": math.log(10), "gained": 1 - now / math.log(10), "accuracy": 0.1} | fields
    return Learning(trend, step, now=now, knows_guess=True, **known)


def test_a_healthy_network_needs_no_cure(layers: LayerMeasurements) -> None:
    even = [with_norms(layers, [1.0] * 4)]
    verdict = diagnose(SIGMOID, TRAINING, even, learning("learning", now=0.5, accuracy=0.9))
    assert (verdict.kind, verdict.cures) == ("healthy", ())
    assert verdict.message.startswith("healthy: the loss went from 2.3 to 0.5; layer 1 gets the least gradient, 1 of")


def test_a_network_that_learns_is_healthy_however_little_gradient_a_layer_gets(layers: LayerMeasurements) -> None:
    weak = [with_norms(layers, [1e-4, 0.1, 0.5, 1.0])]
    assert diagnose(SIGMOID, TRAINING, weak, learning("learning", now=0.5, accuracy=0.9)).kind == "healthy"
    assert diagnose(SIGMOID, TRAINING, weak, learning("falling", now=2.2)).kind == "starting"
    assert diagnose(SIGMOID, TRAINING, weak, learning("flat")).kind == "vanishing"


@pytest.mark.parametrize(
    ("kind", "trend", "fields"),
    [
        ("not-learning", "flat", {}),
        ("rate-too-small", "flat", {"update_ratio": [1e-6] * 4}),
        ("rate-too-large", "oscillating", {"update_ratio": [0.1] * 4}),
        ("oscillating", "oscillating", {}),
        ("diverging", "diverging", {}),
    ],
)
def test_a_network_at_chance_is_not_healthy_however_sound_the_gradient(
    layers: LayerMeasurements, kind: str, trend: Trend, fields: dict[str, list[float]]
) -> None:
    known = {"update_ratio": [1e-3] * 4} | fields
    verdict = diagnose(SIGMOID, TRAINING, [with_shares(layers, **known)] * 3, learning(trend))
    assert verdict.kind == kind
    assert verdict.cures
    assert verdict.message.endswith("after 100 steps the loss is 2.3, that of guessing 2.3")


def test_few_steps_and_few_right_answers_are_no_alarm(layers: LayerMeasurements) -> None:
    even = [with_shares(layers, update_ratio=[1e-3] * 4)] * 3
    assert diagnose(SIGMOID, TRAINING, even, learning("starting", step=10)).kind == "starting"
    slow = learning("learning", now=1.9, accuracy=0.3)
    assert diagnose(SIGMOID, TRAINING, even, slow).kind == "starting"
    assert diagnose(SIGMOID, TRAINING, even, replace(slow, step=500)).kind == "healthy"


def test_weight_decay_that_pulls_harder_than_the_gradient_is_named(layers: LayerMeasurements) -> None:
    training = TrainingConfig(weight_decay=1.0)
    heavy = replace(with_shares(layers, update_ratio=[1e-3] * 4), weight_norm=np.full(4, 8.0))
    assert diagnose(SIGMOID, training, [heavy] * 3, learning("flat")).kind == "weight-decay-dominates"
    assert diagnose(SIGMOID, TRAINING, [heavy] * 3, learning("flat")).kind == "not-learning"


def test_validation_accuracy_that_drifts_away_is_overfitting(layers: LayerMeasurements) -> None:
    even = [with_norms(layers, [1.0] * 4)]
    lost = learning("learning", step=500, now=0.01, accuracy=1.0, validation_lost=0.08)
    assert diagnose(SIGMOID, TRAINING, even, lost).kind == "overfitting"


def test_every_layer_has_a_word() -> None:
    norms = np.array([0.0, 1e-12, 1e-5, 0.5, 1e5, np.nan, np.inf, 1.0])
    healthy = Verdict("healthy", "")
    assert layer_health(np.array([999.0, 2e3, 1e4]), healthy) == ["learning", "exploding", "exploding"]
    words = ["zero", "vanished", "weak", "learning", "exploding", "NaN", "infinite", "learning"]
    assert layer_health(norms, healthy) == words
    assert layer_health(np.array([0.5, 1.0]), Verdict("not-learning", "")) == ["reached", "reached"]


def test_the_default_network_is_vanishing_and_names_the_keys_cures(digits_trainer: MakeTrainer) -> None:
    trainer = digits_trainer()
    verdict = diagnose(trainer.network.config, trainer.training, [trainer.measure().layers])
    assert verdict.kind == "vanishing"
    assert [cure.setting for cure in verdict.cures] == ["batch_norm", "skip_connections", "activation"]


def with_shares(layers: LayerMeasurements, **fields: list[float]) -> LayerMeasurements:
    masked = {name: np.ma.MaskedArray(values, mask=np.isnan(values)) for name, values in fields.items()}
    return replace(with_norms(layers, [1.0] * 4), **masked)


@pytest.mark.parametrize(
    ("field", "values", "message", "settings"),
    [
        (
            "saturated",
            [0.1, 0.8, 0.6, np.nan],
            "saturated: in layer 2, 80 % of its units are on the flat ends of φ",
            ["batch_norm", "activation"],
        ),
        (
            "dead",
            [0.2, 0.95, 0.1, np.nan],
            "dead: in layer 2, 95 % of its units are 0 for the whole batch",
            ["batch_norm", "learning_rate"],
        ),
        (
            "update_ratio",
            [1e-3, 3e-9, 1e-8, 1e-2],
            "frozen: an update moves the weights of layer 2 by 3e-09 of their size",
            ["learning_rate", "batch_norm", "skip_connections", "activation"],
        ),
    ],
)
def test_what_one_batch_may_show_by_chance_must_persist(
    layers: LayerMeasurements, field: str, values: list[float], message: str, settings: list[str]
) -> None:
    ill, well = with_shares(layers, **{field: values}), with_norms(layers, [1.0] * 4)
    for recent in ([ill] * (PERSISTENCE - 1), [ill, well, ill], [ill, ill, well]):
        assert diagnose(SIGMOID, TRAINING, recent).is_calm
    verdict = diagnose(SIGMOID, TRAINING, [well, *[ill] * PERSISTENCE])
    assert verdict.message == message
    assert [cure.setting for cure in verdict.cures] == settings


def test_the_evidence_names_layers_field_value_and_bound(layers: LayerMeasurements) -> None:
    (evidence,) = diagnose(SIGMOID, TRAINING, [with_norms(layers, [1e-9, 1e-6, 0.1, 1.0])]).evidence
    assert (evidence.layers, evidence.field, evidence.bound) == ((0, 1), "grad_norm", BOUNDS["vanishing"].value)
    assert evidence.value == pytest.approx(1e-9)


def test_a_cure_of_the_learning_rate_has_the_new_rate(layers: LayerMeasurements) -> None:
    large, small = (
        diagnose(SIGMOID, TRAINING, recent).cures
        for recent in (
            [with_norms(layers, [5e4, 1.0, 1.0, 1.0])],
            [with_shares(layers, update_ratio=[1e-9] * 4)] * PERSISTENCE,
        )
    )
    assert [cure.value for cure in large if cure.setting == "learning_rate"] == [pytest.approx(0.01)]
    assert [cure.value for cure in small if cure.setting == "learning_rate"] == [pytest.approx(1.0)]


def test_every_bound_has_its_source() -> None:
    assert all(bound.value > 0 and bound.source for bound in BOUNDS.values())


def test_units_that_died_are_found_in_a_real_run(digits_trainer: MakeTrainer) -> None:
    # with a far too large rate, every unit of some layers stays below 0 forever
    training = TrainingConfig(optimizer="adam", learning_rate=0.3)
    trainer = digits_trainer(training, activation="relu", initialization="he_normal", hidden_layers=4)
    recent = []
    for _ in range(40):
        trainer.step()
        recent.append(trainer.measure().layers)
    assert diagnose(trainer.network.config, trainer.training, recent).kind == "dead"


def test_saturation_is_found_in_a_real_network(digits_trainer: MakeTrainer) -> None:
    trainer = digits_trainer(activation="tanh", initialization="standard_normal", hidden_layers=1)
    assert diagnose(trainer.network.config, trainer.training, [trainer.measure().layers] * 3).kind == "saturated"


@pytest.mark.parametrize(
    ("norms", "fields", "evidence"),
    [
        ([0.0, 0.0, 1e-4, 1.0], {}, ((0, 1), "grad_norm", 0.0, None)),
        ([0.0] * 4, {}, ((0, 1, 2, 3), "grad_norm", 0.0, None)),
        ([5e4, 3.0, 2e3, 1e3], {}, ((0, 2), "grad_norm", 5e4, 1e3)),
        ([20.0, 30.0, 1.0, 0.01], {}, ((0, 1), "grad_norm", 3e3, 1e3)),
        ([1.0, np.nan, np.inf, 1.0], {}, ((1, 2), "grad_norm_max", np.nan, None)),
        ([1.0] * 4, {"saturated": [0.1, 0.8, 0.6, np.nan]}, ((1, 2), "saturated", 0.8, 0.5)),
        ([1.0] * 4, {"dead": [0.95, 0.99, 0.1, np.nan]}, ((0, 1), "dead", 0.99, 0.9)),
        ([1.0] * 4, {"update_ratio": [1e-3, 3e-9, 1e-8, np.nan]}, ((1, 2), "update_ratio", 3e-9, 1e-7)),
    ],
    ids=["vanished", "all vanished", "exploding", "exploding relatively", "non-finite", "saturated", "dead", "frozen"],
)
def test_every_kind_of_verdict_has_its_evidence(
    layers: LayerMeasurements,
    norms: list[float],
    fields: dict[str, list[float]],
    evidence: tuple[tuple[int, ...], str, float, float | None],
) -> None:
    ill = with_norms(with_shares(layers, **fields), norms)
    (found,) = diagnose(SIGMOID, TRAINING, [ill] * PERSISTENCE).evidence
    places, field, value, bound = evidence
    assert (found.layers, found.field, found.bound) == (places, field, bound)
    assert found.value == pytest.approx(value, nan_ok=True)


def cures_of(verdict: Verdict) -> list[tuple[str | None, object, str]]:
    return [(cure.setting, cure.value, cure.text) for cure in verdict.cures]


def test_every_cure_has_its_value_and_its_words(layers: LayerMeasurements) -> None:
    tanh = replace(SIGMOID, activation="tanh", initialization="standard_normal")
    saturated = with_shares(layers, saturated=[0.1, 0.8, 0.6, np.nan])
    assert cures_of(diagnose(tanh, TRAINING, [saturated] * PERSISTENCE)) == [
        ("batch_norm", True, "BatchNorm on"),
        ("initialization", "xavier_normal", "initialization xavier_normal"),
        ("activation", "relu", "activation relu"),
    ]
    dead = with_shares(layers, dead=[0.1, 0.95, 0.6, np.nan])
    relu = replace(SIGMOID, activation="relu", batch_norm=True)
    assert cures_of(diagnose(relu, TRAINING, [dead] * PERSISTENCE)) == [
        ("skip_connections", True, "skip connections on"),
        ("activation", "leaky_relu", "activation leaky_relu"),
        ("learning_rate", pytest.approx(0.01), "a smaller learning rate"),
    ]
    frozen = with_shares(layers, update_ratio=[1e-9] * 4)
    assert cures_of(diagnose(relu, TRAINING, [frozen] * PERSISTENCE))[0] == (
        "learning_rate",
        pytest.approx(1.0),
        "a larger learning rate",
    )
    exploding = with_norms(layers, [5e4, 1.0, 1.0, 1.0])
    assert cures_of(diagnose(SIGMOID, TRAINING, [exploding])) == [
        ("batch_norm", True, "BatchNorm on"),
        ("learning_rate", pytest.approx(0.01), "a smaller learning rate"),
    ]


def test_a_very_deep_or_slow_network_needs_several_changes_at_once(layers: LayerMeasurements) -> None:
    starved = [with_norms(layers, [1e-9, 1e-6, 1e-4, 1.0])]
    skip, rate = Change("skip_connections", True), Change("learning_rate", 0.1)
    slow = replace(TRAINING, learning_rate=0.003)
    for network, training, also, text in (
        (replace(SIGMOID, hidden_layers=50), TRAINING, (skip,), "BatchNorm and skip connections on"),
        (SIGMOID, slow, (skip, rate), "BatchNorm and skip connections on, learning rate 0.1"),
    ):
        first, *others = diagnose(network, training, starved).cures
        assert (first.setting, first.also, first.text) == ("batch_norm", also, text)
        assert "skip_connections" not in [cure.setting for cure in others]
    first = diagnose(replace(SIGMOID, batch_norm=True), slow, starved).cures[0]
    assert (first.setting, first.value) == ("learning_rate", 0.1)


def test_large_updates_put_a_half_learned_network_in_doubt(layers: LayerMeasurements) -> None:
    half = learning("learning", now=0.9, accuracy=0.7)
    for update, kind in ((1e-3, "healthy"), (0.1, "starting")):
        assert diagnose(SIGMOID, TRAINING, [with_shares(layers, update_ratio=[update] * 4)], half).kind == kind
