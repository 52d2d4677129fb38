"""Two runs side by side: what the screen shows, and which run keys act on."""

import asyncio
import re
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from tests.dashboard.sitting import Sitting, make_dashboard, open_dashboard
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.scripted_run import ScriptedRun, vanishing
from vgtui.dashboard.view.comparison import comparison
from vgtui.dashboard.view.state import RunView
from vgtui.wire.protocol import Answer, Refused
from vgtui.wire.run_settings import RunSettings


def run_of(sitting: Sitting, number: int) -> ScriptedRun:
    source = sitting.app.main.lanes.all[number].source
    assert isinstance(source, ScriptedRun)
    return source


def state_lines(sitting: Sitting) -> list[str]:
    return sitting.text.split("\n")[:2]


def better_with_batch_norm(settings: RunSettings, step: int) -> list[float]:
    return [1.0] * 21 if settings.network.batch_norm else vanishing(settings, step)


async def test_c_continues_the_run_as_lane_b_and_the_next_run_is_lane_a() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), norms=better_with_batch_norm)) as sitting:
        first = sitting.source
        await sitting.press("c")
        assert [line[:3] for line in state_lines(sitting)] == ["▸A ", " B "]
        assert run_of(sitting, 1) is first
        assert "restart" not in first.told
        await sitting.press("b")
        await sitting.until(lambda: "≠BatchNorm on" in state_lines(sitting)[0])
        assert "≠BatchNorm off" in state_lines(sitting)[1]
        assert state_lines(sitting)[0].count("≠") == 1
        assert run_of(sitting, 0).told.count("restart") == 1
        assert "restart" not in first.told
        assert run_of(sitting, 0).settings.training == first.settings.training
        assert "A   Gradient norm per layer" in sitting.text
        assert "B   Gradient norm per layer" in sitting.text


async def test_the_difference_is_put_into_words() -> None:
    async with open_dashboard(ScriptedRun(RunSettings(), norms=better_with_batch_norm)) as sitting:
        await sitting.press("c", "b")
        words = " ".join(re.sub(r"[│╭╮─╯╰]", " ", sitting.text).split())
        await sitting.until(lambda: "A: layer 1 gets" in sitting.text)
        state = sitting.app.main.state
        assert state.other
        words = comparison(state, state.other)
        assert words == ("A: layer 1 gets 5.0e+19 times the gradient of B; accuracy 0.12 against 0.12 at step 50")


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ([1e-3, 0.1, 1.0], [1e-6, 0.1, 1.0], "layer 1 gets 1000 times the gradient of B"),
        ([1e-3, 0.1, 1.0], [1e-3, 10.0, 1.0], "layer 2 gets 0.01 times the gradient of B"),
        ([0.0, 0.1, 1.0], [0.0, 0.1, 1.0], "layer 1 gets the same gradient as in B"),
        ([0.0, 0.1, 1.0], [1e-3, 0.1, 1.0], "layer 1 gets a gradient of 0, in B 1.0e-03"),
        ([1e-3, nan, 1.0], [1e-3, 0.1, 1.0], "layer 2 gets a gradient of NaN, in B 1.0e-01"),
        ([1e-3, 0.1, 0.2, 1.0], [1e-6, 1.0], "layer 1 gets 1000 times the gradient of B"),
    ],
)
def test_words_for_every_pair_of_gradients(mine: list[float], theirs: list[float], words: str) -> None:
    states = [RunView(RunSettings(), name=name) for name in ("A", "B")]
    for state, norms in zip(states, (mine, theirs), strict=True):
        state.take_header(make_header(RunSettings()))
        state.history.mark(len(norms))
        state.take_frame(make_frame(RunSettings(), norms, step=500))
    assert comparison(*states).startswith(f"A: {words}; accuracy")


def test_a_lane_that_waits_is_compared_at_the_step_of_the_other() -> None:
    states = [RunView(RunSettings(), name=name) for name in ("A", "B")]
    for state, steps, scale in ((states[0], 3, 1.0), (states[1], 9, 1e-3)):
        state.take_header(make_header(RunSettings()))
        for step in range(steps):
            state.take_frame(make_frame(RunSettings(), [scale / (1 + step)] * 20 + [1.0], step=step))
    assert comparison(*states).endswith(
        "layer 1 gets 1000 times the gradient of B; accuracy 0.12 against 0.12 at step 2; B waits at 8"
    )


async def test_tab_chooses_the_lane_that_keys_act_on() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("tab")
        await sitting.until(lambda: "there is only one run; c keeps it" in sitting.text)
        await sitting.press("c", "tab")
        await sitting.until(lambda: [line[:3] for line in state_lines(sitting)] == [" A ", "▸B "])
        await sitting.press("s")
        assert run_of(sitting, 1).settings.network.skip_connections
        assert not run_of(sitting, 0).settings.network.skip_connections
        assert "━ B" in sitting.text
        await sitting.press("tab")
        await sitting.until(lambda: "━ A" in sitting.text)


async def test_c_again_goes_on_with_the_chosen_lane_and_closes_the_other() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("c", "b")
        left, kept = run_of(sitting, 1), run_of(sitting, 0)
        await sitting.press("c")
        await sitting.until(lambda: "close" in left.told)
        assert "close" not in kept.told
        assert kept.told[-1] == "train"
        assert sitting.line.startswith(" vgtui")
        assert "BatchNorm on" in sitting.line
        assert "last run (BatchNorm off)" in sitting.text
        assert not sitting.app.main.state.other
    assert left.told.count("close") == 1


async def test_pause_and_time_move_both_lanes() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("c", "space", "left", "left")
        states = [lane.state for lane in sitting.app.main.lanes.all]
        assert [state.status.paused for state in states] == [True, True]
        assert [state.frame.step for state in states if state.frame] == [30, 30]
        await sitting.press("space")
        assert [state.moment for state in states] == [None, None]


async def test_cores_are_shared_while_two_runs_are_compared() -> None:
    async with open_dashboard() as sitting:
        first = sitting.source
        await sitting.press("c")
        assert "share 2" in first.told and "share 2" in run_of(sitting, 0).told
        await sitting.press("tab", "c")
        assert first.told.count("share 1") == 1


@pytest.mark.parametrize("size", slow_but([(200, 60), (120, 40), (80, 24), (60, 16), (40, 12), (20, 5)], (20, 5)))
async def test_two_lanes_can_be_drawn_at_every_size(size: tuple[int, int]) -> None:
    async with open_dashboard(size=size) as sitting:
        await sitting.press("c", "plus", "v", "tab", "v", "v", "space", "left", "c")
        assert sitting.app.is_running and sitting.app.crash is None


async def test_a_change_that_is_refused_in_a_lane_lets_its_run_go_on() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("c")
        source = run_of(sitting, 0)
        source.refusal = Refused("hidden_layers", "25 layers do not fit")
        source.told.clear()
        await sitting.press("plus")
        await sitting.until(lambda: "25 layers do not fit" in sitting.text)
        paced = sitting.app.main.lanes.all[0].paced
        assert paced and paced.step == 50
        assert source.told.count("restart") == 1 and source.told[-2:] != ["ask 0", "train"]
        assert "20×64" in state_lines(sitting)[0]


async def test_a_lane_that_fails_is_explained_and_the_other_goes_on() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("c", "tab")
        run_of(sitting, 1).fail("the training process was killed by SIGKILL")
        await sitting.until(lambda: "fault: the training process was" in sitting.text)
        assert "stopped" in state_lines(sitting)[1]
        assert "stopped" not in state_lines(sitting)[0]
        await sitting.press("r")
        await sitting.until(lambda: "stopped" not in state_lines(sitting)[1])
        assert replace(run_of(sitting, 1).settings) == RunSettings()


class BadlyClosing(ScriptedRun):
    """A run whose process fails to end."""

    def another(self, settings: RunSettings) -> "BadlyClosing":
        return BadlyClosing(settings, self.frames, self._norms, self._dead)

    async def close(self) -> None:
        await super().close()
        raise ProcessLookupError(3, "No such process")


async def test_a_lane_that_closes_badly_is_a_notice_and_the_other_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(ProcessLookupError):
        async with open_dashboard(BadlyClosing(RunSettings())) as sitting:
            await sitting.press("c", "c")
            await sitting.until(lambda: "did not end properly" in sitting.text)
            assert sitting.app.is_running and sitting.app.crash is None
            assert list(tmp_path.rglob("crash.log"))
            await sitting.press("b")
            await sitting.until(lambda: "BatchNorm on" in sitting.line)
            await sitting.press("q")
            assert sitting.app.crash
            raise sitting.app.crash


async def test_every_source_is_closed_even_if_closing_the_first_fails() -> None:
    async with open_dashboard(BadlyClosing(RunSettings())) as sitting:
        await sitting.press("c")
        runs = [run_of(sitting, number) for number in (0, 1)]
        await sitting.press("q")
        assert ["close" in run.told for run in runs] == [True, True]


async def test_a_crash_in_a_background_task_is_told_by_what_was_raised_there() -> None:
    class Broken(ScriptedRun):
        async def next_answer(self, at: int = 0) -> Answer:
            raise RuntimeError("the cause itself")

    app = make_dashboard(Broken(RunSettings(), frames=0))
    async with app.run_test():
        while app.crash is None:
            await asyncio.sleep(0.01)
    assert isinstance(app.crash, RuntimeError) and str(app.crash) == "the cause itself"
