"""`vgtui run --what-if`: every change of a run, what it does, best first."""

import csv
import io
import json
import os
import re
import signal
from pathlib import Path

import pytest

from engine.backend import select_backend
from engine.changes import AS_IT_IS
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.probe import try_changes
from tests.cli.shell import SMALL, call
from tests.terminal.terminal import Terminal

WHAT_IF = ["run", "--what-if", *SMALL, "--steps", "12"]


def test_the_table_has_each_change_as_an_option_best_first_under_the_run_as_it_is() -> None:
    done = call(*WHAT_IF)
    assert (done.returncode, done.stderr) == (0, "")
    said, table = done.stdout.split("\nchange ")
    assert "sigmoid, 3 hidden layers of 8, xavier_normal" in said
    assert "after 12 steps" in said and "guessing, 2.303" in said
    head, first, *rows = f"change {table}".splitlines()
    assert head.split() == ["change", "learns?", "loss", "accuracy", "gradient", "update"]
    assert first.startswith("as it is")
    assert len(rows) == 22
    losses = [float(row.split()[-4]) for row in rows]
    assert losses == sorted(losses)
    for row, loss in zip(rows, losses, strict=True):
        assert row.split()[-5] == ("yes" if loss <= 0.9 * 2.302585 else "no")
    options = {row.rsplit(maxsplit=5)[0].strip() for row in rows}
    assert {"--batch-norm", "--skip", "--activation relu", "--init he_normal", "--lr 1.0", "--lr 0.01"} < options


def test_json_lines_and_csv_have_the_engines_numbers_bit_for_bit() -> None:
    header, *lines = map(json.loads, call(*WHAT_IF, "--format", "jsonl").stdout.splitlines())
    assert header["type"] == "header" and header["network"]["hidden_layers"] == 3
    last = {}
    network, training = NetworkConfig(hidden_layers=3, width=8), TrainingConfig(batch_size=32)
    for trial in try_changes(network, training, load_dataset("digits"), select_backend("numpy"), 12):
        last[trial.probe.setting or None, trial.probe.value] = trial.probe
    assert [line["type"] for line in lines] == ["tried"] * 23
    for line in lines:
        probe = last[line["setting"], line["value"]]
        assert (line["loss"], line["accuracy"]) == (probe.loss, probe.accuracy)
        assert (line["gradient_ratio"], line["update_ratio"]) == (probe.gradient_ratio, probe.update_ratio)
        assert line["steps"] == 12
    rows = list(csv.DictReader(io.StringIO(call(*WHAT_IF, "--format", "csv").stdout)))
    assert [row["loss"] for row in rows] == [str(line["loss"]) for line in lines]
    assert (rows[0]["setting"], rows[0]["value"]) == (AS_IT_IS, "")


def test_without_steps_each_change_has_a_hundred() -> None:
    done = call("run", "--what-if", *SMALL)
    assert done.returncode == 0
    assert "after 100 steps" in done.stdout


def test_what_is_not_a_number_and_what_is_not_possible_are_told_apart() -> None:
    words = ["--batch-size", "1", "--activation", "linear", "--init", "standard_normal"]
    lines = map(json.loads, call(*WHAT_IF, *words, "--hidden-layers", "40", "--format", "jsonl").stdout.splitlines())
    found = {(line.get("setting"), line.get("value")): line for line in lines}
    broken, impossible = found[None, None], found["batch_norm", True]
    assert (broken["loss"], broken["accuracy"], broken["learns"]) == ("NaN", "NaN", False)
    assert (impossible["loss"], impossible["accuracy"], impossible["learns"]) == (None, None, None)
    table = call(*WHAT_IF, *words, "--hidden-layers", "40").stdout.splitlines()
    assert next(row for row in table if row.startswith("--batch-norm")).split()[1:4] == ["–", "–", "–"]
    assert next(row for row in table if row.startswith("as it is")).split()[3:6] == ["no", "NaN", "NaN"]


def test_the_output_is_a_file_whose_ending_says_the_format(tmp_path: Path) -> None:
    done = call(*WHAT_IF, "--output", "out.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    written = (tmp_path / "out.csv").read_text()
    assert written.startswith("setting,value,learns,loss,accuracy,gradient_ratio,update_ratio,steps\n")
    again = call(*WHAT_IF, "--output", "out.csv", cwd=tmp_path)
    assert again.returncode == 2 and "--overwrite" in again.stderr
    assert (tmp_path / "out.csv").read_text() == written
    assert call(*WHAT_IF, "--output", "out.csv", "--overwrite", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--until", "loss=1"], "--until: does not go with --what-if"),
        (["--every", "2"], "--every: does not go with --what-if"),
        (["--checkpoint", "x.npz"], "--checkpoint: does not go with --what-if"),
        (["--checkpoint-every", "2"], "--checkpoint-every: does not go with --what-if"),
        (["--resume"], "--resume: does not go with --what-if"),
        (["--steps", "0"], "--steps: 0 is out of range; it takes a whole number from 1"),
        (["--format", "xml"], '--format: no format "xml"'),
        (["--hidden-layers", "10000", "--width", "65536"], "--hidden-layers: 10000 layers"),
    ],
)
def test_what_does_not_go_with_it_is_one_sentence_and_exit_code_2(words: list[str], sentence: str) -> None:
    done = call("run", "--what-if", *SMALL, *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_prints_what_there_is(number: signal.Signals) -> None:
    with Terminal(["run", "--what-if", *SMALL, "--steps", "20000"]) as terminal:
        terminal.wait_for(lambda: re.search("[1-9][0-9]*/460000 steps", terminal.text))
        terminal.process.send_signal(number)
        terminal.wait_for_exit()
        terminal.wait_for(lambda: "--lr 1.0" in terminal.text)
        assert terminal.process.returncode == 128 + number
        assert re.search("^as it is +[a-z–]+ ", terminal.text, re.M)
        assert re.search("^--batch-norm +– +– +– +[0-9.]+e", terminal.text, re.M)
        assert "trying changes" not in terminal.text


def test_a_killed_worker_is_a_fault_and_what_there_was_is_printed() -> None:
    with Terminal(["run", "--what-if", *SMALL, "--steps", "20000"]) as terminal:
        terminal.wait_for(lambda: re.search("[1-9][0-9]*/460000 steps", terminal.text))
        for worker in terminal.workers():
            os.kill(worker, signal.SIGKILL)
        terminal.wait_for_exit()
        terminal.wait_for(lambda: "--lr 1.0" in terminal.text)
        assert terminal.process.returncode == 1
        assert "vgtui: the training process was killed by SIGKILL" in terminal.text
