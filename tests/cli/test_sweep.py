"""`vgtui sweep` and `vgtui plot`, as a shell sees them."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import call, command
from tests.forms import slow_but
from tests.limits import files_no_longer_than

TINY = ["--hidden-layers", "2", "--width", "4", "--batch-size", "32", "--jobs", "2"]
WITHOUT_WIDTH = ["--hidden-layers", "2", "--batch-size", "32", "--jobs", "2"]
LOOK_SECONDS = 0.01
GRID = ["--vary", "width=2,4", "--vary", "activation=relu,tanh"]
LONG = ["sweep", *WITHOUT_WIDTH, "--vary", "width=2:25:24", "--steps", "250", "--output", "s.jsonl"]
SHORT = ["sweep", *WITHOUT_WIDTH, "--vary", "width=2:13:12", "--steps", "2", "--output", "s.jsonl"]


def rows(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["format"] == "vgtui-sweep"
    return lines[1:]


def children_of(process: "subprocess.Popen[str]") -> list[int]:
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def begin(folder: Path, *options: str, least: int = 5) -> "subprocess.Popen[str]":
    """A long sweep that has some of its rows."""
    process = subprocess.Popen(command(*LONG, *options), cwd=folder, text=True, stderr=subprocess.PIPE)
    file = folder / "s.jsonl"
    while not (file.exists() and file.read_bytes().count(b"\n") > least):
        assert process.poll() is None
        time.sleep(LOOK_SECONDS)
    return process


def is_running(process_id: int) -> bool:
    """Whether there is such a process that has not ended; one may wait for its parent to be seen off."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_every_point_is_a_row_and_the_chart_comes_at_the_end(tmp_path: Path) -> None:
    done = call("sweep", *WITHOUT_WIDTH, *GRID, "--seeds", "2", "--steps", "3", "--output", "s.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(tmp_path / "s.jsonl")
    assert sorted(row["number"] for row in found) == list(range(8))
    for row in found:
        assert (row["error"], row["steps"], row["values"]["threads"], row["computed_on"]) == (None, 3, 1, "numpy")
        assert row["gradient_ratio_start"] > 0 and row["loss"] > 0 and row["verdict"] and row["steps_per_second"] > 0
    assert done.stdout.startswith("validation accuracy, mean over seed: width →  and activation ↑\n")
    assert "\x1b" not in done.stdout
    again = call("plot", "s.jsonl", "--metric", "loss", "--by", "activation", cwd=tmp_path)
    assert again.stdout.startswith("loss, mean over width and seed: activation →")


def test_a_coordinate_check_reads_every_layer_at_the_last_step(tmp_path: Path) -> None:
    words = ["sweep", *WITHOUT_WIDTH, "--vary", "width=4,8", "--steps", "3", "--metric", "activation_rms"]
    done = call(*words, "--output", "s.jsonl", cwd=tmp_path)
    assert done.stdout.startswith("log10 of RMS of activations rms(h) by layer: width →\n")
    assert done.stdout.endswith("\nA layer 1   B layer 2   C output\n")
    for row in rows(tmp_path / "s.jsonl"):
        run = call(
            "run", *WITHOUT_WIDTH[:4], "--width", str(row["values"]["width"]), "--threads", "1", "--steps", "3",
            "--every", "3", "--format", "jsonl",
        )  # fmt: skip
        told = json.loads(run.stdout.splitlines()[-1])["layers"]
        assert {name: row["layers"][name] for name in ("activation_std", "noise_scale")} == {
            name: told[name] for name in ("activation_std", "noise_scale")
        }
    again = call("plot", "s.jsonl", "--metric", "noise_scale", cwd=tmp_path)
    assert again.stdout.startswith("log10 of Gradient noise scale trΣ/|G|² by layer: width →")
    assert call("plot", "s.jsonl", "--metric", "activation", cwd=tmp_path).returncode == 2


def test_a_row_is_what_run_gives_for_its_configuration(tmp_path: Path) -> None:
    call("sweep", *TINY, "--vary", "seed=3", "--steps", "20", "--output", "s.jsonl", cwd=tmp_path)
    (row,) = rows(tmp_path / "s.jsonl")
    run = call("run", *TINY[:6], "--seed", "3", "--threads", "1", "--steps", "20", "--every", "20", "--format", "jsonl")
    _, first, last = (json.loads(line) for line in run.stdout.splitlines())
    assert (row["loss"], row["accuracy"]) == (last["loss"], last["accuracy"])
    assert row["validation_accuracy"] == last["validation_accuracy"]
    for frame, name in ((first, "gradient_ratio_start"), (last, "gradient_ratio_end")):
        norms = frame["layers"]["grad_norm"]
        assert row[name] == norms[0] / norms[-1]


def test_a_killed_sweep_computes_only_what_is_missing_and_leaves_no_process(tmp_path: Path) -> None:
    process = begin(tmp_path)
    children = children_of(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    while any(map(is_running, children)):
        time.sleep(LOOK_SECONDS)
    before = (tmp_path / "s.jsonl").read_bytes()
    whole = before[: before.rindex(b"\n") + 1]
    assert 5 < whole.count(b"\n") < 25
    assert call(*LONG, cwd=tmp_path).returncode == 0
    after = (tmp_path / "s.jsonl").read_bytes()
    assert after.startswith(whole)
    assert sorted(row["number"] for row in rows(tmp_path / "s.jsonl")) == list(range(24))


@pytest.mark.parametrize("number", slow_but([signal.SIGINT, signal.SIGTERM], signal.SIGTERM))
def test_a_signal_ends_a_sweep_cleanly_and_it_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    process = begin(tmp_path, "--jobs", "1")
    os.kill(process.pid, number)
    _, errors = process.communicate()
    assert process.returncode == 128 + number
    count = len(rows(tmp_path / "s.jsonl"))
    assert errors == f"vgtui: {count} of 24 runs are in s.jsonl; the same command goes on from there\n"


@pytest.mark.slow  # of the pool by itself, tests/sweeps/test_collect.py shows the same
def test_a_killed_process_of_the_pool_costs_no_row(tmp_path: Path) -> None:
    process = begin(tmp_path)
    for child in children_of(process):
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
            break
    else:
        pytest.fail("there is no process of a pool")
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert sorted(row["number"] for row in rows(tmp_path / "s.jsonl")) == list(range(24))
    assert not any(row["error"] for row in rows(tmp_path / "s.jsonl"))


def test_a_configuration_that_cannot_be_is_a_row_with_its_reason(tmp_path: Path) -> None:
    done = call("sweep", *TINY, "--vary", "batch_size=32,5000", "--steps", "2", "-o", "s.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert "1 runs have no number" in done.stdout
    reasons = {row["values"]["batch_size"]: row["error"] for row in rows(tmp_path / "s.jsonl")}
    assert reasons == {32: None, 5000: "batch_size: 5000 is more than the 1438 training samples of digits"}


def test_retry_computes_the_rows_without_a_result_again(tmp_path: Path) -> None:
    words = ["sweep", *WITHOUT_WIDTH, "--vary", "width=2,4,8", "--steps", "2", "-o", "s.jsonl"]
    call(*words, cwd=tmp_path)
    file = tmp_path / "s.jsonl"
    lines = file.read_text().splitlines()
    failed = {**json.loads(lines[2]), "error": "killed", "loss": None}
    file.write_text("\n".join([lines[0], lines[1], json.dumps(failed), lines[3]]) + "\n")
    assert call(*words, cwd=tmp_path).returncode == 0
    assert len(rows(file)) == 3
    assert call(*words, "--retry", cwd=tmp_path).returncode == 0
    assert [row["error"] for row in rows(file)] == [None, "killed", None, None]
    assert rows(file)[-1]["number"] == failed["number"] and rows(file)[-1]["loss"] > 0
    assert "have no number" not in call("plot", "s.jsonl", "--metric", "loss", cwd=tmp_path).stdout


def test_retry_computes_a_row_whose_reason_is_empty_again(tmp_path: Path) -> None:
    words = ["sweep", *WITHOUT_WIDTH, "--vary", "width=2,4", "--steps", "2", "-o", "s.jsonl", "--retry"]
    call(*words, cwd=tmp_path)
    file = tmp_path / "s.jsonl"
    header, first, second = file.read_text().splitlines()
    kept = ("type", "number", "values", "steps")
    failed = {"error": "", **{key: value for key, value in json.loads(first).items() if key in kept}}
    file.write_text("\n".join([header, json.dumps(failed), second]) + "\n")
    assert call(*words, cwd=tmp_path).returncode == 0
    assert rows(file)[-1]["number"] == failed["number"] and rows(file)[-1]["loss"] > 0


def test_damaged_rows_are_told_and_computed_again(tmp_path: Path) -> None:
    words = ["sweep", *WITHOUT_WIDTH, "--vary", "width=2,4,8", "--steps", "2", "-o", "s.jsonl"]
    call(*words, cwd=tmp_path)
    file = tmp_path / "s.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], "{damaged}", lines[3]]) + "\n")
    left_out = "vgtui: s.jsonl: 1 damaged row is left out, the first is line 3"
    for other in (["plot", "s.jsonl"], ["report", "s.jsonl", "-o", "-"], ["export", "s.jsonl", "-o", "-"]):
        told = call(*other, cwd=tmp_path).stderr.splitlines()
        assert told[0] == f"{left_out}; the same vgtui sweep computes again what is missing"
    done = call(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"{left_out}; 1 of 3 runs are to be computed\n")
    assert len(file.read_text().splitlines()) == 5
    assert call("plot", "s.jsonl", cwd=tmp_path).stderr == f"{left_out}\n"


def test_a_full_disk_is_one_sentence_and_the_rows_stay(tmp_path: Path) -> None:
    with files_no_longer_than(9000):
        done = call(*SHORT, cwd=tmp_path)
    assert done.returncode == 1
    count = len(rows(tmp_path / "s.jsonl"))
    assert done.stderr == (
        f"vgtui: --output: s.jsonl cannot be written: File too large; {count} of 12 runs are in s.jsonl; "
        "the same command goes on from there\n"
    )
    assert count > 3
    assert call(*SHORT, cwd=tmp_path).returncode == 0
    assert len(rows(tmp_path / "s.jsonl")) == 12


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--vary", "widht=2"], '--vary: no option "widht"; did you mean "width"?'),
        (["--vary", "width=1:2"], '--vary: width: "1:2" is not a range'),
        (["--metric", "acc"], '--metric: no metric "acc"; it may be validation_accuracy'),
        (["--vary", "width=2", "--by", "depth"], '--by: no varied option "depth"; did you mean "width"?'),
        (["--vary", "width=2", "--by", "width,width"], '--by: "width,width" is not one or two different options'),
        (["--seeds", "0"], "--seeds: 0 is out of range"),
        (["--jobs", "0"], "--jobs: 0 is out of range"),
        (["--jobs", "x"], '--jobs: "x" is not a whole number'),
        (["--output", "/nope/s.jsonl"], "--output: /nope/s.jsonl cannot be written: No such file or directory"),
        (["--output", "notes.txt"], "--output: notes.txt is not a sweep"),
        (["--preset", "nope"], '--preset: no preset "nope"'),
    ],
)
def test_bad_usage_is_one_sentence_and_touches_nothing(tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    done = call("sweep", "--steps", "2", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_an_output_of_another_sweep_is_refused(tmp_path: Path) -> None:
    call("sweep", *WITHOUT_WIDTH, *GRID, "--steps", "2", "--output", "s.jsonl", cwd=tmp_path)
    before = (tmp_path / "s.jsonl").read_bytes()
    done = call("sweep", *WITHOUT_WIDTH, *GRID, "--steps", "2", "--lr", "0.5", "--output", "s.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "s.jsonl belongs to another sweep, rate 0.1 rather than rate 0.5" in done.stderr
    assert (tmp_path / "s.jsonl").read_bytes() == before


def test_rows_go_to_a_pipe_and_without_an_output_the_chart_alone() -> None:
    piped = call("sweep", *TINY, "--vary", "width=2,4", "--steps", "2", "--output", "-")
    assert [json.loads(line)["type"] for line in piped.stdout.splitlines()] == ["header", "row", "row"]
    shown = call("sweep", *TINY, "--vary", "width=2,4", "--steps", "2")
    assert shown.stdout.startswith("validation accuracy: width →")
