"""A flight recorder: the last minutes whole, ever less of what is older, and all that lies around what went wrong."""

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace as changed

from engine.errors import UsageError
from engine.verdict import VerdictKind
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.limits import files_no_longer_than
from vgtui.recordings.flight_recorder import FlightRecorder
from vgtui.recordings.moments import AROUND, Moments
from vgtui.recordings.reader import RecordingReader
from vgtui.recordings.ring import MAX_MOMENTS, SEGMENT_FRAMES, Ring
from vgtui.recordings.writer import Recorder
from vgtui.sources.replay import Replay
from vgtui.wire.frames import Event, Frame, Header, Line, Number, encode_line
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings(network=replace(RunSettings().network, hidden_layers=2))
HEADER = make_header(SETTINGS)
FRAME = make_frame(SETTINGS, [1.0, 1.0, 1.0])
KEEP = 600.0
NAMES = pytest.mark.parametrize("name", slow_but(["run.jsonl", "run.jsonl.gz"], "run.jsonl.gz"))


class Fed:
    """A ring with a clock of its own, fed with frames of which one is due each second."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.now = 1000.0
        self.number = 0
        monkeypatch.setattr("vgtui.recordings.flight_recorder.threading", SimpleNamespace(Thread=_NoThread))
        monkeypatch.setattr("vgtui.recordings.flight_recorder.Ring", self._ring)
        self.recorder = FlightRecorder(path, KEEP)
        self.give(HEADER)

    def _ring(self, path: Any, keep: float) -> Ring:
        return Ring(path, keep, clock=lambda: self.now)

    def give(self, line: Line) -> None:
        self.recorder._take(self.now, line)

    def frames(self, count: int, **fields: Any) -> None:
        for _ in range(count):
            self.give(changed(FRAME, step=self.number, **fields))
            self.number += 1
            self.now += 1

    def close(self) -> tuple[list[int], list[Event]]:
        self.recorder._ring.close()
        return read(self.path)


class _NoThread:
    """In place of the recorder's thread: its work is done by the test."""

    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        pass


def read(path: Path) -> tuple[list[int], list[Event]]:
    """The steps of a recording of which nothing is damaged or torn, and its events."""
    reader = RecordingReader(str(path))
    lines = list(reader.feed(path.read_bytes()))
    assert isinstance(lines[0], Header) and not reader.damaged
    return [line.step for line in lines if isinstance(line, Frame)], [line for line in lines if isinstance(line, Event)]


@NAMES
def test_the_last_minutes_are_whole_and_what_is_older_gets_ever_sparser(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = Fed(tmp_path / name, monkeypatch)
    fed.frames(10_000)
    steps, _ = fed.close()
    assert steps == sorted(set(steps)) and steps[0] == 0
    assert [step for step in steps if step >= 10_000 - KEEP] == list(range(10_000 - int(KEEP), 10_000))
    for level, (first, last) in enumerate([(1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0)], start=1):
        ages = [step for step in steps if first * KEEP < 10_000 - step <= last * KEEP]
        # a level has what it ought to have, or, in two segments that wait to be merged, as much as the one before
        least = [step for step in range(10_000) if step % 2**level == 0 and first * KEEP < 10_000 - step <= last * KEEP]
        assert set(least) <= set(ages) and len(ages) <= 2 * len(least) + 2 * SEGMENT_FRAMES


def test_the_size_is_bounded_however_long_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed(tmp_path / "run.jsonl.gz", monkeypatch)
    frames = []
    for doubling in range(4):
        fed.frames(2_000 * 2**doubling - fed.number)
        kept = fed.recorder._ring.frames
        levels = 1 + np.log2(fed.number / KEEP)
        assert kept <= 9 / 8 * (KEEP * (1 + levels / 2) + (levels + 2) * SEGMENT_FRAMES)
        frames.append(kept)
    # each doubling of the time adds the same
    assert np.diff(frames).max() < 2 * (KEEP / 2 + SEGMENT_FRAMES)
    before = fed.path.stat().st_size
    fed.frames(2_000)
    assert fed.path.stat().st_size < before + 2_000 * len(encode_line(FRAME))


@NAMES
def test_what_lies_around_a_spike_a_nan_and_a_new_verdict_stays_whole_and_is_marked(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = Fed(tmp_path / name, monkeypatch)
    fed.frames(1001)
    fed.frames(1, loss=Number(50.0))
    fed.frames(500)
    fed.frames(1, loss=Number("nan"))
    fed.frames(500)
    fed.frames(1, verdict=replace(FRAME.verdict, kind="vanishing"))
    fed.frames(8_000, verdict=replace(FRAME.verdict, kind="vanishing"))
    steps, events = fed.close()
    for moment in (1001, 1502, 2003):
        whole = range(moment - AROUND, moment + AROUND + 1)
        assert set(whole) <= set(steps)
        assert len([step for step in steps if moment - 300 <= step < moment - AROUND]) < 50
    assert [event.step for event in events] == [1001, 1502, 2003]
    assert events[0].message.startswith("loss 50, ") and "σ above the last ones" in events[0].message
    assert events[1].message == "the loss or a gradient is NaN or ∞"
    assert events[2].message == f"verdict: {FRAME.verdict.kind} → vanishing"


def test_a_verdict_that_goes_from_calm_to_calm_is_no_moment() -> None:
    moments, found = Moments(), []
    kinds: list[VerdictKind] = ["starting", "healthy", "converged", "healthy", "vanishing", "healthy", "converged"]
    for number, kind in enumerate(kinds):
        frame = changed(FRAME, verdict=replace(FRAME.verdict, kind=kind))
        found.append(moments.take(frame, number, float(number)))
    words = [moment.message for moment in found if moment]
    assert words == ["verdict: healthy → vanishing", "verdict: vanishing → healthy"]


def test_moments_without_end_are_bounded_and_the_first_nan_and_the_largest_spikes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = Fed(tmp_path / "run.jsonl", monkeypatch)
    fed.frames(300)
    for number in range(60):
        fed.frames(1, loss=Number("nan") if number == 7 else Number(100.0 + number))
        fed.frames(99)
    fed.frames(3000)
    levels = 1 + int(np.log2(fed.number / KEEP))
    assert len(fed.recorder._ring._moments) <= (levels + 1) * MAX_MOMENTS + KEEP / 100
    steps, events = fed.close()
    assert 1000 in [event.step for event in events]
    assert set(range(1000 - AROUND, 1000 + AROUND + 1)) <= set(steps)


def test_a_full_disk_while_it_is_written_anew_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed(tmp_path / "run.jsonl", monkeypatch)
    fed.frames(1_000)
    size = fed.path.stat().st_size

    def fails(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vgtui.files.atomic.os.fsync", fails)
        fed.frames(1_000)
        assert fed.path.stat().st_size > size
        assert read(fed.path)[0][:1_500] == list(range(1_500))
        assert [path.name for path in tmp_path.iterdir()] == ["run.jsonl"]
    fed.frames(4_000)
    assert len(fed.close()[0]) < 4_000


def test_a_file_that_was_moved_away_is_told_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed(tmp_path / "run.jsonl", monkeypatch)
    fed.frames(700)
    fed.path.rename(tmp_path / "mine.jsonl")
    fed.frames(3_000)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]
    fed.recorder._ring.close()
    assert read(tmp_path / "mine.jsonl")[0] == list(range(3_700))


def test_a_second_recording_of_the_same_file_is_refused_after_it_was_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = Fed(tmp_path / "run.jsonl", monkeypatch)
    inode = fed.path.stat().st_ino
    fed.frames(3_000)
    assert fed.path.stat().st_ino != inode
    with pytest.raises(UsageError, match="is being written by another process"):
        Recorder(fed.path, overwrite=True)
    fed.close()


def test_what_is_no_regular_file_is_refused() -> None:
    with pytest.raises(UsageError, match="/dev/null is not a regular file"):
        FlightRecorder("/dev/null", KEEP)


@NAMES
def test_a_thread_writes_all_lines_and_closing_waits_for_them(tmp_path: Path, name: str) -> None:
    recorder = FlightRecorder(tmp_path / name, KEEP)
    recorder.write(HEADER)
    for step in range(500):
        recorder.write(changed(FRAME, step=step))
    recorder.close()
    assert read(tmp_path / name)[0] == list(range(500))


def test_a_full_disk_is_an_error_of_the_next_line_and_what_was_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with files_no_longer_than(100_000):
        recorder = FlightRecorder(path, KEEP)
        recorder.write(HEADER)
        with pytest.raises(OSError, match="too large"):
            for step in itertools.count():
                recorder.write(changed(FRAME, step=step))
                time.sleep(0.0001)  # or the thread has no turn
        recorder.abandon()
    assert len(read(path)[0]) > 10


def test_what_a_slow_disk_does_not_take_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = Fed(tmp_path / "run.jsonl", monkeypatch)
    for step in range(1_030):
        fed.recorder.write(changed(FRAME, step=step))
    while not fed.recorder._queue.empty():
        fed.recorder._take(*fed.recorder._queue.get())  # type: ignore[misc]
    steps, (event,) = fed.close()
    assert len(steps) == 1_024 and event.message == "6 frames were left out: the disk is too slow"


WRITER = """
import sys, time
from tests.recordings.test_flight_recorder import FRAME, HEADER, changed
from vgtui.recordings.flight_recorder import FlightRecorder
recorder = FlightRecorder(sys.argv[1], 0.2)
recorder.write(HEADER)
for step in range(10**9):
    recorder.write(changed(FRAME, step=step))
    if step % 20 == 0:
        print(step, time.monotonic(), flush=True)
    time.sleep(0.0002)
"""


@pytest.mark.timing
@NAMES
def test_kill_9_loses_at_most_the_last_seconds_and_the_file_is_whole_at_any_moment(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        told = []
        inodes = set()
        for line in _lines_until(writer, time.monotonic() + 20):
            step, when = line.split()
            told.append((int(step), float(when)))
            if path.exists() and path.stat().st_size:
                inodes.add(path.stat().st_ino)
                if len(told) % 25 == 0:
                    read(path)
            if len(inodes) > 3:
                break
        writer.send_signal(signal.SIGKILL)
        killed = time.monotonic()
    steps, _ = read(path)
    assert len(inodes) > 3, "it was never written anew"
    assert steps[0] == 0 and steps[-1] >= max(step for step, when in told if when < killed - 1.5)
    assert len(steps) < steps[-1] / 2


def _lines_until(process: "subprocess.Popen[str]", end: float) -> Iterator[str]:
    assert process.stdout
    for line in process.stdout:
        yield line
        if time.monotonic() > end:
            return


def test_a_steady_run_has_no_moments_and_a_fall_is_no_spike() -> None:
    moments = Moments()
    generator = np.random.default_rng(0)
    for number in range(2_000):
        loss = Number(0.5 + 2.0 * 0.999**number + 0.05 * generator.standard_normal())
        norms = np.exp(0.3 * generator.standard_normal(3))
        frame = changed(FRAME, loss=loss, layers=replace(FRAME.layers, grad_norm=norms))
        assert moments.take(frame, number, 0.0) is None
    frame = changed(FRAME, loss=loss, layers=replace(FRAME.layers, grad_norm=np.array([1.0, 300.0, 1.0])))
    moment = moments.take(frame, 2_000, 0.0)
    assert moment and moment.message.startswith("gradient norm 300, ")


def test_a_recording_without_a_loss_or_a_gradient_has_moments_of_the_verdict_alone() -> None:
    moments = Moments()
    unknown = np.ma.MaskedArray(np.zeros(3), mask=True)
    for number in range(100):
        frame = changed(FRAME, loss=None, layers=replace(FRAME.layers, grad_norm=unknown))
        assert moments.take(frame, number, 0.0) is None


def test_the_timeline_of_a_replay_shows_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = Fed(tmp_path / "run.jsonl.gz", monkeypatch)
    fed.frames(100)
    fed.frames(1, loss=Number(99.0))
    fed.frames(3_000)
    fed.close()
    source = Replay(str(fed.path))
    source.skip(1.0)

    async def played() -> list[Line]:
        lines: list[Any] = []
        while not source.ended:
            lines.append(await source.next_answer())
        await source.close()
        return lines

    lines = asyncio.run(played())
    (place,) = [
        place for place, line in enumerate(lines) if isinstance(line, Event) and line.message.startswith("loss 99")
    ]
    before = lines[place - 1]
    assert isinstance(before, Frame) and before.step == 100
