"""What the words of a sweep mean."""

import pytest

from engine.config import NetworkConfig, TrainingConfig
from engine.errors import UsageError
from vgtui.sweeps.grid import Axis, make_sweep
from vgtui.wire.run_settings import RunSettings

BASE = RunSettings(NetworkConfig(3, 8), TrainingConfig(32, seed=7))


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("width=8,16,8", "width", (8, 16)),
        ("lr=0.1,1e-3", "learning_rate", (0.1, 0.001)),
        ("--hidden-layers=2:10:3", "hidden_layers", (2, 6, 10)),
        ("weight-variance=1:1.3:4", "weight_variance", (1.0, 1.1, 1.2, 1.3)),
        ("lr=0.001:1:4:log", "learning_rate", (0.001, 0.01, 0.1, 1.0)),
        ("width=1:3:9", "width", (1, 2, 3)),
        ("activation=relu,tanh", "activation", ("relu", "tanh")),
        ("batch_norm=on,off", "batch_norm", (True, False)),
        ("clip=none,1", "gradient_clip", (None, 1.0)),
        ("width=5:9:1", "width", (5,)),
    ],
)
def test_values_are_a_list_or_a_range_with_both_ends(text: str, field: str, values: tuple[object, ...]) -> None:
    axis = Axis.of(text)
    assert (axis.field, axis.values) == (field, values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("widht=1,2", 'no option "widht"; did you mean "width"?'),
        ("width", '"width" has no values, as in width=v1,v2'),
        ("width=", '"width=" has no values'),
        ("width=8,x", 'width: "x" is not a whole number'),
        ("width=0,8", "width: 0 is out of range"),
        ("width=8,,9", 'width: "" is not a whole number'),
        ("activation=relu,sigmod", 'activation: no activation "sigmod"; did you mean "sigmoid"?'),
        ("lr=1:2", 'lr: "1:2" is not a range; it takes start:stop:count'),
        ("lr=1:2:3:lin", 'lr: "1:2:3:lin" is not a range'),
        ("lr=1:2:x", 'lr: "1:2:x" is not a range'),
        ("lr=1:inf:3", 'lr: "1:inf:3" takes finite ends'),
        ("lr=1:2:0", 'lr: "1:2:0" takes finite ends and a count from 1'),
        ("lr=-1:1:3:log", 'lr: "-1:1:3:log" is spaced by logarithms, so both ends are above 0'),
        ("lr=-1:1:3", "lr: -1.0 is out of range"),
        ("batch_norm=maybe", 'batch_norm: "maybe" is neither on nor off'),
    ],
)
def test_wrong_words_are_named_with_what_they_may_be(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Axis.of(text)
    assert words in caught.value.problem


def test_a_sweep_is_every_combination_with_every_seed() -> None:
    sweep = make_sweep(BASE, ["width=8,16", "activation=relu,tanh"], seeds=2, steps=5)
    points = list(sweep.points())
    assert [point.number for point in points] == list(range(sweep.size)) == list(range(8))
    assert [(p.values["width"], p.values["activation"], p.values["seed"]) for p in points[:5]] == [
        (8, "relu", 7),
        (8, "relu", 8),
        (8, "tanh", 7),
        (8, "tanh", 8),
        (16, "relu", 7),
    ]
    assert all(point.values["hidden_layers"] == 3 and point.steps == 5 for point in points)


@pytest.mark.parametrize(
    ("vary", "seeds", "words"),
    [
        (["width=1,2", "width=3"], 1, "width varies twice"),
        (["seed=1,2"], 3, "varies the seed, as --vary seed does"),
        (["lr=1:2:2000", "momentum=0:0.9:2000"], 1, "4000000 runs; the most is 1000000"),
    ],
)
def test_what_cannot_be_together_is_refused(vary: list[str], seeds: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_sweep(BASE, vary, seeds, 5)
