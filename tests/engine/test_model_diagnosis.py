"""The verdict on your own model: layers by name, unknown values ignored, cures in the words of the framework."""

from dataclasses import replace

import numpy as np
import pytest

from engine.health import layer_health, output_norm
from engine.model_diagnosis import PYTORCH, ModelLayer, diagnose_model
from engine.telemetry import LAYER_FIELDS, LayerMeasurements
from engine.verdict import PERSISTENCE

LAYERS = [
    ModelLayer("features.0", "Conv2d", "ReLU", units=16),
    ModelLayer("features.1", "BatchNorm2d", units=16),
    ModelLayer("blocks.3.fc", "Linear", "Sigmoid", units=32),
    ModelLayer("head", "Linear", units=10),
]


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


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        (
            (0.1, 0.2, 0.3, 1.0),
            "healthy: every layer learns; features.0 (Conv2d) gets the least, 0.1 of what the output layer gets",
        ),
        ((1e-9, 0.2, 1e-5, 1.0), "vanishing: features.0 (Conv2d) gets 1e-09 of what the output layer gets"),
        ((1.0, 0.2, 0.0, 1.0), "vanished: blocks.3.fc (Linear) gets a gradient of exactly 0"),
        ((1.0, 0.2, 2e3, 1.0), "exploding: the gradient norm of blocks.3.fc (Linear) is 2e+03"),
        ((1.0, float("nan"), 1.0, 1.0), "non-finite: the gradient of features.1 (BatchNorm2d) is NaN or ∞"),
        # a layer without a gradient is ignored; the others are compared to the last one that has a gradient
        (
            (None, 0.2, 0.5, 1.0),
            "healthy: every layer learns; features.1 (BatchNorm2d) gets the least, 0.2 of what the output layer gets",
        ),
        ((1e-9, None, 1.0, None), "vanishing: features.0 (Conv2d) gets 1e-09 of what the output layer gets"),
    ],
)
def test_a_verdict_names_the_layer_as_the_model_does(norms: tuple[float | None, ...], message: str) -> None:
    assert diagnose_model(LAYERS, PYTORCH, [measured(*norms)]).message == message


@pytest.mark.parametrize(
    ("norms", "cures"),
    [
        (
            (1e-9, 1.0, 1.0, 1.0),
            ["nn.init.kaiming_normal_(model.features[0].weight)", "nn.BatchNorm2d(16) after features.0"],
        ),
        (
            (1.0, 1.0, 1e-9, 1.0),
            [
                "nn.ReLU() rather than nn.Sigmoid() after blocks.3.fc",
                "nn.init.kaiming_normal_(model.blocks[3].fc.weight)",
                "nn.BatchNorm1d(32) after blocks.3.fc",
            ],
        ),
        ((1.0, 1e-9, 1.0, 1.0), []),
        (
            (1.0, 1.0, 1.0, 1e5),
            [
                "nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step()",
                "a smaller lr",
                "nn.BatchNorm1d(10) after head",
            ],
        ),
    ],
)
def test_cures_are_lines_of_pytorch_for_that_layer(norms: tuple[float, ...], cures: list[str]) -> None:
    verdict = diagnose_model(LAYERS, PYTORCH, [measured(*norms)])
    assert [cure.text for cure in verdict.cures] == cures
    assert {cure.setting for cure in verdict.cures} <= {None}


def test_dead_saturated_and_frozen_must_persist_and_have_their_own_cures() -> None:
    healthy = (1.0, 1.0, 1.0, 1.0)
    for kind, fields, words in (
        ("dead", {"dead": [1.0, None, None, None]}, "nn.LeakyReLU() rather than nn.ReLU() after features.0"),
        ("saturated", {"saturated": [None, None, 0.9, None]}, "nn.init.xavier_normal_(model.blocks[3].fc.weight)"),
        ("frozen", {"update_ratio": [1e-3, 1e-3, 1e-9, 1e-3]}, "a larger lr"),
    ):
        recent = [measured(*healthy, **fields)] * PERSISTENCE
        assert diagnose_model(LAYERS, PYTORCH, recent[1:]).kind == "healthy"
        verdict = diagnose_model(LAYERS, PYTORCH, recent)
        assert verdict.kind == kind
        assert verdict.cures[0].text == words


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
    verdict = diagnose_model(LAYERS, "JAX", [measured(*norms, **fields)] * PERSISTENCE)
    assert verdict.kind != "healthy"
    assert verdict.cures
    assert not any("nn." in cure.text for cure in verdict.cures)


def test_a_model_of_one_layer_and_one_without_a_known_gradient_have_a_verdict() -> None:
    assert diagnose_model(LAYERS[:1], PYTORCH, [measured(0.5)]).kind == "healthy"
    unknown = measured(None, None, None, None)
    assert "no layer's gradient is known" in diagnose_model(LAYERS, PYTORCH, [unknown]).message
    assert np.isnan(output_norm(unknown.grad_norm))
    assert layer_health(measured(1.0, None, 1e-9, None).grad_norm) == ["exploding", "unknown", "learning", "unknown"]


def test_an_extreme_that_is_not_finite_counts_by_itself() -> None:
    spiked = replace(measured(1.0, 1.0, 1.0, 1.0), grad_norm_max=np.array([1.0, np.inf, 1.0, 1.0]))
    assert diagnose_model(LAYERS, PYTORCH, [spiked]).kind == "non-finite"
