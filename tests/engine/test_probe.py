"""What if: a probe gives the measurements of a run with that change, and a trial its loss after some steps."""

import math
import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from engine.backend import select_backend
from engine.changes import AS_IT_IS, ChangedValue, Probe, single_changes, with_change
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.probe import Trial, probe, try_changes
from engine.trainer import Trainer

NETWORK = NetworkConfig(hidden_layers=10, width=32)
TRAINING = TrainingConfig(batch_size=64)


@pytest.fixture(scope="module")
def probes() -> list[Probe]:
    return list(probe(NETWORK, TRAINING, load_dataset("digits"), select_backend("numpy")))


def test_each_change_is_measured_once(probes: list[Probe]) -> None:
    changes = [(found.setting, found.value) for found in probes]
    assert changes[0] == (AS_IT_IS, None)
    assert len(changes) == len(set(changes)) == 1 + 2 + 9 + 9 + 2
    assert ("activation", "sigmoid") not in changes
    assert {("learning_rate", 1.0), ("learning_rate", 0.01)} < set(changes)


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


# rates


@pytest.mark.parametrize(
    ("training", "rates"),
    [
        (TrainingConfig(), [1.0, 0.01]),
        (TrainingConfig(learning_rate=0.07), [0.7, 0.007, 0.1]),
        (TrainingConfig(optimizer="adam", learning_rate=0.5), [5.0, 0.05, 0.001]),
        (TrainingConfig(learning_rate=1e308), [1e307, 0.1]),
        (TrainingConfig(learning_rate=5e-324), [5e-323, 0.1]),
    ],
)
def test_the_rates_to_try_are_ten_times_as_large_a_tenth_and_the_usual_one(
    training: TrainingConfig, rates: list[float]
) -> None:
    assert [value for setting, value in single_changes(NETWORK, training) if setting == "learning_rate"] == rates


def test_a_change_is_of_the_network_or_of_the_training() -> None:
    assert with_change(NETWORK, TRAINING, AS_IT_IS, None) == (NETWORK, TRAINING)
    assert with_change(NETWORK, TRAINING, "batch_norm", True) == (replace(NETWORK, batch_norm=True), TRAINING)
    assert with_change(NETWORK, TRAINING, "learning_rate", 1.0) == (NETWORK, replace(TRAINING, learning_rate=1.0))
    with pytest.raises(UsageError):
        with_change(NETWORK, TRAINING, "learning_rate", math.inf)


# trials

SMALL = NetworkConfig(hidden_layers=3, width=8)
STEPS = 25


def trials(network: NetworkConfig, training: TrainingConfig = TRAINING, steps: int = STEPS) -> Iterator[Trial]:
    return try_changes(network, training, load_dataset("digits"), select_backend("numpy"), steps)


def results(of: Iterator[Trial]) -> dict[tuple[str, ChangedValue], Trial]:
    """What is known last of each change."""
    return {(trial.probe.setting, trial.probe.value): trial for trial in of}


@pytest.fixture(scope="module")
def small_trials() -> list[Trial]:
    return list(trials(SMALL))


@pytest.mark.parametrize(
    ("setting", "value"),
    [(AS_IT_IS, None), ("batch_norm", True), ("activation", "relu"), ("learning_rate", 1.0), ("learning_rate", 0.01)],
)
def test_a_trial_has_the_loss_and_accuracy_of_the_changed_run(
    small_trials: list[Trial], setting: str, value: ChangedValue
) -> None:
    found = results(iter(small_trials))[setting, value]
    trainer = Trainer(*with_change(SMALL, TRAINING, setting, value), load_dataset("digits"), select_backend("numpy"))
    measured = []
    for step in range(1, STEPS + 1):
        trainer.step()
        if step > STEPS - 10:
            measured.append(trainer.measure())
    assert found.steps == STEPS
    assert found.probe.loss == sum(entry.loss for entry in measured) / 10
    assert found.probe.accuracy == sum(entry.accuracy for entry in measured) / 10


def test_all_ratios_come_first_then_the_run_as_it_is_then_rates_then_the_best_ratio(small_trials: list[Trial]) -> None:
    ratios = [trial for trial in small_trials if not trial.steps]
    assert small_trials[: len(ratios)] == ratios
    assert [trial.number for trial in ratios] == list(range(23))
    order = [trial for trial in small_trials if trial.steps == STEPS]
    assert order[0].probe.setting == AS_IT_IS
    assert [trial.probe.setting for trial in order[1:3]] == ["learning_rate"] * 2  # as the gradient reaches layer 1
    distances = [trial.probe.ratio_distance for trial in order[3:]]
    assert distances == sorted(distances) and len(distances) == 20
    assert all(trial.probe.loss is None for trial in small_trials if trial.steps < STEPS)


def test_where_the_gradient_does_not_reach_the_first_layer_the_best_ratio_comes_before_other_rates() -> None:
    order = [trial.probe for trial in trials(NetworkConfig(hidden_layers=12, width=8), steps=1) if trial.steps]
    distances = [found.ratio_distance for found in order[1:]]
    assert order[0].ratio_distance > 3
    assert distances == sorted(distances) and order[1].setting != "learning_rate"


def test_every_slice_is_one_update(small_trials: list[Trial]) -> None:
    steps = [trial.steps for trial in small_trials[23:]]
    assert steps == list(range(1, STEPS + 1)) * 23


def test_trials_and_a_run_between_whose_steps_they_go_on_change_nothing_of_each_other(
    small_trials: list[Trial],
) -> None:
    alone, beside = (Trainer(SMALL, TRAINING, load_dataset("digits"), select_backend("numpy")) for _ in range(2))
    between = []
    for trial in trials(SMALL):
        between.append(trial)
        for _ in range(len(between) % 3):
            if beside.step_count % 7 == 0:
                beside.measure()
            beside.step()
    assert between == small_trials
    while alone.step_count < beside.step_count:
        alone.step()
    assert alone.measure().loss == beside.measure().loss


def test_a_trial_that_breaks_ends_there_and_has_no_loss_that_is_a_number() -> None:
    network = NetworkConfig(hidden_layers=30, width=8, activation="linear", initialization="standard_normal")
    slices = [trial for trial in trials(network) if trial.number == 0]
    assert len(slices) < STEPS  # and not 1 + STEPS
    assert slices[-1].steps == STEPS
    assert slices[-1].probe.loss is not None and math.isnan(slices[-1].probe.loss)
    assert slices[-1].probe.accuracy is not None and math.isnan(slices[-1].probe.accuracy)


def test_a_trial_that_is_not_possible_has_no_loss_and_is_done() -> None:
    found = results(trials(SMALL, TrainingConfig(batch_size=1), 3))["batch_norm", True]
    assert found.steps == 3
    assert found.probe.loss is None and found.probe.accuracy is None


@pytest.mark.parametrize("steps", [1, 4])
def test_of_a_short_trial_all_steps_count(steps: int) -> None:
    found = results(trials(SMALL, steps=steps))[AS_IT_IS, None]
    trainer = Trainer(SMALL, TRAINING, load_dataset("digits"), select_backend("numpy"))
    losses = []
    for _ in range(steps):
        trainer.step()
        losses.append(trainer.measure().loss)
    assert found.probe.loss == sum(losses) / steps


def test_there_is_one_trainer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Trainer] = weakref.WeakSet()

    class Counted(Trainer):
        def __init__(self, *arguments: object, **options: object) -> None:
            assert not alive
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            alive.add(self)

    monkeypatch.setattr("engine.probe.Trainer", Counted)
    made = sum(trial.steps == 2 for trial in trials(SMALL, steps=2))
    assert made == 23


def test_probes_are_ranked_by_loss_then_by_ratio_and_broken_ones_last() -> None:
    def found(name: str, ratio: float, loss: float | None = None) -> Probe:
        return Probe(name, None, np.float64(ratio), np.float64(1), None if loss is None else np.float64(loss))

    ranked = [
        found(AS_IT_IS, 1e-9, 9.0),
        found("a", 1e-5, 0.1),
        found("b", 1.0, 2.3),
        found("c", 0.5),
        found("d", 1e4),
        found("e", math.nan),
        found("f", 1.0, math.nan),
        found("g", 2.0, math.inf),
    ]
    assert sorted(reversed(ranked), key=lambda entry: entry.rank) == ranked


def test_what_learns_is_better_than_guessing_by_a_tenth() -> None:
    guess = math.log(10)
    for loss, learns in ((0.5 * guess, True), (0.95 * guess, False), (math.nan, False), (None, None)):
        entry = Probe("a", None, np.float64(1), np.float64(1), None if loss is None else np.float64(loss))
        assert entry.learns(guess) is learns
        assert entry.learns(math.nan) is None
