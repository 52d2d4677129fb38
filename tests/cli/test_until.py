"""`vgtui run --until`: for scripts that go by the exit code."""

import json

import pytest

from tests.cli.shell import SMALL, call
from tests.frames import make_frame
from vgtui.cli.output.until import StopCondition
from vgtui.wire.run_settings import RunSettings

LEARNS = ["--activation", "relu", "--init", "he_normal", "--every", "10", "--format", "jsonl"]


def test_a_run_ends_at_the_first_frame_that_meets_the_bound() -> None:
    done = call("run", *SMALL, *LEARNS, "--steps", "5000", "--until", "accuracy=0.6", "--until", "loss=2")
    assert (done.returncode, done.stderr) == (0, "")
    frames = [json.loads(line) for line in done.stdout.splitlines()[1:]]
    assert frames[-1]["accuracy"] >= 0.6 and frames[-1]["loss"] <= 2
    assert frames[-1]["step"] < 5000
    assert not any(frame["accuracy"] >= 0.6 and frame["loss"] <= 2 for frame in frames[:-1])


def test_a_bound_that_is_not_met_is_exit_code_3_and_says_how_far_it_came() -> None:
    done = call("run", "--steps", "4", "--until", "accuracy=0.95", "--until", "verdict=healthy")
    assert done.returncode == 3
    assert done.stderr.startswith("vgtui: --until: after 4 steps accuracy is 0.")
    assert done.stderr.endswith(", not at least 0.95 and the verdict is vanishing, not healthy\n")
    assert "vanishing: layer 1 gets" in done.stdout


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("acuracy=1", 'no bound "acuracy"; did you mean "accuracy"?'),
        ("accuracy", '"accuracy" has no number from 0 after the "="'),
        ("loss=nan", '"loss=nan" has no number from 0'),
        ("verdict=well", 'no verdict "well"; it may be healthy, starting'),
    ],
)
def test_a_wrong_bound_is_named(word: str, sentence: str) -> None:
    done = call("run", "--steps", "4", "--until", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_a_bound_that_is_nearly_met_is_told_with_the_digits_that_differ() -> None:
    frame = make_frame(RunSettings(), [1.0] * 21, loss=0.500001)
    assert StopCondition.of("loss=0.5").shortfall(frame) == "loss is 0.500001, not at most 0.5"
    assert StopCondition.of("loss=0.1").shortfall(frame) == "loss is 0.5, not at most 0.1"
