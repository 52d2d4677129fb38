"""Recordings as they are written: whole lines, a second at most behind, and what the disk's faults leave."""

import gzip
from pathlib import Path

import pytest

from engine.errors import UsageError
from tests.frames import make_frame, make_header
from vgtui.recordings.writer import FLUSH_SECONDS, Recorder
from vgtui.wire.frames import Event, Line, encode_line
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings()
LINES: list[Line] = [make_header(SETTINGS), make_frame(SETTINGS, [1.0] * 21), Event(step=3, kind="note", message="so")]


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.gz"])
def test_the_lines_are_those_of_the_frame_format_and_gz_is_compressed(tmp_path: Path, name: str) -> None:
    recorder = Recorder(tmp_path / name)
    for line in LINES:
        recorder.write(line)
    recorder.close()
    data = (tmp_path / name).read_bytes()
    assert (gzip.decompress(data) if name.endswith(".gz") else data) == b"".join(map(encode_line, LINES))
    assert recorder.lines == 3
    recorder.close()  # once more does no harm


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.gz"])
def test_what_is_older_than_a_second_is_on_the_disk(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("vgtui.recordings.writer.time.monotonic", lambda: now)
    recorder = Recorder(tmp_path / name)
    recorder.write(LINES[0])
    assert (tmp_path / name).read_bytes() == b""
    now += FLUSH_SECONDS
    recorder.flush_if_due()
    data = (tmp_path / name).read_bytes()
    if name.endswith(".gz"):
        import zlib

        data = zlib.decompressobj(wbits=31).decompress(data)
    assert data == encode_line(LINES[0])
    recorder.abandon()


def test_a_file_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("all my work")
    with pytest.raises(UsageError, match="is there already; it takes the name of a new file"):
        Recorder(file)
    assert file.read_text() == "all my work"


@pytest.mark.parametrize("path", ["/nonexistent/run.jsonl", "/"])
def test_a_path_that_cannot_be_written_says_why(path: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be written: (No such file|Is a directory)"):
        Recorder(path)


def test_a_full_disk_is_an_error_of_the_system_and_the_file_is_closed() -> None:
    recorder = Recorder("/dev/full")
    recorder.write(LINES[0])
    with pytest.raises(OSError, match="No space left"):
        recorder.close()
    recorder.close()


def test_a_file_to_be_replaced_is_kept_until_there_is_something_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text("an earlier run\n")
    Recorder(file, overwrite=True).close()
    assert file.read_text() == "an earlier run\n"
    recorder = Recorder(file, overwrite=True)
    recorder.write(LINES[0])
    assert file.read_text() == "an earlier run\n"
    recorder.close()
    assert file.read_bytes() == encode_line(LINES[0])


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.gz"])
def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path, name: str) -> None:
    Recorder(tmp_path / name).close()
    assert list(tmp_path.iterdir()) == []


def test_two_recordings_are_never_in_one_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    with pytest.raises(UsageError, match="is being written by another process"):
        Recorder(tmp_path / "run.jsonl", overwrite=True)
    recorder.close()
