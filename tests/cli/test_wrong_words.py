"""What is said of words that are misspelt, do nothing, ask for what cannot be, or need what is not installed."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.cli.shell import SMALL, call
from vgtui.cli.commands import COMMANDS

RUN = ["run", *SMALL, "--steps", "2", "--format", "csv"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["run", "--steps", "3", "--activaton", "relu"],
            "run: --activaton: no such option; did you mean --activation?",
        ),
        (["run", "--stepps", "3"], "run: --stepps: no such option; did you mean --steps?"),
        (["run", "--steps", "3", "--activaton=relu"], "run: --activaton: no such option; did you mean --activation?"),
        (["run", "--steps", "3", "--learning-rate", "1"], "run: --learning-rate: no such option; did you mean --lr?"),
        (["run", "--steps", "3", "-lr", "0.1"], "run: -lr: no such option; did you mean --lr?"),
        (
            ["run", "--steps", "3", "--no-batchnorm"],
            "run: --no-batchnorm: no such option; did you mean --no-batch-norm?",
        ),
        (["--recrod", "x.jsonl"], ": --recrod: no such option; did you mean --record?"),
        (["--them", "dark"], ": --them: no such option; did you mean --theme?"),
        (["sweep", "--steps", "3", "--varry", "width=2"], "sweep: --varry: no such option; did you mean --vary?"),
        (["export", "x", "--outptu", "y"], "export: --outptu: no such option; did you mean --output?"),
        (["bench", "--second", "1"], "bench: --second: no such option; did you mean --seconds?"),
        (["--preset", "schoenholz"], '--preset: no preset "schoenholz"; did you mean "schoenholz-2017"?'),
        (["--lesson", "quater"], '--lesson: no lesson "quater"; did you mean "quarter"?'),
        (["lessons", "quater"], 'no lesson "quater"; did you mean "quarter"?'),
        (["--activation", "ReLU"], '--activation: no activation "ReLU"; did you mean "relu"?'),
        (["plot", "x", "--metric", "acuracy"], '--metric: no metric "acuracy"; did you mean "accuracy"?'),
        (["completion", "bsh"], 'SHELL: no shell "bsh"; did you mean "bash"?'),
        (["help", "runn"], 'COMMAND: no command "runn"; did you mean "run"?'),
    ],
)
def test_a_misspelt_word_has_a_suggestion(words: list[str], sentence: str) -> None:
    done = call(*words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.parametrize("words", [["run", "--steps", "1", "--", "--activaton"], ["run", "--steps", "1", "--zzz"]])
def test_what_resembles_no_option_is_as_wrong_as_before(words: list[str]) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert "unrecognized arguments: " in done.stderr


def test_help_is_a_command_too() -> None:
    assert call("help").stdout == call("--help").stdout != ""
    for name in COMMANDS:
        assert call("help", name).stdout == call(name, "--help").stdout != ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words")
    call("run", *SMALL, "--steps", "4", "--output", "run.jsonl", cwd=path)
    call("sweep", *SMALL, "--vary", "lr=0.1,0.2", "--steps", "2", "-o", "sweep.jsonl", cwd=path)
    return path


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (
            [*RUN, "--weight-variance", "2", "--bias-variance", "1"],
            [
                "--weight-variance: does nothing with --init xavier_normal; it is for --init gaussian",
                "--bias-variance: does nothing with --init xavier_normal; it is for --init gaussian",
            ],
        ),
        ([*RUN, "--weight-variance", "2", "--init", "gaussian"], []),
        (
            [*RUN, "--momentum", "0.5"],
            ["--momentum: does nothing with --optimizer sgd; it is for --optimizer momentum or nesterov"],
        ),
        ([*RUN, "--momentum", "0.5", "--optimizer", "nesterov"], []),
        ([*RUN, "--preset", "schoenholz-2017"], []),
        (
            [*RUN, "--every", "3"],
            ["--every: does nothing above --steps 2: there are frames of the first and the last step"],
        ),
        ([*RUN, "--overwrite"], ["--overwrite: does nothing without a file to write"]),
        (
            [*RUN, "--checkpoint", "c.npz", "--checkpoint-every", "3", "--overwrite"],
            ["--checkpoint-every: does nothing above --steps 2: there is a checkpoint at the end"],
        ),
        (
            ["export", "run.jsonl", "-o", "-", "--metric", "loss", "--by", "width", "--depth-scale"],
            [
                f"--{name}: does nothing here: it is for a sweep, and run.jsonl is not one"
                for name in ("metric", "by", "depth-scale")
            ],
        ),
        (
            ["export", "sweep.jsonl", "-o", "-", "--metric", "loss"],
            ["--metric: does nothing here: it is for a picture, and csv is a table"],
        ),
        (["export", "sweep.jsonl", "-o", "-"], []),
        (
            ["report", "run.jsonl", "-o", "-", "--width", "3", "--metric", "loss", "--preset", "he-2015"],
            [
                "--preset: does nothing here: run.jsonl was trained already",
                "--width: does nothing here: run.jsonl was trained already",
                "--metric: does nothing here: it is for a sweep, and run.jsonl is not one",
            ],
        ),
        (["report", "sweep.jsonl", "-o", "-", "--metric", "loss"], []),
        (
            ["sweep", *SMALL, "--vary", "width=2,3", "--steps", "1", "-o", "-", "--by", "width", "--retry"],
            [
                "--width: does nothing as --vary width has its values",
                "--retry: does nothing without --output FILE",
                "--by: does nothing where rows are printed rather than a chart",
            ],
        ),
        (
            ["sweep", "--vary", "momentum=0.1,0.2", "--vary", "width=2", "--steps", "1", "-o", "-"],
            ["--momentum: does nothing with --optimizer sgd; it is for --optimizer momentum or nesterov"],
        ),
        (["sweep", *SMALL, "--vary", "optimizer=sgd,momentum", "--momentum", "0.5", "--steps", "1", "-o", "-"], []),
    ],
)
def test_an_option_that_does_nothing_is_said_and_changes_nothing(
    folder: Path, words: list[str], sentences: list[str]
) -> None:
    if words[0] == "report":
        pytest.importorskip("matplotlib")
    done = call(*words, cwd=folder)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"vgtui: {sentence}" for sentence in sentences]
    assert done.stdout


def test_of_what_the_settings_file_and_the_environment_give_nothing_is_said(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[options]\nmomentum = 0.5\nweight_variance = 2.0\njobs = 1\n")
    done = call(*RUN, cwd=folder, env={"VGTUI_CONFIG": str(file), "VGTUI_BIAS_VARIANCE": "0.5"})
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_terminal_the_dashboard_says_it_too() -> None:
    done = call(*SMALL, "--momentum", "0.5", "--overwrite")
    assert done.returncode == 0
    assert "vgtui: --momentum: does nothing" in done.stderr
    assert "vgtui: --overwrite: does nothing" in done.stderr


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (["accuracy=2"], "--until: accuracy=2 cannot be met; it takes a number from 0 to 1"),
        (["validation_accuracy=1.5"], "--until: validation_accuracy=1.5 cannot be met; it takes a number from 0 to 1"),
        (["verdict=healthy", "verdict=vanishing"], "--until: the verdict cannot be healthy and vanishing at once"),
    ],
)
def test_a_bound_that_cannot_be_met_is_wrong_usage(bounds: list[str], sentence: str) -> None:
    done = call(*RUN, *(word for bound in bounds for word in ("--until", bound)))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.parametrize("bound", ["accuracy=1", "accuracy=0", "loss=2.5"])
def test_a_bound_at_the_edge_is_taken(bound: str) -> None:
    assert call(*RUN, "--until", bound).returncode in (0, 3)


@pytest.mark.parametrize(
    ("words", "extra", "module"),
    [
        (["export", "run.jsonl", "-o", "x.svg"], "report", "matplotlib"),
        (["report", "run.jsonl", "-o", "x.html"], "report", "matplotlib"),
        (["report", "run.jsonl", "-o", "x.html"], "report", "jinja2"),
        (["export", "run.jsonl", "-o", "x.parquet"], "parquet", "pyarrow"),
        (["sweep", "--vary", "lr=1", "--steps", "1", "--scheduler", "tcp://x:1"], "cluster", "distributed"),
    ],
)
def test_what_is_not_installed_is_said_with_the_command_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], extra: str, module: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("vgtui.user.extras.find_spec", lambda name: None if name == module else found(name))
    monkeypatch.setitem(sys.modules, module, None)
    done = call(*words, cwd=folder)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    pip = f"{sys.executable} -m pip install 'vgtui[{extra}]'\n"
    assert done.stderr.endswith(
        f" need {module}, which is not installed; install it with: {pip}"
    ) or done.stderr.endswith(f" {module}, which is not installed; install it with: {pip}")
    assert "PICTURES" not in done.stderr
    monkeypatch.setattr("sys.prefix", "/home/user/.local/share/pipx/venvs/vgtui")
    assert call(*words, cwd=folder).stderr.endswith(f"; install it with: pipx inject vgtui {module}\n")


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("[options]\nwidth = 0\n", ["config"], "options.width: 0 is out of range"),
        ("[options]\ntheme = 'drak'\n", [], 'options.theme: no theme "drak"; did you mean "dark"?'),
        ("[options]\nfps = 0\n", [], "options.fps: 0 is out of range"),
        ("[options]\njobs = 0\n", ["sweep", "--vary", "lr=1", "--steps", "1"], "options.jobs: 0 is out of range"),
        ("[options]\ndataset = 'nope.csv'\n", ["run", "--steps", "1"], "options.dataset: nope.csv cannot be "),
    ],
)
def test_a_wrong_value_is_blamed_on_the_settings_file_that_gives_it(
    tmp_path: Path, text: str, words: list[str], sentence: str
) -> None:
    file = tmp_path / "vgtui" / "settings.toml"
    file.parent.mkdir()
    file.write_text(text)
    done = call(*words, env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert done.returncode == 2
    assert f"vgtui: settings file: {file}: {sentence}" in done.stderr
    assert "VGTUI_CONFIG: " in call(*words, env={"VGTUI_CONFIG": str(file)}).stderr


def test_a_wrong_value_is_blamed_on_the_variable_that_gives_it() -> None:
    done = call("sweep", "--vary", "lr=1", "--steps", "1", env={"VGTUI_JOBS": "0"})
    assert done.stderr.startswith("vgtui: VGTUI_JOBS: 0 is out of range")
