"""Where a progress bar is drawn: on a terminal that nobody else draws on."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import SMALL, call, command
from tests.forms import slow_but

BARS = {
    "run": ["run", *SMALL, "--steps", "300", "--format", "jsonl"],
    "sweep": ["sweep", *SMALL, "--vary", "lr=0.1,0.2", "--steps", "3", "-o", "-"],
    "report": ["report", *SMALL, "--steps", "300", "-o", "-"],
    "bench": ["bench", "--seconds", "0.5"],
    "doctor": ["doctor"],
}


def drawn(words: list[str], stdout: int, folder: Path) -> bytes:
    """What a command writes on the terminal that its standard error is."""
    master, slave = pty.openpty()
    found = bytearray()
    with subprocess.Popen(
        command(*words),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color"},
    ) as process:
        os.close(slave)
        if process.stdout:
            process.stdout.read()
        while True:
            try:
                found += os.read(master, 65536)
            except OSError:  # the program has gone
                break
        os.close(master)
    assert process.returncode == 0, found
    return bytes(found)


@pytest.mark.parametrize("words", slow_but([[words] for words in BARS.values()], [BARS["run"]]), ids=BARS)
def test_there_is_no_bar_beside_a_pipe_whose_reader_may_draw_there_too(words: list[str], tmp_path: Path) -> None:
    if words[0] == "report":
        pytest.importorskip("matplotlib")
    assert drawn(words, subprocess.PIPE, tmp_path) == b""


def test_there_is_none_where_the_output_is_a_pipe_by_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(["cat", "fifo"], cwd=tmp_path, stdout=subprocess.DEVNULL):
        assert drawn([*BARS["run"], "-o", "fifo"], subprocess.DEVNULL, tmp_path) == b""


def test_there_is_one_where_the_output_is_a_file(tmp_path: Path) -> None:
    assert b"training" in drawn([*BARS["run"], "-o", "run.jsonl"], subprocess.DEVNULL, tmp_path)


def test_nothing_of_it_is_written_without_a_terminal(tmp_path: Path) -> None:
    assert call(*BARS["run"], cwd=tmp_path).stderr == ""
