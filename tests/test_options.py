"""Every option takes back exactly what it shows: on a command line behind a shell, in the environment, in a file."""

import shlex
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import TrainingConfig
from engine.errors import UsageError
from vgtui.cli.arguments import Parser, add_run_options, settings_from_arguments
from vgtui.model.differences import differences
from vgtui.model.options import ALL_OPTIONS, DEFAULTS, OPTIONS, Option, flags_of, option_of, settings_from, words_for
from vgtui.user.themes import load_palettes
from vgtui.wire.run_settings import RunSettings

POSITIVE = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)
FROM_ZERO = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
FILES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "-", "--", " ", "'", '"', "~/", "../", "$HOME/", "a\nb", "größe/", "a,b=c"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.sampled_from([".csv", ".npz ", ".csv.gz", "/x-idx3-ubyte"]),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "hidden_layers": st.integers(1, 10_000),
    "width": st.integers(1, 65_536),
    "weight_variance": POSITIVE,
    "bias_variance": FROM_ZERO,
    "learning_rate": POSITIVE,
    "momentum": st.floats(0, 1, exclude_max=True),
    "weight_decay": FROM_ZERO,
    "gradient_clip": st.none() | POSITIVE,
    "batch_size": st.integers(2, 2**24),
    "seed": st.integers(0, 2**63 - 1),
    "dataset": st.sampled_from(option_of("dataset").choices) | FILES,
    "threads": st.none() | st.integers(1, 1024),
    "theme": st.none() | st.sampled_from(sorted(load_palettes()[0])),
    "fps": st.floats(0.1, 60),
    "jobs": st.none() | st.integers(1),
    "scheduler": st.none() | st.from_regex(r"(tcp|tls)://[a-z0-9.\[\]:-]+", fullmatch=True),
}
"""What the settings accept, for each option that does not have it in its choices."""


def values_for(option: Option) -> st.SearchStrategy[Any]:
    if option.kind == "switch":
        return st.booleans()
    return VALUES[option.field] if option.field in VALUES else st.sampled_from(option.choices)


ALL_SETTINGS = st.fixed_dictionaries({}, optional={o.field: values_for(o) for o in OPTIONS}).map(settings_from)


@pytest.mark.parametrize("option", ALL_OPTIONS, ids=lambda option: option.name)
@given(data=st.data())
def test_an_option_parses_what_it_shows_as_what_it_was(option: Option, data: st.DataObject) -> None:
    value = data.draw(values_for(option))
    parsed = option.parse(option.show(value))
    assert (parsed, type(parsed)) == (value, type(value))


def parse(*words: str) -> RunSettings:
    parser = Parser()
    add_run_options(parser)
    return settings_from_arguments(parser.parse_words(words))


@given(wanted=ALL_SETTINGS)
def test_the_flags_of_settings_give_them_behind_a_shell(wanted: RunSettings) -> None:
    line = shlex.join(flags_of(wanted))
    passed = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, text=True)
    words = passed.stdout.split("\0")[:-1] if line else []
    assert parse(*words) == wanted


@given(wanted=ALL_SETTINGS)
def test_flags_outvote_every_other_default_where_they_are_told_of_it(wanted: RunSettings) -> None:
    words = flags_of(wanted, said_elsewhere=DEFAULTS)
    with pytest.MonkeyPatch.context() as patch:
        for name, word in {"LR": "0.5", "WIDTH": "3", "BATCH_NORM": "on", "CLIP": "2", "DATASET": "moons"}.items():
            patch.setenv(f"VGTUI_{name}", word)
        assert parse(*words) == wanted


@given(data=st.data())
def test_the_environment_gives_what_an_option_shows(data: st.DataObject) -> None:
    option = data.draw(st.sampled_from(OPTIONS))
    value = data.draw(values_for(option))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(option.variable, option.show(value))
        assert parse() == settings_from({option.field: value})


def test_a_value_that_looks_like_an_option_is_one_word_with_its_flag() -> None:
    assert words_for("dataset", "-x.csv") == ["--dataset=-x.csv"]


@pytest.mark.parametrize("name", ["\udcff.csv", "a/\0.csv"], ids=["not UTF-8", "a zero"])
def test_a_name_that_no_recording_can_hold_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"dataset: .* is not the name of a file in UTF-8"):
        RunSettings(dataset=name)


def test_what_differs_in_its_last_digits_is_told_with_all_of_them() -> None:
    one, other = (RunSettings(training=TrainingConfig(learning_rate=rate)) for rate in (0.1, 0.10000000000000002))
    (found,) = differences(one, other)
    assert (found.before, found.after) == ("learning_rate 0.1", "learning_rate 0.10000000000000002")
    (found,) = differences(one, RunSettings(training=TrainingConfig(learning_rate=0.2)))
    assert (found.before, found.after) == ("rate 0.1", "rate 0.2")
