"""What is written where something is already: nothing, unless --overwrite says so, and then not before it must be."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from engine.errors import UsageError
from tests.cli.shell import SMALL, call, command
from tests.forms import slow_but
from tests.limits import files_no_longer_than
from vgtui.files.outputs import OutputFile, open_output, writing_whole

LOOK_SECONDS = 0.01
OLD = b"all my work\n"
RUN = ["run", *SMALL, "--steps", "3"]
SWEEP = ["sweep", *SMALL, "--vary", "lr=0.1,0.2", "--steps", "1"]
WRITING = {
    "run.jsonl": [*RUN, "--output", "run.jsonl"],
    "run.csv": [*RUN, "-o", "run.csv"],
    "table.csv": ["export", "recorded.jsonl", "-o", "table.csv"],
    "picture.svg": ["export", "recorded.jsonl", "-o", "picture.svg"],
    "table.parquet": ["export", "recorded.jsonl", "-o", "table.parquet"],
    "page.html": ["report", "recorded.jsonl", "-o", "page.html"],
    "recorded.html": ["report", "recorded.jsonl"],
    "vgtui-report.html": ["report", *SMALL, "--steps", "2"],
    "sweep.jsonl": [*SWEEP, "-o", "sweep.jsonl"],
    "run.npz": [*RUN, "--checkpoint", "run.npz"],
}
"""A file's name, and the command that writes it."""
ANSWER = "is there already; it takes the name of a new file, or --overwrite"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("recorded")
    assert call(*RUN, "-o", "recorded.jsonl", cwd=folder).returncode == 0
    return (folder / "recorded.jsonl").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, recorded: bytes) -> Path:
    (tmp_path / "recorded.jsonl").write_bytes(recorded)
    return tmp_path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


LONG = ("page.html", "vgtui-report.html")
"""Pages with names of another kind; tests/reports makes them too."""


@pytest.mark.parametrize(
    ("name", "words"),
    slow_but(map(list, WRITING.items()), *([name, words] for name, words in WRITING.items() if name not in LONG)),
    ids=WRITING,
)
def test_a_file_that_is_there_is_refused_and_with_overwrite_replaced(folder: Path, name: str, words: list[str]) -> None:
    (folder / name).write_bytes(OLD)
    before = names_in(folder)
    done = call(*words, cwd=folder)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert name in done.stderr
    assert "--overwrite" in done.stderr
    assert (folder / name).read_bytes() == OLD
    assert names_in(folder) == before
    assert call(*words, "--overwrite", cwd=folder).returncode == 0
    assert not (folder / name).read_bytes().startswith(OLD[:1])
    assert names_in(folder) == before


@pytest.mark.parametrize(
    "words",
    [
        [*RUN, "-o", "new.jsonl", "--batch-size", "5000"],
        [*SWEEP, "-o", "new.jsonl", "--scheduler", "tcp://127.0.0.1:9"],
        ["report", "--steps", "3", "--batch-size", "5000", "-o", "new.html"],
        ["export", "recorded.jsonl", "--by", "width,width", "-o", "new.csv"],
    ],
    ids=["run", "sweep", "report", "export"],
)
def test_what_is_refused_leaves_no_file_and_what_was_there(
    folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--scheduler" in words:
        pytest.importorskip("distributed")
        monkeypatch.setattr("vgtui.sweeps.pool.CONNECT_SECONDS", 0.5)
    before = names_in(folder)
    assert call(*words, cwd=folder).returncode == 2
    assert names_in(folder) == before
    name = next(word for word in words if word.startswith("new."))
    (folder / name).write_bytes(OLD)
    assert call(*words, "--overwrite", cwd=folder).returncode == 2
    assert (folder / name).read_bytes() == OLD


FULL = [[name, there] for name in ("table.csv", "table.parquet", "picture.svg", "page.html") for there in (True, False)]


@pytest.mark.parametrize(
    ("name", "there"), slow_but(FULL, ["table.csv", True], ["table.csv", False], ["table.parquet", False])
)
def test_a_disk_that_is_full_halfway_keeps_the_old_file_and_leaves_nothing_of_the_new_one(
    folder: Path, name: str, there: bool
) -> None:
    if there:
        (folder / name).write_bytes(OLD)
    before = names_in(folder)
    with files_no_longer_than(1000):
        done = call(*WRITING[name], "--overwrite", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--output: {name} cannot be written: File too large" in done.stderr
    assert names_in(folder) == before
    assert not there or (folder / name).read_bytes() == OLD


def test_a_replaced_file_keeps_its_permissions_and_a_link_stays_one(folder: Path) -> None:
    (folder / "real.csv").write_bytes(OLD)
    (folder / "real.csv").chmod(0o640)
    (folder / "table.csv").symlink_to("real.csv")
    assert call(*WRITING["table.csv"], "--overwrite", cwd=folder).returncode == 0
    assert (folder / "table.csv").is_symlink()
    assert (folder / "real.csv").read_text().startswith("step,")
    assert (folder / "real.csv").stat().st_mode & 0o777 == 0o640


STREAMED = [RUN, SWEEP, ["export", "recorded.jsonl", "--format", "csv"]]


@contextmanager
def a_file_of_the_shell(folder: Path) -> Iterator[BinaryIO]:
    """One that holds something, and is written on afterwards."""
    with (folder / "out").open("ab") as out:
        out.write(OLD)
        out.flush()
        yield out
        out.write(b"the end\n")
    data = (folder / "out").read_bytes()
    assert data.startswith(OLD) and data.endswith(b"\nthe end\n")
    assert len(data.splitlines()) > 4


@pytest.mark.parametrize("words", STREAMED, ids=lambda w: w[0])
def test_a_descriptor_of_the_shell_is_written_after_what_is_there(folder: Path, words: list[str]) -> None:
    """A file that a shell has opened for us is its own to cut."""
    with a_file_of_the_shell(folder) as out:
        assert call(*words, "-o", f"/dev/fd/{out.fileno()}", cwd=folder).returncode == 0


@pytest.mark.parametrize("words", slow_but(([words] for words in STREAMED), [STREAMED[2]]), ids=lambda w: w[0])
def test_standard_output_by_its_name_is_written_after_what_is_there(folder: Path, words: list[str]) -> None:
    with a_file_of_the_shell(folder) as out:
        written = subprocess.run(
            [*command(*words), "-o", "/dev/stdout"], cwd=folder, stdout=out, stderr=subprocess.PIPE
        )
        assert written.returncode == 0, written.stderr


@pytest.mark.parametrize("words", STREAMED, ids=lambda w: w[0])
def test_a_device_and_a_fifo_are_written_and_stay_what_they_are(folder: Path, words: list[str]) -> None:
    assert call(*words, "-o", "/dev/null", cwd=folder).returncode == 0
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(fifo.read_bytes)
        assert call(*words, "-o", "fifo", cwd=folder).returncode == 0
        assert read.result().count(b"\n") > 2
    assert fifo.is_fifo()


def test_a_checkpoint_takes_a_regular_file_of_its_own(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    done = call(*RUN, "--checkpoint", "fifo", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vgtui: --checkpoint: fifo is not a regular file")
    done = call(*RUN, "--checkpoint", "x", "-o", "./x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("vgtui: --checkpoint: x is the output too")
    assert names_in(tmp_path) == ["fifo"]


def test_of_many_that_make_one_file_at_once_one_has_it(tmp_path: Path) -> None:
    path, start = str(tmp_path / "new.jsonl"), threading.Barrier(20)
    made: list[OutputFile] = []
    refused: list[UsageError] = []

    def make() -> None:
        start.wait()
        try:
            made.append(open_output("output", path))
        except UsageError as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 19)
    assert {error.problem for error in refused} == {f"{path} is being written by another process"}
    os.write(made[0].descriptor, OLD)
    made[0].close()
    with pytest.raises(UsageError, match="is there already"):
        open_output("output", path)


def test_a_run_that_writes_is_not_disturbed_by_a_second_one(tmp_path: Path) -> None:
    endless = ["run", *SMALL, "--steps", "1000000", "--every", "5", "-o", "run.jsonl"]
    with subprocess.Popen(command(*endless), cwd=tmp_path) as process:
        try:
            while not (tmp_path / "run.jsonl").exists() or not (tmp_path / "run.jsonl").stat().st_size:
                assert process.poll() is None
                time.sleep(LOOK_SECONDS)
            done = call(*RUN, "-o", "run.jsonl", "--overwrite", cwd=tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
    assert (done.returncode, done.stderr) == (2, "vgtui: --output: run.jsonl is being written by another process\n")
    assert (tmp_path / "run.jsonl").read_bytes().startswith(b'{"type":"header"')


def test_what_fails_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(OLD)
    with pytest.raises(RuntimeError), writing_whole("output", str(path), overwrite=True) as file:
        file.write(b"half of it")
        raise RuntimeError
    assert path.read_bytes() == OLD
    assert names_in(tmp_path) == ["page.html"]


def test_a_file_that_is_write_protected_is_said_to_be_there_first(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(OLD)
    path.chmod(0o444)
    with pytest.raises(UsageError, match=ANSWER):
        open_output("output", str(path))
