"""`vgtui top` without a screen: a table, lines of JSON, exit codes, and other machines over what stands for SSH."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import vgtui
from tests.cli.shell import call, command
from tests.cli.trained import LAYERS, trained
from vgtui.sources import hosts, trainings
from vgtui.user.variables import SSH_VARIABLE

ROOT = Path(__file__).parents[2]
CALM = (0.9, 1.0)
REMOTE = f"{shlex.quote(sys.executable)} -m vgtui"


def rows(*words: str) -> list[dict[str, Any]]:
    done = call("top", "--once", "--json", *words)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def ssh(folder: Path, script: str) -> str:
    """A command in place of ssh: `$1` is the host, and what follows is for the shell there."""
    path = folder / "ssh"
    path.write_text(f"#!/bin/sh\nhost=$1; shift\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_table_has_a_line_for_each_training() -> None:
    with trained("starves"), trained("learns", CALM):
        done = call("top", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["name", "pid", "step", "steps/s", "loss", "worst", "layer", "gradient", "verdict"]
    assert [line.split()[:2] for line in lines] == [[name, str(os.getpid())] for name in ("learns", "starves")]
    assert lines[1].split()[-4:] == ["stem", "×", "1.0e-09", "vanishing"]


def test_a_line_of_json_has_all_that_is_known() -> None:
    with trained("conv", loss=None) as emitter:
        (row,) = rows()
        assert row["name"] == "conv" and row["pid"] == os.getpid() and row["socket"] == emitter.path
    assert (row["host"], row["state"], row["framework"], row["layers"]) == ("", "training", "PyTorch", 2)
    assert (row["worst_layer"], row["worst_ratio"], row["worst_health"]) == ("stem", 1e-9, "vanished")
    assert row["verdict"] == "vanishing" and row["message"].startswith("vanishing: stem (Conv2d) gets 1e-09 of")
    assert row["loss"] is None and row["losses"] == [] and row["step"] > 0 and row["gpus"] == []


def test_numbers_that_are_not_finite_stay_what_they_are() -> None:
    with trained("broken", (float("nan"), 1.0), float("inf")):
        (row,) = rows()
    assert (row["loss"], row["worst_health"], row["verdict"]) == ("Infinity", "NaN", "non-finite")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("vanishing", 1),
        ("exploding,vanishing", 1),
        ("any", 1),
        ("exploding", 0),
        ("vanished", 0),
        ("dead", 0),
    ],
)
def test_the_exit_code_says_whether_a_verdict_is_one_of_those(words: str, code: int) -> None:
    with trained("starves"), trained("learns", CALM):
        done = call("top", "--once", "--json", "--fail-on", words)
    assert (done.returncode, done.stderr) == (code, "")
    assert len(done.stdout.splitlines()) == 2


def test_vanishing_stands_for_gradients_that_have_vanished_too() -> None:
    with trained("gone", (0.0, 1.0)):
        assert rows()[0]["verdict"] == "vanished"
        assert call("top", "--once", "--fail-on", "vanishing").returncode == 1


def test_where_nothing_is_watched_a_sentence_says_so_and_the_exit_code_is_0() -> None:
    for words in ((), ("--json",), ("--fail-on", "any")):
        done = call("top", "--once", *words)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.startswith("vgtui: nothing is watched; vgtui.watch(model, optimizer) in a training script")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--once", "--fail-on", "vanishng"), 'no verdict "vanishng"; did you mean "vanishing"?'),
        (("--once", "--fail-on", ""), 'no verdict ""'),
        (("--fail-on", "any"), "--fail-on: needs --once"),
        (("--once", "--host", "-oProxyCommand=x"), '"-oProxyCommand=x" is not a host'),
        (("--once", "--ssh", "'"), '--ssh: "\'" is not a command'),
        (("--once", "--host", ""), '"" is not a host'),
    ],
)
def test_a_wrong_word_is_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    words = tuple(word.replace("--host", "--host=") if word == "--host" else word for word in words)
    if "--host=" in words:
        words = ("--once", f"--host={words[-1]}")
    done = call("top", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert done.stderr.count(" exploding,") <= 1


def test_a_training_that_gives_no_frame_is_shown_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "FIRST_SECONDS", 0.2)
    with vgtui.Emitter(LAYERS, name="loads"), vgtui.Emitter(name="early"), trained("conv"):
        found = rows()
        table = call("top", "--once").stdout
    assert [(row["name"], row["state"], row["verdict"]) for row in found] == [
        ("conv", "training", "vanishing"),
        ("early", "waiting", None),
        ("loads", "waiting", None),
    ]
    assert table.count("no frame yet") == 2


def test_a_name_commands_no_terminal() -> None:
    with trained("x\x1b[31m\nred"):
        done = call("top", "--once")
    assert "x�[31m�red" in done.stdout and "\x1b" not in done.stdout


def test_a_stream_gives_a_round_each_second_until_its_reader_has_enough() -> None:
    with trained("conv"):
        process = subprocess.Popen(
            command("top", "--json"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout and process.stderr
        steps: list[int] = []
        while len(steps) < 2:
            line = process.stdout.readline()
            if line.strip():
                row = json.loads(line)
                steps += [row["step"]] if row["step"] else []
        process.stdout.close()
        assert process.wait(30) == 0 and process.stderr.read() == b""
        process.stderr.close()
    assert steps[0] < steps[1]


def test_hosts_are_asked_over_ssh_beside_this_machine(tmp_path: Path) -> None:
    through = ssh(tmp_path, f'echo "$host: $*" >> {tmp_path}/asked\nexec sh -c "$*"')
    with trained("conv"):
        found = rows("--host", "gpu1", "--host", "gpu2", "--ssh", through, "--remote", REMOTE)
        table = call(
            "top", "--once", "--host", "gpu1", "--remote", REMOTE, "--fail-on", "any", env={SSH_VARIABLE: through}
        )
    assert [row["host"] for row in found] == ["", "gpu1", "gpu2"]
    assert len({(row["name"], row["pid"], row["socket"]) for row in found}) == 1
    asked = (tmp_path / "asked").read_text().splitlines()
    assert sorted(asked)[:2] == [f"gpu1: {REMOTE} top --json --once"] * 2
    assert table.returncode == 1
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["host", "here", "gpu1"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'ssh: connect to host gpu1 port 22: Connection refused' >&2; exit 255", "Connection refused"),
        ("sh -c vgtui-is-not-here-at-all", "vgtui is not found there; --remote says how it is called"),
        ("echo Welcome", "answers with something else than trainings"),
        ("exit 3", "ended with exit code 3"),
        ("exec sleep 100", "has not answered for"),
    ],
)
def test_a_host_that_fails_is_a_row_with_its_reason(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "ANSWER_SECONDS", 0.5)
    words = ("top", "--once", "--host", "gpu1", "--ssh", ssh(tmp_path, script))
    with trained("conv"):
        table = call(*words)
        lines = call(*words, "--json", "--fail-on", "exploding")
    assert table.returncode == 0 and table.stderr == ""
    assert table.stdout.splitlines()[-1].startswith("gpu1: ") and reason in table.stdout.splitlines()[-1]
    assert "conv" in table.stdout
    assert lines.returncode == 1 and lines.stderr.startswith("vgtui: gpu1: ") and reason in lines.stderr
    assert json.loads(lines.stdout.splitlines()[-1])["state"] == "failed"


def test_an_ssh_that_is_not_there_is_a_row_too() -> None:
    done = call("top", "--once", "--host", "gpu1", "--ssh", "/nowhere/ssh -p 2222")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "gpu1: /nowhere/ssh cannot be started: No such file or directory"


@pytest.mark.slow
def test_a_real_model_in_a_process_of_its_own_and_then_without_its_fault() -> None:
    pytest.importorskip("torch")
    for words, code, kinds in (((), 1, {"vanishing"}), (("--cured",), 0, {"healthy", "starting"})):
        script = [sys.executable, str(ROOT / "examples/mlp.py"), "--steps", "1000000", *words]
        with subprocess.Popen(script, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
            try:
                deadline = time.monotonic() + 60
                while (done := call("top", "--once", "--json", "--fail-on", "vanishing")).stdout == "":
                    assert time.monotonic() < deadline
                (row,) = map(json.loads, done.stdout.splitlines())
                while row["verdict"] in (None, "starting") and time.monotonic() < deadline:
                    done = call("top", "--once", "--json", "--fail-on", "vanishing")
                    (row,) = map(json.loads, done.stdout.splitlines())
                assert (row["name"], row["pid"], row["layers"]) == ("mlp", process.pid, 15)
                assert row["verdict"] in kinds and done.returncode == code
            finally:
                process.send_signal(signal.SIGKILL)
        assert call("top", "--once").stderr.startswith("vgtui: nothing is watched")
