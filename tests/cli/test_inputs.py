"""What is read may come through a pipe: nothing of it is lost by looking at it first."""

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.shell import SMALL, call, command
from tests.forms import slow_but

READING = {
    "export": ["export", "FILE", "-o", "-"],
    "export of a sweep": ["export", "FILE", "-o", "-"],
    "report": ["report", "FILE", "-o", "-"],
    "report of a sweep": ["report", "FILE", "-o", "-"],
    "plot of a sweep": ["plot", "FILE"],
    "replay": ["replay", "FILE"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs")
    call("run", *SMALL, "--steps", "6", "--every", "2", "--output", "run.jsonl", cwd=path)
    call("sweep", *SMALL, "--vary", "lr=0.1,0.2", "--steps", "2", "-o", "sweep.jsonl", cwd=path)
    return path


WAYS = ["-", "/dev/stdin", "fifo"]
SHORT = [["export", "-"], ["plot of a sweep", "/dev/stdin"], ["replay", "fifo"]]
"""Without --slow: every way once."""


@pytest.mark.parametrize(("name", "way"), slow_but(([name, way] for name in READING for way in WAYS), *SHORT))
def test_what_comes_through_a_pipe_is_read_from_its_first_byte(
    folder: Path, tmp_path: Path, name: str, way: str
) -> None:
    pytest.importorskip("matplotlib")
    words = READING[name]
    source = folder / ("sweep.jsonl" if "sweep" in name else "run.jsonl")
    whole = call(*(str(source) if word == "FILE" else word for word in words))
    assert (whole.returncode, whole.stdout != "") == (0, True)
    path = str(tmp_path / "fifo") if way == "fifo" else way
    words = [path if word == "FILE" else word for word in words]
    if way == "fifo":
        os.mkfifo(path)
        writing = threading.Thread(target=lambda: Path(path).write_bytes(source.read_bytes()))
        writing.start()
        done = subprocess.run(command(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        writing.join()
    else:
        done = subprocess.run(command(*words), capture_output=True, text=True, input=source.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stdout == whole.stdout


def test_a_page_of_a_pipe_has_a_name_of_its_own(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    read_end, write_end = os.pipe()
    with open(read_end, "rb"), ThreadPoolExecutor(1) as writer, open(write_end, "wb") as pipe:

        def write() -> None:
            pipe.write((folder / "run.jsonl").read_bytes())
            pipe.close()

        writer.submit(write)
        done = call("report", f"/dev/fd/{read_end}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "vgtui: the page is vgtui-report.html\n")
    assert (tmp_path / "vgtui-report.html").exists()


@pytest.mark.parametrize("command_words", [["export", "FILE", "-o", "x.csv"], ["report", "FILE"], ["plot", "FILE"]])
@pytest.mark.parametrize("path", ["nope", "/"])
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, command_words: list[str], path: str) -> None:
    done = call(*(path if word == "FILE" else word for word in command_words), cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"vgtui: FILE: {path} cannot be read: ")
