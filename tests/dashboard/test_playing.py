"""Pausing, resuming and playing again: what the keys do, and what the screen says they do."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.dashboard.sitting import Sitting, make_dashboard, open_dashboard
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.scripted_run import ScriptedRun, ScriptedSource, vanishing
from vgtui.model.differences import settings_from_header
from vgtui.recordings.writer import Recorder
from vgtui.sources.replay import Replay
from vgtui.wire.frames import encode_line
from vgtui.wire.run_settings import RunSettings

FRAMES = 30
SLOWEST = ["less_than_sign"] * 3
RECORDED: dict[tuple[str, ...], bytes] = {}
"""Finished recordings, by their keys."""


def timeline(sitting: Sitting) -> str:
    """The line above the keys, even if a notice covers it."""
    return "".join(strip.text for strip in sitting.app.main._timeline._lines)


def notices(sitting: Sitting) -> str:
    return "\n".join(notice.message for notice in sitting.app._notifications)


def keys(sitting: Sitting) -> str:
    return sitting.text.split("\n")[-1]


def steps(sitting: Sitting) -> list[float]:
    """The steps of all frames played."""
    history = sitting.app.main.state.history
    return [float(step) for step in history.scalars.step]


async def record(path: Path, *keys_between: str) -> None:
    """Record a run of FRAMES frames, ten steps apart, and another one after each key."""
    what = (path.suffix, *keys_between)
    if what in RECORDED:
        path.write_bytes(RECORDED[what])
        return
    recorder = Recorder(path)
    async with open_dashboard(ScriptedRun(RunSettings(), frames=FRAMES), recorder=recorder) as sitting:
        await sitting.until(lambda: sitting.app.main.state.history.length == FRAMES)
        for number, key in enumerate(keys_between, start=2):
            await sitting.press(key)
            wanted = number * FRAMES
            await sitting.until(lambda wanted=wanted: sitting.app.main.state.history.length == wanted)  # type: ignore[misc]
    recorder.close()
    RECORDED[what] = path.read_bytes()


@asynccontextmanager
async def playing(replay: Replay) -> AsyncIterator[Sitting]:
    app = make_dashboard(replay, settings=settings_from_header(replay.header))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        sitting = Sitting(app, pilot, ScriptedSource(RunSettings(), frames=0))
        sitting.source._answers.get_nowait()
        await sitting.until(lambda: app.main.state.history.length)
        yield sitting


@asynccontextmanager
async def played_to_the_end(path: Path, frames: int) -> AsyncIterator[Sitting]:
    """A recording, paused at its end."""
    async with playing(Replay(str(path))) as sitting:
        await sitting.press("space", "end")
        await sitting.until(lambda: sitting.app.main.state.status.ended and len(steps(sitting)) == frames)
        yield sitting


async def test_the_last_line_and_the_timeline_say_what_space_and_the_arrows_do_now() -> None:
    async with open_dashboard() as sitting:
        assert "space pause" in keys(sitting)
        assert "now   (pause, then ← → goes back)" in timeline(sitting)
        await sitting.press("space")
        assert "space resume" in keys(sitting)
        assert "now   (← goes back)" in timeline(sitting)
        await sitting.press("space")
        assert "space pause" in keys(sitting) and "now   (pause" in timeline(sitting)


async def test_the_last_line_follows_a_comparison_and_the_palette_too() -> None:
    async with open_dashboard(size=(140, 40)) as sitting:
        assert "c compare" in keys(sitting)
        await sitting.press("c")
        assert "c stop comparing" in keys(sitting)
        await sitting.press("space")
        assert "space resume" in keys(sitting)
        titles = [command.title for command in sitting.app.get_system_commands(sitting.app.screen)]
        assert "resume (space)" in titles and "stop comparing (c)" in titles
        await sitting.press("c")
        assert "c compare" in keys(sitting)


async def test_a_run_that_has_stopped_is_not_called_now() -> None:
    async with open_dashboard() as sitting:
        sitting.source.fail("the training process was killed by SIGKILL")
        await sitting.settle()
        assert "stopped here   (r starts again)" in timeline(sitting)


async def test_resuming_from_the_past_trains_on_from_the_present_and_says_so() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("space", "home", "space")
        assert sitting.source.told == ["pause", "train"]
        assert "step 50" in sitting.line
        await sitting.until(lambda: "resumed from the present" in notices(sitting))


async def test_weights_do_not_stay_in_a_lesson_and_m_says_so() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("m")
        assert "weights stay" in sitting.line
        await sitting.press("g", "enter")
        assert "weights stay" not in sitting.line
        await sitting.press("m")
        await sitting.until(lambda: "a lesson's changes restart" in notices(sitting))
        await sitting.press("s")
        assert sitting.source.told[-1] == "restart"
        await sitting.press("g", "home", "enter")
        assert "weights stay" in sitting.line


async def test_a_recording_says_how_far_it_was_played_and_where_it_ends(tmp_path: Path) -> None:
    await record(tmp_path / "run.jsonl")
    async with playing(Replay(str(tmp_path / "run.jsonl"))) as sitting:
        await sitting.press("space")
        await sitting.settle()
        assert "played so far   (← goes back)" in timeline(sitting)
        assert "space resume" in keys(sitting)
        await sitting.press("end")
        await sitting.until(lambda: sitting.app.main.state.status.ended)
        await sitting.settle()
        assert "end of the recording   (r plays again)" in timeline(sitting)


@pytest.mark.parametrize("name", slow_but(["run.jsonl", "run.jsonl.gz"], "run.jsonl.gz"))
async def test_a_recording_plays_from_the_moment_on_the_screen(tmp_path: Path, name: str) -> None:
    await record(tmp_path / name)
    async with played_to_the_end(tmp_path / name, FRAMES) as sitting:
        whole = steps(sitting)
        state = sitting.app.main.state
        await sitting.press(*SLOWEST, "home", *["right"] * 7)
        assert "step 70 of 290" in timeline(sitting)
        sitting.type_key("space")
        await sitting.until(lambda: state.moment is None and state.newest and state.newest.step >= 70)
        assert len(steps(sitting)) < FRAMES and not state.status.paused
        await sitting.press("space")
        assert steps(sitting) == whole[: len(steps(sitting))]
        await sitting.press("end")
        await sitting.until(lambda: state.status.ended and len(steps(sitting)) == FRAMES)
        assert steps(sitting) == whole


async def test_playing_from_an_earlier_run_of_a_recording_shows_that_run(tmp_path: Path) -> None:
    await record(tmp_path / "run.jsonl", "b")
    async with played_to_the_end(tmp_path / "run.jsonl", 2 * FRAMES) as sitting:
        state = sitting.app.main.state
        whole = steps(sitting)
        assert "BatchNorm on" in sitting.line
        await sitting.press(*SLOWEST, "home", "right", "right")
        sitting.type_key("space")
        await sitting.until(lambda: state.moment is None and state.newest and state.newest.step >= 20)
        await sitting.press("space")
        assert "BatchNorm off" in sitting.line and "╎" not in timeline(sitting)
        await sitting.press("end")
        await sitting.until(lambda: state.status.ended and len(steps(sitting)) == 2 * FRAMES)
        await sitting.settle()
        assert "BatchNorm on" in sitting.line and timeline(sitting).count("╎") == 1
        assert steps(sitting) == whole


async def test_r_plays_a_recording_again_from_its_start(tmp_path: Path) -> None:
    await record(tmp_path / "run.jsonl")
    async with played_to_the_end(tmp_path / "run.jsonl", FRAMES) as sitting:
        state = sitting.app.main.state
        whole = steps(sitting)
        await sitting.press(*SLOWEST)
        sitting.type_key("r")
        await sitting.until(lambda: 0 < len(steps(sitting)) < FRAMES)
        assert not state.status.paused and not state.status.ended and state.first
        await sitting.press("end")
        await sitting.until(lambda: state.status.ended and len(steps(sitting)) == FRAMES)
        assert steps(sitting) == whole
        assert "cannot be changed" not in notices(sitting)


async def test_a_stream_resumes_in_the_present_and_cannot_be_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    frames = (make_frame(RunSettings(), vanishing(RunSettings(), step), step=10 * step) for step in range(6))
    os.write(into, b"".join(map(encode_line, [make_header(RunSettings()), *frames])))
    with os.fdopen(out) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        replay = Replay("-")
        async with playing(replay) as sitting:
            await sitting.until(lambda: len(steps(sitting)) == 6)
            await sitting.press("space", "home", "r")
            await sitting.until(lambda: "a stream cannot be played again" in notices(sitting))
            assert "in the past" in sitting.line
            await sitting.press("space")
            assert "step 50" in sitting.line and len(steps(sitting)) == 6
            os.close(into)
            await sitting.until(lambda: sitting.app.main.state.status.ended)
            await sitting.settle()
            assert "the end   (" in timeline(sitting) and "plays again" not in timeline(sitting)
