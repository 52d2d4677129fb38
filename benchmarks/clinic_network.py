"""Random configurations of vgtui's own network: does the verdict at step 100 say what comes, do its cures cure?

Each is trained for 400 steps with a frame every 10, as `vgtui run --every 10` does. It has learned if the accuracy of
its last five frames is at least LEARNED. Of those that have not, the first cure at step 100 is applied from the start,
and two random changes of one setting each.
"""

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.clinic_rows import Row
from engine.changes import single_changes
from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES, NetworkConfig, TrainingConfig
from engine.errors import UsageError
from vgtui.wire.run_settings import RunSettings
from vgtui.worker.run import Run

STEPS, EVERY, LOOK = 400, 10, 100
LEARNED = 0.85
SEED_OF_CHANGES = 7
RANDOM_CHANGES = 2
GOOD_ACCURACY = 0.75
"""At step 100: from here on, one look at the accuracy says that a configuration will learn."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is trained."""

    network: NetworkConfig
    training: TrainingConfig

    def key(self) -> str:
        """Name it; equal settings have equal keys."""
        return json.dumps([asdict(self.network), asdict(self.training)], sort_keys=True)

    def changed(self, changes: Sequence[tuple[str, Any]]) -> "Settings":
        """These settings with each of the changes made.

        Raises:
            UsageError: The result is not possible.
        """
        now = self
        for setting, value in changes:
            if setting in TrainingConfig.__dataclass_fields__:
                now = replace(now, training=replace(now.training, **{setting: value}))
            else:
                now = replace(now, network=replace(now.network, **{setting: value}))
        return now


def random_settings(rng: np.random.Generator) -> Settings:
    """A depth of 2 to 60, and everything else at random."""
    depth = round(math.exp(rng.uniform(math.log(2), math.log(60))))
    initialization = str(rng.choice(INITIALIZATION_NAMES))
    network = NetworkConfig(
        hidden_layers=depth,
        width=64,
        activation=str(rng.choice(ACTIVATION_NAMES)),
        batch_norm=bool(rng.integers(2)),
        skip_connections=bool(rng.integers(2)),
        initialization=initialization,
        weight_variance=(
            float(math.exp(rng.uniform(math.log(0.25), math.log(4)))) if initialization == "gaussian" else 1.0
        ),
    )
    training = TrainingConfig(
        optimizer=str(rng.choice(["sgd", "adam"])),
        learning_rate=float(10 ** rng.uniform(-3, 0)),
        seed=int(rng.integers(1000)),
    )
    return Settings(network, training)


def random_change(rng: np.random.Generator, settings: Settings) -> tuple[str, Any]:
    """One of the five settings that cures can name, and one of its other values."""
    options: dict[str, list[Any]] = {}
    for setting, value in single_changes(settings.network):
        options.setdefault(setting, []).append(value)
    rate = settings.training.learning_rate
    options["learning_rate"] = [rate * 10, rate / 10]
    setting = str(rng.choice(list(options)))
    return setting, options[setting][int(rng.integers(len(options[setting])))]


def changes_of(cure: Any) -> list[tuple[str, Any]]:
    """Everything that a cure changes: its setting, and those that come with it."""
    return [(cure.setting, cure.value), *((more.setting, more.value) for more in getattr(cure, "also", ()))]


def train(settings: Settings) -> Row:
    """Train the settings, and keep what was said at step 100 and what became of them."""
    warnings.simplefilter("ignore")
    run = Run(RunSettings(settings.network, settings.training, backend="numpy", threads=1))
    accuracies, row = [], {}
    for step in range(0, STEPS + 1, EVERY):
        while run.trainer.step_count < step:
            run.trainer.step()
        frame = run.frame(always_validate=False)
        assert frame.accuracy is not None
        accuracies.append(float(frame.accuracy))
        if step == LOOK:
            row = {
                "kind": frame.verdict.kind,
                "message": frame.verdict.message,
                "cures": [{"text": cure.text, "changes": changes_of(cure)} for cure in frame.verdict.cures],
                "accuracy_then": float(np.mean(accuracies[-3:])),
            }
    return {**row, "accuracy": float(np.mean(accuracies[-5:]))}


def train_changed(settings: Settings, changes: Sequence[tuple[str, Any]]) -> Row:
    """Train with the changes; what is not possible has not learned."""
    try:
        return train(settings.changed(changes))
    except UsageError as error:
        return {"accuracy": 0.0, "kind": None, "message": str(error), "cures": []}


def has_learned(row: Row) -> bool:
    """Whether the settings that this is the row of have learned."""
    return bool(row["accuracy"] >= LEARNED)


def precision_and_recall(said: Sequence[bool], learned: Sequence[bool]) -> tuple[float, float]:
    """How many of those that are said to learn do, and how many of those that learn are said to."""
    both = sum(s and it_did for s, it_did in zip(said, learned, strict=True))
    return both / max(1, sum(said)), both / max(1, sum(learned))


def report(
    samples: Sequence[tuple[Settings, Row]], cured: Sequence[Row | None], changed: Sequence[Row]
) -> Iterator[str]:
    """The lines of the table that are about vgtui's own network.

    Args:
        samples: The configurations with their rows.
        cured: With the first cure, each that had not learned; None where none was given.
        changed: With a random change, RANDOM_CHANGES of each that had not learned.
    """
    learned = [has_learned(row) for _, row in samples]
    healthy = precision_and_recall([row["kind"] == "healthy" for _, row in samples], learned)
    accurate = precision_and_recall([row["accuracy_then"] >= GOOD_ACCURACY for _, row in samples], learned)
    yield f"own network: {len(samples)} configurations, {sum(learned)} learn by step {STEPS}"
    yield line(
        "“healthy” at step 100 against “learns”: precision, recall", "{:.2f}, {:.2f}".format(*healthy), "≥ 0.95, ≥ 0.90"
    )
    yield line(f"  by the accuracy alone (≥ {GOOD_ACCURACY} at step 100)", "{:.2f}, {:.2f}".format(*accurate), "")
    works = sum(row is not None and has_learned(row) for row in cured)
    without = sum(row is None for row in cured)
    value = f"{works} of {len(cured)} = {share(works, len(cured))}"
    yield line("  first cure works, of all that do not learn", value, "≥ 85 %")
    given = len(cured) - without
    yield line("  the same, of those that are given one", f"{works} of {given} = {share(works, given)}", "")
    lucky = sum(map(has_learned, changed))
    yield line("  a random change works", f"{lucky} of {len(changed)} = {share(lucky, len(changed))}", "")


def line(what: str, value: str, goal: str) -> str:
    """A line of the table."""
    return f"{what:<62} {value:<38} {goal}".rstrip()


def share(part: int, whole: int) -> str:
    """A share in per cent."""
    return f"{100 * part / whole:.0f} %" if whole else "—"


def misses(samples: Sequence[tuple[Settings, Row]]) -> Iterator[str]:
    """Each configuration whose verdict at step 100 was wrong about what came, a line each."""
    for number, (settings, row) in enumerate(samples):
        if (row["kind"] == "healthy") != has_learned(row):
            came = "learns" if has_learned(row) else "does not learn"
            yield f"  {number} {described(settings)}: {came} ({row['accuracy']:.2f}); {row['message']}"


def cures_that_fail(failing: Sequence[tuple[Settings, Row]], cured: Sequence[Row | None]) -> Iterator[str]:
    """Each first cure that did not cure, a line each."""
    for (settings, row), after in zip(failing, cured, strict=True):
        if after is None:
            yield f"  {described(settings)}: {row['kind']}, no cure"
        elif not has_learned(after):
            yield f"  {described(settings)}: {row['kind']}, {row['cures'][0]['text']}; {after['accuracy']:.2f} with it"


def described(settings: Settings) -> str:
    """The settings in a few words."""
    network, training = settings.network, settings.training
    parts = [f"{network.hidden_layers}×{network.width} {network.activation} {network.initialization}"]
    if network.initialization == "gaussian":
        parts.append(f"σ²={network.weight_variance:.2f}")
    parts += ["BatchNorm"] * network.batch_norm + ["skips"] * network.skip_connections
    return " ".join([*parts, f"{training.optimizer} lr {training.learning_rate:.2g}"])
