"""Recording and replaying in a real pseudo-terminal: what every way of leaving leaves on the disk."""

import gzip
import os
import shutil
import signal
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from engine.config import NetworkConfig
from tests.cli.shell import call
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.limits import limit_files
from tests.terminal.forked import ForkedTerminal
from tests.terminal.terminal import Terminal
from vgtui.recordings.reader import RecordingReader
from vgtui.wire.frames import Frame, encode_line
from vgtui.wire.run_settings import RunSettings

SMALL = ["--hidden-layers", "3", "--width", "16"]


def steps_in(path: Path) -> tuple[list[int], RecordingReader]:
    reader = RecordingReader(str(path))
    steps = [message.step for message in reader.feed(path.read_bytes()) if isinstance(message, Frame)]
    return steps, reader


@pytest.mark.timing
@pytest.mark.parametrize("name", slow_but(["run.jsonl", "run.jsonl.gz"], "run.jsonl.gz"))
def test_kill_9_loses_at_most_the_last_second(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with ForkedTerminal([*SMALL, "--record", str(path)]) as terminal:
        terminal.wait_for(lambda: path.exists() and len(steps_in(path)[0]) > 10)
        seen: list[tuple[float, int]] = []
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            terminal.read(0.1)
            seen += [(when, step) for when, step in terminal.replay() if step is not None]
        killed = time.monotonic()
        terminal.process.send_signal(signal.SIGKILL)
        terminal.process.wait()
    steps, _ = steps_in(path)
    # what was on the screen more than a second ago, and a little for the busy machine
    old = max(step for when, step in seen if when < killed - 1.3)
    assert max(steps) >= old > 0


WAYS = ("q", "\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.mark.parametrize("way", slow_but(WAYS, "\x03"))
def test_every_other_way_of_leaving_ends_the_file_properly_and_says_where_it_is(
    tmp_path: Path, way: str | signal.Signals
) -> None:
    path = tmp_path / "my run.jsonl.gz"
    with ForkedTerminal([*SMALL, "--record", str(path)]) as terminal:
        terminal.wait_for(lambda: (terminal.step or 0) > 50)
        last = terminal.step
        if isinstance(way, str):
            terminal.press(way)
        else:
            terminal.process.send_signal(way)
        assert terminal.wait_for_exit() == (0 if isinstance(way, str) else 128 + int(way))
        terminal.wait_for(lambda: b"vgtui replay" in terminal.received)
    sentence = f"vgtui: the recording is {path}; see it again with: vgtui replay '{path}'\r\n"
    assert bytes(terminal.received).partition(b"\x1b[?1049l")[2].endswith(sentence.encode())
    assert gzip.decompress(path.read_bytes()).endswith(b"\n")
    steps, reader = steps_in(path)
    assert max(steps) >= (last or 0)
    assert reader.summary() == f"{len(steps)} frames"


def test_a_file_that_is_there_is_recorded_into_with_overwrite_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("all my work\n")
    with ForkedTerminal([*SMALL, "--record", str(path)]) as terminal:
        assert terminal.wait_for_exit() == 2
        assert b"is there already; it takes the name of a new file, or --overwrite" in terminal.received
    assert path.read_text() == "all my work\n"
    with ForkedTerminal([*SMALL, "--record", str(path), "--overwrite"]) as terminal:
        terminal.wait_for(lambda: (terminal.step or 0) > 20)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    assert steps_in(path)[0][0] == 0


def test_a_dashboard_that_cannot_be_opened_leaves_no_recording(tmp_path: Path) -> None:
    settings = tmp_path / "vgtui" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('[keys]\nbatchnorm = "B"\n')
    with ForkedTerminal(["--record", str(tmp_path / "run.jsonl.gz")], XDG_CONFIG_HOME=str(tmp_path)) as terminal:
        assert terminal.wait_for_exit() == 2
        words = f'settings file: {settings}: keys.batchnorm: no action "batchnorm"; did you mean "batch_norm"?'
        assert words.encode() in terminal.received
    assert not (tmp_path / "run.jsonl.gz").exists()


def assert_training_goes_on(terminal: Terminal) -> None:
    before = terminal.step or 0
    terminal.wait_for(lambda: (terminal.step or 0) > before + 50)
    assert "● rec" not in terminal.line
    terminal.press("q")
    assert terminal.wait_for_exit() == 0


@pytest.mark.parametrize(
    ("name", "size"), slow_but([["run.jsonl", 20_000], ["run.jsonl.gz", 5_000]], ["run.jsonl.gz", 5_000])
)
def test_a_full_disk_ends_the_recording_and_training_goes_on(tmp_path: Path, name: str, size: int) -> None:
    path = tmp_path / name
    words = [*SMALL, "--record", str(path), "--fps", "30"]
    with ForkedTerminal(words, before=partial(limit_files, size), PYTHONDONTWRITEBYTECODE="1") as terminal:
        terminal.wait_for(lambda: "● rec" in terminal.line)
        terminal.wait_for(lambda: "the recording ends here; what was written" in terminal.text)
        assert_training_goes_on(terminal)
    assert path.stat().st_size == size
    steps, _ = steps_in(path)
    assert len(steps) > 5


def test_a_folder_that_is_taken_away_ends_the_recording_and_training_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with ForkedTerminal([*SMALL, "--record", str(folder / "run.jsonl")]) as terminal:
        terminal.wait_for(lambda: "● rec" in terminal.line and (folder / "run.jsonl").stat().st_size)
        shutil.rmtree(folder)
        terminal.wait_for(lambda: "the recording ends here; what was written" in terminal.text)
        assert_training_goes_on(terminal)


def lines_of(steps: Iterable[int]) -> list[bytes]:
    """Of a recording with frames at these steps."""
    settings = RunSettings(NetworkConfig(hidden_layers=3, width=16))
    frames = [make_frame(settings, [0.1, 0.2, 0.3, 1.0], step) for step in steps]
    return [encode_line(line) for line in (make_header(settings), *frames)]


def test_a_stream_is_followed_and_keys_come_from_the_terminal() -> None:
    lines = lines_of(range(0, 401, 20))
    out, into = os.pipe()
    os.write(into, b"".join(lines[:5]))
    with Terminal(["replay", "-"], stdin=out) as terminal:
        terminal.wait_for(lambda: "replay following" in terminal.line and terminal.step == 60)
        os.write(into, b"".join(lines[5:]))
        os.close(into)
        terminal.wait_for(lambda: terminal.step == 400 and "replay end" in terminal.line)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    os.close(out)


def test_a_replay_without_a_terminal_is_a_report(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"".join(lines_of(range(0, 21, 2))))
    shown = call("replay", str(path))
    assert shown.returncode == 0
    assert "Gradient by layer at step 20" in shown.stdout
    assert shown.stderr == "vgtui: end of the recording: 11 frames\n"
    wrong = call("replay", __file__)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(f"vgtui: FILE: {__file__} is not a recording")
