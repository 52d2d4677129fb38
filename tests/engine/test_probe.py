"""What if: a probe gives the measurements of a run with that change."""

import math
from dataclasses import replace

import pytest

from engine.backend import select_backend
from engine.changes import Probe
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.probe import probe
from engine.trainer import Trainer

NETWORK = NetworkConfig(hidden_layers=10, width=32)
TRAINING = TrainingConfig(batch_size=64)


@pytest.fixture(scope="module")
def probes() -> list[Probe]:
    return list(probe(NETWORK, TRAINING, load_dataset("digits"), select_backend("numpy")))


def test_each_change_is_measured_once(probes: list[Probe]) -> None:
    changes = [(found.setting, found.value) for found in probes]
    assert len(changes) == len(set(changes)) == 2 + 9 + 9
    assert ("activation", "sigmoid") not in changes


@pytest.mark.parametrize(
    "change",
    [
        {"batch_norm": True},
        {"skip_connections": True},
        {"activation": "relu"},
        {"initialization": "standard_normal"},
    ],
)
def test_a_probe_has_the_values_of_the_changed_run(probes: list[Probe], change: dict[str, bool | str]) -> None:
    ((setting, value),) = change.items()
    (found,) = (found for found in probes if (found.setting, found.value) == (setting, value))
    trainer = Trainer(
        replace(NETWORK, **change),  # type: ignore[arg-type]
        TRAINING,
        load_dataset("digits"),
        select_backend("numpy"),
    )
    norms = trainer.measure().layers.grad_norm
    assert found.gradient_ratio == norms[0] / norms[-1]
    trainer.step()
    updates = trainer.measure().layers.update_ratio
    assert found.update_ratio == pytest.approx(updates[0] / updates[-1], rel=1e-6)


def test_relu_and_batch_norm_feed_the_first_layer_more(probes: list[Probe]) -> None:
    ratios = {(found.setting, found.value): found.gradient_ratio for found in probes}
    assert ratios["batch_norm", True] > 1e4 * ratios["initialization", "lecun_normal"]
    assert ratios["activation", "relu"] > 1e4 * ratios["initialization", "lecun_normal"]


def test_a_change_that_is_not_possible_is_unknown() -> None:
    single = TrainingConfig(batch_size=1)
    found = {
        (entry.setting, entry.value): entry
        for entry in probe(NETWORK, single, load_dataset("digits"), select_backend("numpy"))
    }
    assert math.isnan(found["batch_norm", True].gradient_ratio)
    assert found["activation", "relu"].gradient_ratio > 0
