"""The verdict on your own model: layers by name, unknown values ignored, cures for the whole model."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.health import layer_health, output_norm, reference_norm
from engine.model_diagnosis import PYTORCH, ModelDiagnosis, ModelLayer
from engine.observations import LossFunction, Observations, Targets
from engine.telemetry import LAYER_FIELDS, LayerMeasurements
from engine.verdict import PERSISTENCE, Change, Verdict
from tests.models import judge

LAYERS = [
    ModelLayer("features.0", "Conv2d", "ReLU", units=16),
    ModelLayer("features.1", "BatchNorm2d", units=16, is_matrix=False),
    ModelLayer("blocks.3.fc", "Linear", "Sigmoid", units=32),
    ModelLayer("head", "Linear", units=10),
]
PLAIN = [ModelLayer(f"{index}", "Linear", "Tanh" if index < 4 else "", units=8) for index in range(5)]


def measured(*norms: float | None, **fields: list[float | None]) -> LayerMeasurements:
    given: dict[str, list[float | None]] = {
        name: list(norms) for name in ("grad_norm", "grad_norm_min", "grad_norm_max")
    }
    nothing: list[float | None] = [None] * len(norms)
    rows = {name: given.get(name, fields.get(name, nothing)) for name in LAYER_FIELDS}
    masked = {
        name: np.ma.MaskedArray([value or 0.0 for value in row], mask=[value is None for value in row])
        for name, row in rows.items()
    }
    return LayerMeasurements(**masked)


def sound(**fields: float) -> LayerMeasurements:
    """A step of PLAIN with nothing to find, but for what `fields` say of all layers."""
    values: dict[str, float] = {"weight_norm": 5.0, "update_ratio": 1e-3, "activation_mean": 0.0, "activation_std": 1.0}
    rows: dict[str, list[float | None]] = {name: [value] * 5 for name, value in (values | fields).items()}
    return measured(*[0.5] * 5, **rows)


def train(
    losses: Callable[[int], float],
    *,
    step: Callable[[], LayerMeasurements] = sound,
    steps: int = 121,
    layers: list[ModelLayer] = PLAIN,
    **observed: Any,
) -> Verdict:
    """The verdict after so many steps with these losses, of a classifier of ten classes unless told otherwise."""
    known: dict[str, Any] = {
        "loss_function": LossFunction("nll", ("LogSoftmax",), classes=10),
        "learning_rate": 0.1,
    } | observed
    diagnosis = ModelDiagnosis(layers, PYTORCH)
    seen = Observations(**known)
    verdicts = [diagnosis.add(number, step(), loss=losses(number), observed=seen) for number in range(steps)]
    return verdicts[-1]


def stuck(step: int) -> float:
    """The loss of guessing among ten classes, with the noise of batches."""
    return math.log(10) + 0.01 * math.sin(12.9898 * step)


def falling(step: int) -> float:
    return 2.3 * math.exp(-step / 50) + 0.01 * math.sin(12.9898 * step)


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        (
            (0.1, 0.2, 0.3, 1.0),
            "healthy: the gradient reaches every layer; features.0 (Conv2d) gets the least, 0.1 of what the layers "
            "next to the loss get; whether it learns is unknown without a loss",
        ),
        ((1e-9, 0.2, 1e-5, 1.0), "vanishing: features.0 (Conv2d) gets 1e-09 of the gradient that the layers next"),
        ((1.0, 0.2, 0.0, 1.0), "vanished: blocks.3.fc (Linear) gets a gradient of exactly 0"),
        ((1.0, 0.2, 2e3, 1.0), "exploding: the gradient norm of blocks.3.fc (Linear) is 2e+03"),
        # a norm's scale is no matrix, and may have any gradient
        ((1.0, 1e-9, 1.0, 1.0), "healthy: the gradient reaches every layer"),
        # a layer without a gradient is ignored; the others are compared to the last one that has a gradient
        ((None, 0.2, 0.5, 1.0), "healthy: the gradient reaches every layer; blocks.3.fc (Linear) gets the least, 0.5"),
        ((1e-9, None, 1.0, None), "vanishing: features.0 (Conv2d) gets 1e-09 of the gradient"),
    ],
)
def test_a_verdict_names_the_layer_as_the_model_does(norms: tuple[float | None, ...], message: str) -> None:
    assert judge(LAYERS, PYTORCH, [measured(*norms)]).message.startswith(message)


def test_cures_are_for_the_whole_model_and_say_what_a_machine_can_change() -> None:
    verdict = judge(PLAIN, PYTORCH, [measured(1e-9, 1e-6, 1e-3, 1.0, 1.0)])
    first, second = verdict.cures[:2]
    assert first.text == (
        "nn.ReLU() in place of nn.Tanh() after all 4 hidden layers, and He initialization with it (either alone does "
        "not help)"
    )
    assert first.also == (Change("activation", "Tanh>ReLU"), Change("initialization", "kaiming_normal_"))
    assert second.also == (Change("normalization", "BatchNorm"),)
    assert {cure.setting for cure in verdict.cures} <= {None}


def test_a_transformer_gets_no_batch_norm_and_no_initialization_of_query_and_key_alone() -> None:
    layers = [ModelLayer(f"layers.{index}.self_attn", "MultiheadAttention", units=32) for index in range(5)]
    verdict = judge(layers, PYTORCH, [measured(1e-9, 1e-6, 1e-3, 1.0, 1.0)])
    assert verdict.kind == "vanishing"
    assert verdict.cures
    assert not any("BatchNorm" in cure.text or "initialization" in cure.text for cure in verdict.cures)


def test_dead_saturated_and_frozen_must_persist() -> None:
    healthy = (1.0, 1.0, 1.0, 1.0)
    for kind, fields in (
        ("dead", {"dead": [1.0, None, None, None]}),
        ("saturated", {"saturated": [None, None, 0.9, None]}),
        ("frozen", {"update_ratio": [1e-3, 1e-3, 1e-9, 1e-3]}),
    ):
        recent = [measured(*healthy, **fields)] * PERSISTENCE
        assert judge(LAYERS, PYTORCH, recent[1:]).kind == "healthy"
        verdict = judge(LAYERS, PYTORCH, recent)
        assert verdict.kind == kind
        assert verdict.cures


@pytest.mark.parametrize(
    ("norms", "fields"),
    [
        ((1.0, 1.0, 1e-9, 1.0), {}),
        ((1.0, 1.0, 1e9, 1.0), {}),
        ((1.0,) * 4, {"dead": [1.0] * 4}),
        ((1.0,) * 4, {"saturated": [1.0] * 4}),
        ((1.0,) * 4, {"update_ratio": [1e-12] * 4}),
    ],
)
def test_other_frameworks_get_plain_words(norms: tuple[float, ...], fields: dict[str, list[float | None]]) -> None:
    verdict = judge(LAYERS, "JAX", [measured(*norms, **fields)] * PERSISTENCE)
    assert verdict.kind != "healthy"
    assert verdict.cures
    assert not any("nn." in cure.text for cure in verdict.cures)


def test_a_model_of_one_layer_and_one_without_a_known_gradient_have_a_verdict() -> None:
    assert judge(LAYERS[:1], PYTORCH, [measured(0.5)]).kind == "healthy"
    unknown = measured(None, None, None, None)
    assert "no layer's gradient is known" in judge(LAYERS, PYTORCH, [unknown]).message
    assert np.isnan(output_norm(unknown.grad_norm))
    norms = measured(1.0, None, 1e-9, None).grad_norm
    assert layer_health(norms, Verdict("healthy", "")) == ["exploding", "unknown", "learning", "unknown"]


def test_a_small_head_that_comes_last_is_not_the_reference() -> None:
    norms = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1e-5])
    assert reference_norm(norms, [True] * 7) == 0.9
    layers = [ModelLayer(str(index), "Linear") for index in range(7)]
    assert judge(layers, PYTORCH, [measured(*norms.tolist())]).kind != "exploding"


def test_an_extreme_that_is_not_finite_counts_by_itself() -> None:
    spiked = replace(measured(1.0, 1.0, 1.0, 1.0), grad_norm_max=np.array([1.0, np.inf, 1.0, 1.0]))
    assert judge(LAYERS, PYTORCH, [spiked]).kind == "non-finite"


def test_a_layer_is_learning_only_where_something_is_learned() -> None:
    norms = np.array([1.0, 1.0])
    assert layer_health(norms, Verdict("healthy", "")) == ["learning"] * 2
    assert layer_health(norms, Verdict("not-learning", "")) == ["reached"] * 2
    assert layer_health(norms, Verdict("starting", ""), [True, True], ("frozen", "trained")) == ["frozen", "reached"]


def test_nothing_learned_is_no_health_however_sound_the_gradient() -> None:
    verdict = train(stuck)
    assert verdict.kind == "not-learning"
    assert "the loss is 2.3, that of guessing 2.3" in verdict.message
    assert verdict.cures
    assert train(stuck, steps=20).kind == "starting"
    assert train(falling).kind == "healthy"


def vanishing() -> LayerMeasurements:
    return measured(1e-9, 1e-7, 1e-5, 1e-2, 1.0, update_ratio=[1e-3] * 5, weight_norm=[5.0] * 5)


def huge() -> LayerMeasurements:
    return measured(*[1e5] * 5, update_ratio=[1e-3] * 5, weight_norm=[5.0] * 5)


def zero() -> LayerMeasurements:
    return measured(*[0.0] * 5, weight_norm=[0.0] * 5, update_ratio=[None] * 5)


def tiny() -> LayerMeasurements:
    return measured(*[1e-6] * 5, weight_norm=[5.0] * 5, update_ratio=[1e-8] * 5)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("vanishing", {"step": vanishing}),
        ("exploding", {"step": huge}),
        ("zero-weights", {"step": zero}),
        ("gradients-tiny", {"step": tiny}),
        ("dead", {"step": lambda: sound(dead=0.95)}),
        ("saturated", {"step": lambda: sound(saturated=0.8)}),
        ("rate-too-small", {"step": lambda: sound(update_ratio=1e-7)}),
        ("rate-too-large", {"step": lambda: sound(update_ratio=0.5)}),
        ("clipped-too-hard", {"step": lambda: sound(update_ratio=1e-6), "clip_factor": 1e-4}),
        ("weight-decay-dominates", {"weight_decay": 0.5, "learning_rate": 0.01}),
        ("inputs-out-of-scale", {"input_rms": 150.0}),
        ("collapsed", {"sample_spread": 1e-5}),
        ("underflow", {"is_half": True, "zero_share": 0.9}),
        ("vanishing-in-time", {"through_time": {2: np.geomspace(1e-9, 1, 50)}}),
        ("exploding-in-time", {"through_time": {2: np.geomspace(1e6, 1, 50)}}),
        ("exploding-in-time", {"through_time": {2: np.append(np.geomspace(1e6, 1, 50), 0.0)}}),  # the end is padding
        ("batch-too-small", {"norm_values": 4}),
    ],
)
def test_each_cause_is_named_where_nothing_is_learned_and_is_no_alarm_where_something_is(
    kind: str, given: dict[str, Any]
) -> None:
    found = train(stuck, **given)
    assert found.kind == kind
    assert found.cures
    assert found.evidence
    assert train(falling, **given).is_calm


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("vanishing", {"step": lambda: measured(0.2, 0.3, 0.5, 0.8, 1.0, update_ratio=[1e-3] * 5)}),
        ("dead", {"step": lambda: sound(dead=0.5)}),
        ("saturated", {"step": lambda: sound(saturated=0.3)}),
        ("rate-too-small", {"step": lambda: sound(update_ratio=1e-4)}),
        ("rate-too-large", {"step": lambda: sound(update_ratio=0.02)}),
        ("clipped-too-hard", {"clip_factor": 0.3}),
        ("weight-decay-dominates", {"weight_decay": 1e-4}),
        ("inputs-out-of-scale", {"input_rms": 1.0}),
        ("inputs-out-of-scale", {"input_rms": 150.0, "is_normalized": True}),
        ("collapsed", {"sample_spread": 0.3}),
        ("underflow", {"is_half": True, "zero_share": 0.1}),
        ("vanishing-in-time", {"through_time": {2: np.geomspace(0.1, 1, 50)}}),
        ("exploding-in-time", {"through_time": {2: np.append(np.ones(50), 0.0)}}),
        ("batch-too-small", {"norm_values": 64}),
    ],
)
def test_what_nearly_has_a_cause_is_not_given_it(kind: str, given: dict[str, Any]) -> None:
    assert train(stuck, **given).kind not in (kind, "healthy")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("unregistered", {"unregistered": ("hidden[0].weight",)}),
        ("not-connected", {"ties": ("cut", "cut", "trained", "trained", "trained")}),
        ("not-in-optimizer", {"ties": ("trained", "trained", "trained", "trained", "forgotten")}),
        ("gradients-accumulate", {"accumulates": True}),
        ("batch-too-small", {"norm_values": 2}),
        ("shapes-broadcast", {"loss_function": LossFunction("mse", broadcast=((8, 1), (8, 8)))}),
        ("output-mismatch", {"loss_function": LossFunction("nll", ("LogSoftmax", "Softmax"), 10, 10)}),
        ("output-mismatch", {"loss_function": LossFunction("bce", ("Softmax",), 1)}),
        ("output-mismatch", {"loss_function": LossFunction("bce_with_logits", ("Sigmoid",))}),
        ("output-mismatch", {"loss_function": LossFunction("nll", ())}),
    ],
)
def test_a_fault_of_the_script_is_one_whatever_the_loss_does(kind: str, given: dict[str, Any]) -> None:
    for losses in (stuck, falling):
        verdict = train(losses, steps=20, **given)
        assert verdict.kind == kind
        assert verdict.cures


@pytest.mark.parametrize(
    "given",
    [
        {"ties": ("frozen", "frozen", "frozen", "trained", "trained")},
        {"ties": ("forgotten", "forgotten", "forgotten", "forgotten", "trained")},  # a head on a backbone
        {"ties": ("trained", "trained", "trained", "trained", "unused")},
        {"loss_function": LossFunction("bce", ("Sigmoid",))},
        {"loss_function": LossFunction("nll", ("LogSoftmax",), classes=10)},
        {"loss_function": LossFunction("mse", ("Sigmoid",), is_direct=True), "targets": Targets(0.0, 1.0, 0.5, 0.25)},
    ],
)
def test_what_is_meant_that_way_is_calm(given: dict[str, Any]) -> None:
    assert train(falling, **given).is_calm


def test_an_output_that_cannot_reach_its_targets_is_named_with_both_ranges() -> None:
    function = LossFunction("mse", ("Sigmoid",), is_direct=True)
    verdict = train(lambda _: 800.0, loss_function=function, targets=Targets(0.0, 50.0, 833.0, 208.0), steps=20)
    assert verdict.kind == "output-mismatch"
    assert "gives 0 to 1, and the targets go from 0 to 50" in verdict.message


def test_targets_a_thousand_times_as_large_as_outputs_are_out_of_scale() -> None:
    function = LossFunction("mse", is_direct=True)
    targets = Targets(-1e6, 1e6, 1e12, 1e12)
    assert train(lambda _: 1e12, loss_function=function, targets=targets).kind == "targets-out-of-scale"


def test_nan_at_a_sound_scale_is_not_an_explosion_and_clipping_is_no_cure() -> None:
    diagnosis = ModelDiagnosis(PLAIN, PYTORCH)
    seen = Observations(loss_function=LossFunction("", singular=("sqrt",)))
    for step in range(5):
        diagnosis.add(step, sound(), loss=2.0, observed=seen)
    broken = measured(*[float("nan")] * 5, activation_mean=[0.0] * 5)
    verdict = diagnosis.add(5, broken, loss=2.0, observed=seen)
    assert verdict.kind == "non-finite"
    assert "all outputs are finite" in verdict.message
    assert "sqrt" in verdict.cures[0].text
    # the numbers that follow say nothing of the cause
    assert (
        diagnosis.add(6, measured(*[float("nan")] * 5, activation_mean=[float("nan")] * 5)).message == verdict.message
    )


def test_growth_to_nan_is_an_explosion() -> None:
    diagnosis = ModelDiagnosis(PLAIN, PYTORCH)
    for step in range(8):
        norm = 0.01 * 30.0**step
        diagnosis.add(step, measured(*[norm] * 5, weight_norm=[5.0] * 5), loss=2.0 * 10.0**step)
    assert diagnosis.add(8, measured(*[float("inf")] * 5), loss=float("nan")).kind == "exploding"


def test_a_step_that_a_grad_scaler_skips_is_no_fault() -> None:
    diagnosis = ModelDiagnosis(PLAIN, PYTORCH)
    seen = Observations(has_scaler=True)
    assert diagnosis.add(0, measured(*[float("inf")] * 5), loss=2.0, observed=seen).kind != "non-finite"


def test_a_loss_that_stays_low_has_converged_and_one_whose_least_value_is_unknown_is_no_alarm() -> None:
    assert train(lambda step: falling(3 * step) if step < 300 else 0.001, steps=500).kind == "converged"
    assert train(lambda step: 0.7 + 0.1 * math.sin(step), loss_function=None).kind == "healthy"


def test_validation_accuracy_that_drifts_away_is_overfitting() -> None:
    diagnosis = ModelDiagnosis(PLAIN, PYTORCH)
    for step in range(120):
        accuracy = 0.9 - max(0, step - 60) * 0.002
        verdict = diagnosis.add(step, sound(), loss=falling(step), validation_accuracy=accuracy)
    assert verdict.kind == "overfitting"
    assert "12 points below its best" in verdict.message
