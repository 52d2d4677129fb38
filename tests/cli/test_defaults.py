"""Defaults: command line before environment, environment before settings file, that before what is built in."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SMALL, call
from vgtui.model.options import ALL_OPTIONS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def calling(file: Path, *words: str, **variables: str) -> Any:
    return call(*words, env={"VGTUI_CONFIG": str(file), **variables})


def test_each_source_stands_before_the_next(file: Path) -> None:
    file.write_text('[options]\nlr = 0.5\nwidth = 16\nactivation = "relu"\nbatch_norm = true\n')
    words = ["config", "--json", "--lr", "0.25", "--no-batch-norm"]
    shown = json.loads(calling(file, *words, VGTUI_WIDTH="24", VGTUI_LR="3", VGTUI_CLIP="none").stdout)
    options = {name: (entry["value"], entry["from"]) for name, entry in shown["options"].items()}
    assert options["lr"] == (0.25, "command line")
    assert options["batch_norm"] == (False, "command line")
    assert options["width"] == (24, "environment")
    assert options["activation"] == ("relu", "settings file")
    assert options["seed"] == (0, "built in")
    assert options["clip"] == (None, "environment")
    assert shown["file"] == str(file)


def test_a_run_has_the_defaults_that_config_shows(file: Path) -> None:
    file.write_text('[options]\nactivation = "relu"\nskip = true\n')
    done = calling(file, "run", *SMALL, "--steps", "0", "--format", "jsonl", VGTUI_SEED="9")
    header = json.loads(done.stdout.splitlines()[0])
    network, training = header["network"], header["training"]
    assert (network["activation"], network["skip_connections"], training["seed"]) == ("relu", True, 9)


def test_a_preset_on_the_command_line_is_before_the_environment(file: Path) -> None:
    file.write_text("")
    done = calling(file, "run", "--preset", "he-2015", "--steps", "0", "--format", "jsonl", VGTUI_ACTIVATION="tanh")
    assert json.loads(done.stdout.splitlines()[0])["network"]["activation"] == "relu"


@pytest.mark.parametrize("name", ["lr", "batch_norm", "activation", "jobs", "theme", "clip", "fps"])
def test_the_environment_can_say_every_kind_of_option(file: Path, name: str) -> None:
    file.write_text("")
    values = {"lr": "0.5", "batch_norm": "on", "activation": "elu", "jobs": "auto", "theme": "light"}
    word = values.get(name, "2")
    shown = json.loads(calling(file, "config", "--json", **{f"VGTUI_{name.upper()}": word}).stdout)
    assert shown["options"][name]["from"] == "environment"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[options]\nwidht = 3\n", 'VGTUI_CONFIG: {file}: options: no option "widht"; did you mean "width"?'),
        ("[options]\nwidth = 0\n", "VGTUI_CONFIG: {file}: options.width: 0 is out of range"),
        ("[options]\nwidth = true\n", 'VGTUI_CONFIG: {file}: options.width: "True" is not a whole number'),
        (
            '[options]\nbatch_norm = "maybe"\n',
            'VGTUI_CONFIG: {file}: options.batch_norm: "maybe" is neither on nor off',
        ),
        ("[options]\nlr = [1]\n", "VGTUI_CONFIG: {file}: options[...]"),
        ("[opts]\n", "VGTUI_CONFIG: {file}: opts: is not a field"),
        ("= 3\n", "VGTUI_CONFIG: {file} is not a TOML file"),
    ],
)
@pytest.mark.parametrize("words", [["config"], ["run", "--steps", "1"]], ids=["config", "run"])
def test_a_wrong_file_is_one_sentence_that_names_it(file: Path, words: list[str], text: str, sentence: str) -> None:
    file.write_text(text)
    done = calling(file, *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence.format(file=file) in done.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"VGTUI_LR": "x"}, 'VGTUI_LR: "x" is not a number'),
        ({"VGTUI_LR": "-1"}, "VGTUI_LR: -1.0 is out of range"),
        ({"VGTUI_ACTIVATION": "sigmod"}, 'VGTUI_ACTIVATION: no activation "sigmod"; did you mean "sigmoid"?'),
    ],
)
def test_a_wrong_variable_is_one_sentence_that_names_it(file: Path, variables: dict[str, str], sentence: str) -> None:
    file.write_text("")
    done = calling(file, "run", "--steps", "1", **variables)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


def test_a_variable_that_is_no_option_is_told(file: Path) -> None:
    file.write_text("")
    done = calling(file, "config", VGTUI_WIDHT="3")
    assert done.returncode == 0
    assert done.stderr == "vgtui: VGTUI_WIDHT: is not an option of vgtui, and does nothing\n"


def test_the_example_is_a_settings_file_that_changes_nothing_and_has_every_option(file: Path) -> None:
    example = call("config", "--example").stdout
    file.write_text(example)
    assert all(" built in " in line for line in calling(file, "config").stdout.splitlines()[3:])
    lines = example.replace("# ", "", 1).splitlines()
    # with the comments taken away it says what is built in
    opened = "\n".join(line.removeprefix("# ") for line in lines[1:] if 'batch_norm = "B"' not in line)
    assert set(tomllib.loads(opened)["options"]) == {option.name for option in ALL_OPTIONS}
    file.write_text(opened)
    shown = json.loads(calling(file, "config", "--json").stdout)["options"]
    assert {name: entry["value"] for name, entry in shown.items()} == {o.name: o.default for o in ALL_OPTIONS}
