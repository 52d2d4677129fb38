"""Runs, recordings, checkpoints and sweeps that are killed at random moments: all of it can be read, and resumed."""

import random
from pathlib import Path

import pytest

from tests.outside.kills import kill_checkpoints, kill_recording, kill_run, kill_sweep, whole_run

KILLS = 3
"""Of each with --slow, and one without; `python -m benchmarks.attack` does a hundred."""


@pytest.fixture
def kills(long_form: bool) -> int:
    return KILLS if long_form else 1


def test_what_a_killed_run_has_written_can_be_read(tmp_path: Path, kills: int) -> None:
    chance = random.Random(1)
    assert [kill_run(tmp_path, chance, 3) for _ in range(kills)] == [None] * kills


@pytest.mark.slow
def test_what_a_killed_dashboard_has_recorded_can_be_read_and_no_process_stays(tmp_path: Path, kills: int) -> None:
    chance = random.Random(2)
    assert [kill_recording(tmp_path, chance) for _ in range(kills)] == [None] * kills


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_writes_what_one_never_killed_writes(tmp_path: Path, kills: int) -> None:
    _, fault = kill_checkpoints(tmp_path, random.Random(3), whole_run(tmp_path), seconds=4, most=kills)
    assert fault is None


@pytest.mark.slow
def test_a_sweep_that_is_killed_and_called_again_has_every_row(tmp_path: Path, kills: int) -> None:
    _, fault = kill_sweep(tmp_path, random.Random(4), seconds=4, most=kills)
    assert fault is None
