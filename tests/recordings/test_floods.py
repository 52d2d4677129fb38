"""Recordings of a great many lines of one kind: memory is bounded, and between any two lines others have their turn."""

import asyncio
import os
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from engine.config import NetworkConfig
from tests.frames import make_frame, make_header
from vgtui.reports.summary import read_summaries
from vgtui.sources import replay as replaying
from vgtui.sources.replay import Replay
from vgtui.wire.frames import Event, Frame, encode_line
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings(NetworkConfig(hidden_layers=3, width=8))
OTHER = RunSettings(NetworkConfig(hidden_layers=3, width=16))
HEADER, OTHER_HEADER = encode_line(make_header(SETTINGS)), encode_line(make_header(OTHER))
FRAME = encode_line(make_frame(SETTINGS, [0.1, 0.2, 0.3, 1.0]))
MANY = 1100


def notes() -> Iterator[bytes]:
    for number in range(10**9):
        yield encode_line(Event(step=0, kind="note", message=f"note {number} " + 500 * "x"))


def changes() -> Iterator[bytes]:
    for number in range(10**9):
        yield encode_line(Event(step=0, kind="change", message=f"change {number} " + 500 * "x"))


def runs() -> Iterator[bytes]:
    while True:
        yield from (HEADER, FRAME, OTHER_HEADER, FRAME)


def headers() -> Iterator[bytes]:
    while True:
        yield from (HEADER, OTHER_HEADER)


def verdicts() -> Iterator[bytes]:
    for number in range(10**9):
        yield FRAME.replace(b'"message":"', b'"message":"verdict %d ' % number + 500 * b"x")


def damaged() -> Iterator[bytes]:
    while True:
        yield b'{"type":"frame"}\n'


FLOODS = [notes, changes, runs, headers, verdicts, damaged]


@pytest.mark.parametrize("flood", FLOODS)
async def test_others_have_their_turn_between_any_two_lines(
    tmp_path: Path, flood: Callable[[], Iterator[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "BREATH_SECONDS", 0.0)  # after every line, and not after so long a time
    path = tmp_path / "run.jsonl"
    last = FRAME.replace(b'"step":0', b'"step":77')
    path.write_bytes(HEADER + b"".join(islice(flood(), MANY)) + HEADER + last)
    source, turns = Replay(str(path)), 0
    source.skip(1.0)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(count())
    while not (isinstance(answer := await source.next_answer(), Frame) and answer.step == 77):
        pass
    others.cancel()
    await source.close()
    assert turns > MANY


@pytest.mark.parametrize("flood", FLOODS)
def test_the_story_of_a_flood_takes_no_more_memory_the_longer_it_is(
    tmp_path: Path, flood: Callable[[], Iterator[bytes]]
) -> None:
    kept = []
    for times in (1, 2):
        path = tmp_path / f"{times}.jsonl"
        path.write_bytes(HEADER + FRAME + b"".join(islice(flood(), times * MANY)))
        (summary,) = read_summaries(str(path))
        kept.append(len(pickle.dumps(summary)))
    assert kept[1] < 1.5 * kept[0]


async def test_a_silent_named_pipe_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    into = os.open(path, os.O_RDWR)
    os.write(into, HEADER)
    source = Replay(str(path))
    await source.next_answer()
    question = asyncio.ensure_future(source.next_answer())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not question.done()
    question.cancel()
    await source.close()
    os.close(into)


async def test_a_file_that_is_closed_during_a_read_is_closed_once_the_read_is_done(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(HEADER + FRAME * 500)
    before = len(os.listdir("/proc/self/fd"))
    source = Replay(str(path))
    asking = asyncio.ensure_future(_drain(source))
    while source._reading is None:
        await asyncio.sleep(0)
    asking.cancel()
    await source.close()
    await asyncio.gather(source._reading)
    while len(os.listdir("/proc/self/fd")) > before:
        await asyncio.sleep(0)


async def _drain(source: Replay) -> None:
    source.skip(1.0)
    while True:
        await source.next_answer()
