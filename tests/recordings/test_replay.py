"""A recording as a frame source: its time, its speeds, its end, and files that still grow."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from engine.config import NetworkConfig
from engine.errors import UsageError
from tests.frames import make_frame, make_header
from vgtui.sources.base import Experiment, Player
from vgtui.sources.replay import Replay
from vgtui.wire.frames import Event, Frame, Header, encode_line
from vgtui.wire.protocol import Answer
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings(NetworkConfig(hidden_layers=3, width=8))
STEPS_APART = 80
"""A tenth of a second, at the 800 steps a second of these frames."""


def frame_line(number: int) -> bytes:
    return encode_line(make_frame(SETTINGS, [0.1, 0.2, 0.3, 1.0], step=STEPS_APART * number))


def write(path: Path, frames: int) -> str:
    path.write_bytes(encode_line(make_header(SETTINGS)) + b"".join(map(frame_line, range(frames))))
    return str(path)


async def take(source: Replay, frames: int) -> list[Answer]:
    """The next answers, as many frames among them."""
    answers: list[Answer] = []
    while sum(isinstance(answer, Frame) for answer in answers) < frames:
        answers.append(await source.next_answer())
    return answers


async def nothing_comes(source: Replay) -> "asyncio.Task[Answer]":
    question = asyncio.ensure_future(source.next_answer())
    done, _ = await asyncio.wait([question], timeout=0.25)
    assert not done
    return question


@pytest.mark.timing
async def test_frames_come_in_the_time_that_their_steps_took_and_faster_at_a_higher_speed(tmp_path: Path) -> None:
    taken = []
    for faster in (0, 3):
        source = Replay(write(tmp_path / "run.jsonl", 5))
        for _ in range(faster):
            source.change_speed(1)
        answers = await take(source, 1)
        assert isinstance(answers[0], Header)
        begin = time.monotonic()
        await take(source, 4)
        taken.append(time.monotonic() - begin)
        await source.close()
    assert taken[0] > 0.35  # four frames, a tenth of a second apart
    assert taken[1] < taken[0] / 2


async def test_a_pause_holds_and_single_frames_come_one_by_one(tmp_path: Path) -> None:
    source = Replay(write(tmp_path / "run.jsonl", 9))
    await take(source, 1)
    source.pause()
    question = await nothing_comes(source)
    source.step_once()
    frame = await question
    assert isinstance(frame, Frame) and frame.step == STEPS_APART
    question = await nothing_comes(source)
    source.train()
    assert isinstance(await question, Frame)


@pytest.mark.timing
async def test_a_skip_takes_its_share_at_once_also_while_paused(tmp_path: Path) -> None:
    source = Replay(write(tmp_path / "run.jsonl", 200))
    source.pause()
    source.skip(0.5)
    begin = time.monotonic()
    answers = await take(source, 99)
    assert time.monotonic() - begin < 2
    assert source.pace.endswith(("49 %", "50 %"))
    source.skip(1.0)
    await take(source, 101)
    end = await source.next_answer()
    assert isinstance(end, Event) and end.message == "end of the recording: 200 frames"
    assert (source.ended, source.pace) == (True, "end")
    assert isinstance(answers[-1], Frame)


async def test_a_file_that_grows_is_followed_beyond_its_end(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    source = Replay(write(path, 1))
    with path.open("ab") as file:
        file.write(frame_line(1)[:50])
        file.flush()
        await take(source, 1)
        end = await source.next_answer()
        assert isinstance(end, Event) and "the last line is torn" in end.message
        file.write(frame_line(1)[50:])
    (frame,) = await take(source, 1)
    assert isinstance(frame, Frame) and frame.step == STEPS_APART


async def test_standard_input_is_followed_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    os.write(into, encode_line(make_header(SETTINGS)) + frame_line(0))
    with os.fdopen(out) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        source = Replay("-")
        assert source.pace == "following"
        await take(source, 1)
        question = await nothing_comes(source)
        os.write(into, frame_line(1))
        assert isinstance(await question, Frame)
        os.close(into)
        end = await source.next_answer()
        assert isinstance(end, Event) and end.message == "end of the stream: 2 frames"
        await source.close()


async def test_a_named_pipe_is_followed_like_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    into = os.open(path, os.O_RDWR)
    os.write(into, encode_line(make_header(SETTINGS)) + frame_line(0))
    source = Replay(str(path))
    assert source.pace == "following"
    await take(source, 1)
    await source.close()
    os.close(into)


@pytest.mark.parametrize(
    ("path", "words"),
    [("/nonexistent.jsonl", "No such file"), ("/", "Is a directory"), (__file__, "is not a recording")],
)
def test_what_is_no_recording_is_refused_before_anything_is_shown(path: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Replay(path)


def test_it_is_a_player_and_no_experiment(tmp_path: Path) -> None:
    source = Replay(write(tmp_path / "run.jsonl", 1))
    assert isinstance(source, Player)
    assert not isinstance(source, Experiment)


@pytest.mark.timing
async def test_a_large_recording_begins_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, 1)
    block = b"".join(map(frame_line, range(1, 2000)))
    with path.open("ab") as file:
        for _ in range(2**25 // len(block)):
            file.write(block)
    begin = time.monotonic()
    source = Replay(str(path))
    await take(source, 1)
    assert time.monotonic() - begin < 0.5
