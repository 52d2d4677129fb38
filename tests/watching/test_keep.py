"""Recordings of watched trainings whose size is bounded: what `keep` takes, and what it makes of a recording."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vgtui
from engine.errors import UsageError
from tests.watching.recorded import frames, notes
from vgtui.watching.keep import keep_seconds

NAMES = ["dense_1", "dense_2", "out"]


@pytest.mark.parametrize(
    ("keep", "seconds"), [("90s", 90), ("10min", 600), ("1.5 h", 5400), (" 2d ", 172_800), ("0.5s", 0.5)]
)
def test_a_time_to_keep_is_read(keep: str, seconds: float) -> None:
    assert keep_seconds(keep) == seconds


@pytest.mark.parametrize("keep", ["", "10", "10m", "min", "-1s", "0s", 600, True, None])
def test_a_wrong_time_to_keep_is_refused(keep: Any) -> None:
    with pytest.raises(UsageError, match='is not a time; it takes one such as "90s", "10min" or "2h"'):
        keep_seconds(keep)


def test_keep_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="give it with record"):
        vgtui.Emitter(NAMES, keep="10min")
    with pytest.raises(TypeError, match="'soon' is not a time"):
        vgtui.Emitter(NAMES, record=tmp_path / "r.jsonl", keep="soon")


def test_every_frame_is_in_a_short_recording_and_what_happened_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    with vgtui.Emitter(NAMES, every=1, record=path, keep="10min") as emitter:
        for step in range(200):
            emitter.emit(step, [1.0, 1.0, 1.0 if step != 150 else 1e4], loss=2.0)
        emitter.note("a new epoch")
    assert [frame.step for frame in frames(path)] == list(range(200))
    marks = notes(path)
    assert "gradient norm 1e+04" in " ".join(marks) and marks[-1] == "a new epoch"


def test_a_path_that_cannot_be_written_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with vgtui.Emitter(NAMES, record="/nonexistent/r.jsonl", keep="10min") as emitter:
        emitter.emit(0, [1.0, 1.0, 1.0])
    assert "model is not recorded: /nonexistent/r.jsonl cannot be written" in caplog.text


SCRIPT = """
import random, sys, vgtui
emitter = vgtui.Emitter(["a", "b", "c"], every=1, record=sys.argv[1], keep="0.2s")
for step in range(10**9):
    size = random.uniform(0.9, 1.1) * (1000 if step == 200 else 1)
    emitter.emit(step, [size, size, size], loss=2.0)
    if step % 100 == 0:
        print(step, flush=True)
"""


def test_a_training_that_is_killed_leaves_a_recording_that_replay_reads(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    inode = 0
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout
        for line in training.stdout:
            inode = inode or (path.stat().st_ino if path.exists() else 0)
            if int(line) >= 1_000 and path.stat().st_ino != inode:
                break
        training.kill()
    steps = [frame.step for frame in frames(path)]
    assert steps[0] == 0 and len(steps) < steps[-1]
    assert set(range(151, 250)) <= set(steps)
    assert any(note.startswith("gradient norm 1.") for note in notes(path))
    told = subprocess.run(
        [sys.executable, "-m", "vgtui", "replay", str(path)], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert told.returncode == 0 and f"{len(steps)} frames" in told.stderr
