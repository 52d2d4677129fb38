"""Moving in time, and recordings that show the same screens again."""

import re
from math import nan
from pathlib import Path

import pytest

from tests.dashboard.sitting import Sitting, make_dashboard, open_dashboard
from tests.forms import slow_but
from tests.scripted_run import ScriptedRun, vanishing
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.model.differences import settings_from_header
from vgtui.recordings.writer import Recorder
from vgtui.sources.replay import Replay
from vgtui.wire.run_settings import RunSettings


def timeline(sitting: Sitting) -> str:
    return sitting.text.split("\n")[-2]


async def test_arrows_move_all_charts_while_paused_and_going_on_is_in_the_present() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("space", "left", "left")
        assert "step 30" in sitting.line and "in the past" in sitting.line
        assert "step 30 of 50" in timeline(sitting)
        assert "1.0e-20" in sitting.text  # layer 1's gradient was that at step 30, and is 2.0e-20 now
        assert sitting.text.count("┃") > 21  # in every sparkline, the chart of the loss and the timeline
        await sitting.press("right")
        assert "step 40" in sitting.line
        await sitting.press("home")
        assert "step 0 of 50" in timeline(sitting)
        await sitting.press("end")
        assert "paused" in sitting.line and "step 50" in sitting.line
        assert "┃" not in sitting.text
        await sitting.press("left", "space")
        assert "step 50" in sitting.line and "in the past" not in sitting.line
        assert sitting.source.told == ["pause", "train"]


async def test_an_arrow_while_training_says_how_to_go_back() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("left")
        await sitting.until(lambda: "space pauses; then the arrows" in sitting.text)
        assert sitting.app.main.state.moment is None


@pytest.mark.parametrize("view", slow_but(VIEWS, "sparklines"))
async def test_a_moment_of_another_run_is_shown_with_its_settings_and_its_layers(view: str) -> None:
    async with open_dashboard(look=Look(view=view)) as sitting:
        await sitting.press("plus", "b")
        await sitting.press("space", "home")
        assert "out" in sitting.text
        assert "25 more" not in sitting.text
        state = sitting.app.main.state
        assert state.layers == 21 and state.shown and state.shown.network and state.shown.network.hidden_layers == 20
        assert "20 sigmoid layers learn" in sitting.text
        assert "20×64" in sitting.line and "BatchNorm off" in sitting.line and "…" not in sitting.line
        await sitting.press("end")
        assert "25 sigmoid layers learn" in sitting.text
        assert "25×64" in sitting.line and "BatchNorm on" in sitting.line


async def test_the_timeline_shows_changes_faults_and_where_we_are() -> None:
    def break_at_three(settings: RunSettings, step: int) -> list[float]:
        norms = vanishing(settings, step)
        if step == 3 and not settings.network.batch_norm:
            norms[3] = nan
        return norms

    async with open_dashboard(ScriptedRun(RunSettings(), norms=break_at_three)) as sitting:
        assert timeline(sitting).count("!") == 1
        await sitting.press("b")
        assert timeline(sitting).count("╎") == 1
        await sitting.press("space", "home", "right", "right", "right")
        assert "step 30 of 50 · non-finite: the gradient of layer 4 is NaN" in timeline(sitting)
        await sitting.press("right", "right", "right")
        assert "step 0 of 50 · BatchNorm on" in timeline(sitting)


async def test_shift_goes_a_twentieth_of_the_time() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), frames=101)) as sitting:
        await sitting.press("space", "shift+left")
        assert "step 950 of" in timeline(sitting).replace(" ", " ").replace("1 000", "1000")
        await sitting.press("home", "shift+right")
        assert "step 50 of" in timeline(sitting)


def screen_of(sitting: Sitting) -> str:
    """The screen without what differs between a run and its recording: speed, state and footer."""
    lines = sitting.text.split("\n")
    first = re.sub(r" {2,}|● rec|800/s|paused|replay.*", "", lines[0])
    return "\n".join([first, *lines[1:-1]])


def norms_with_a_spike(settings: RunSettings, step: int) -> list[float]:
    norms = vanishing(settings, step) if not settings.network.batch_norm else [0.5 + 0.1 * step] * 21
    if step == 2:
        norms[5] = 3.0
    return norms


@pytest.mark.parametrize("name", slow_but(["run.jsonl", "run.jsonl.gz"], "run.jsonl.gz"))
async def test_a_recording_gives_the_same_screens_at_the_same_steps(tmp_path: Path, name: str, long_form: bool) -> None:
    recorder = Recorder(tmp_path / name)
    source = ScriptedRun(RunSettings(), norms=norms_with_a_spike)
    seen: list[str] = []
    keys = ("v", "v", "v", "t", "n", "N", "t") if long_form else ("v", "v", "t")
    moves = ("left",) * 11 if long_form else ("left", "left", "home", "right", "right")  # the spike is in the third
    async with open_dashboard(source, recorder=recorder, look=Look(hints=False)) as sitting:
        assert "● rec" in sitting.line
        await sitting.press("b", "space")
        seen += await pictures(sitting, moves, keys)
        await sitting.press("x")
    replay = Replay(str(tmp_path / name))
    app = make_dashboard(replay, settings=settings_from_header(replay.header), look=Look(hints=False))
    async with app.run_test(size=(120, 40), notifications=False) as pilot:
        again = Sitting(app, pilot, ScriptedRun(RunSettings(), frames=0))
        again.source._answers.get_nowait()
        await again.press("space", "end")
        await again.until(lambda: replay.ended and app.main.state.history.length == 12)
        await again.settle()
        shown = await pictures(again, moves, keys)
    for before, after in zip(seen, shown, strict=True):
        assert "last run" in before or "vanishing" in before or "healthy" in before
        assert strip_keys(after) == strip_keys(before)


async def pictures(sitting: Sitting, moves: tuple[str, ...], keys: tuple[str, ...]) -> list[str]:
    """The screens after each of these keys."""
    found = [screen_of(sitting)]
    for key in (*moves, *keys):
        await sitting.press(key)
        found.append(screen_of(sitting))
    return found


def strip_keys(screen: str) -> str:
    """The screen without the charts on the right: only a live run names keys and has a ghost."""
    return "\n".join(line[:68] for line in screen.split("\n"))


async def test_x_records_into_a_new_file_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_dashboard() as sitting:
        await sitting.press("x")
        await sitting.until(lambda: "recording into" in sitting.text)
        await sitting.press("b")
        await sitting.press("x")
        await sitting.until(lambda: "recorded" in sitting.text)
        assert "● rec" not in sitting.line
    (file,) = tmp_path.iterdir()
    source = Replay(str(file))
    kinds = []
    while not source.ended:
        answer = await source.next_answer()
        kinds.append(type(answer).__name__)
        source.skip(1)
    assert kinds == ["Header", "Event", "Header", *["Frame"] * 6, "Event"]


async def test_a_full_disk_ends_the_recording_and_training_goes_on() -> None:
    async with open_dashboard(recorder=Recorder("/dev/full")) as sitting:
        await sitting.until(lambda: "what was written stays" in sitting.text)
        assert "No space left" in sitting.text
        assert "● rec" not in sitting.line
        await sitting.press("b")
        assert "BatchNorm on" in sitting.line


async def test_a_replay_says_its_pace_and_has_no_keys_that_change(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    async with open_dashboard(ScriptedRun(RunSettings(), frames=60), recorder=recorder) as sitting:
        await sitting.press("x")
    replay = Replay(str(tmp_path / "run.jsonl"))
    app = make_dashboard(replay, settings=settings_from_header(replay.header))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        again = Sitting(app, pilot, ScriptedRun(RunSettings(), frames=0))
        await again.until(lambda: "replay 1×" in again.line)
        await again.until(lambda: "< slower" in again.text.split("\n")[-1])
        assert "BatchNorm" not in again.text.split("\n")[-1]
        again.type_key("greater_than_sign")
        await again.until(lambda: "replay 2×" in again.line)
        again.type_key("b")
        await again.until(lambda: "this source cannot be changed" in again.text)
        again.type_key("end")
        await again.until(lambda: "replay end" in again.line)
        assert "; try BatchNorm on or" in app.main._verdict._text().plain
