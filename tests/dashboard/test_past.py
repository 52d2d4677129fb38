"""The past: a moment shows its own run, and what is only known in the present says so."""

from dataclasses import replace

import numpy as np
import pytest

from engine.changes import Probe
from engine.config import NetworkConfig
from engine.inspection import Histogram, Inspection
from tests.dashboard.sitting import Sitting, open_dashboard
from tests.frames import make_frame, make_header
from tests.scripted_run import ScriptedRun, vanishing
from vgtui.dashboard.screens.layer import LayerScreen
from vgtui.dashboard.screens.main import MainScreen
from vgtui.dashboard.screens.what_if import WhatIfScreen
from vgtui.dashboard.view.comparison import comparison
from vgtui.dashboard.view.state import RunView
from vgtui.lessons.lesson import Expected, Lesson, Step
from vgtui.model.columns import MAX_POINTS
from vgtui.wire.protocol import Inspected, Tried
from vgtui.wire.run_settings import RunSettings

RAMP = Histogram(-1.0, 2.0, tuple(range(48)), 1, 0)


def timeline(sitting: Sitting) -> str:
    """The line above the keys, even if a notice covers it."""
    return "".join(strip.text for strip in sitting.app.main._timeline._lines)


def notices(sitting: Sitting) -> str:
    return "\n".join(notice.message for notice in sitting.app._notifications)


def flat(sitting: Sitting) -> str:
    """The text of the screen in one line, without borders."""
    return " ".join("".join(" " if mark in "│╭╮─╯╰" else mark for mark in sitting.text).split())


class SlowToBegin(ScriptedRun):
    """A run that gives nothing after a restart until it is told to begin."""

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        self.settings = settings

    def begin(self) -> None:
        self._begin(self.settings)


async def test_the_timeline_counts_the_steps_of_the_run_that_is_shown() -> None:
    async with open_dashboard() as sitting:
        sitting.source.frames = 1
        await sitting.press("space", "a")
        await sitting.until(lambda: sitting.app.main.state.history.length == 7)
        await sitting.press("left", "left")
        assert "tanh" not in sitting.line and "sigmoid" in sitting.line
        assert "step 40 of 50" in timeline(sitting)


async def test_a_look_inside_in_the_past_shows_its_numbers_and_says_what_is_only_in_the_present() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("d", "space", "home", "enter")
        assert isinstance(sitting.app.screen, LayerScreen)
        assert "step 0 shape 64 → 64" in flat(sitting)  # in the present 2 → 64
        assert flat(sitting).count("available for the present only") == 3
        assert "measuring" not in sitting.text
        assert not [words for words in sitting.source.told if "inspect" in words]
        await sitting.press("escape", "end", "enter")
        assert "shape 2 → 64" in flat(sitting)
        assert "available for the present only" not in flat(sitting)
        assert "inspect 0" in sitting.source.told


async def test_what_if_is_of_the_present_run_and_says_so_in_the_past_of_another() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("a", "space", "home", "w")
        await sitting.until(lambda: "what if is available for the present run only; end shows it" in notices(sitting))
        assert isinstance(sitting.app.screen, MainScreen)
        assert "try changes" not in sitting.source.told
        await sitting.press("end", "left", "w")  # in the past of the present run all is the same
        assert isinstance(sitting.app.screen, WhatIfScreen)
        assert "try changes" in sitting.source.told


async def test_settings_opened_in_the_past_of_another_run_say_whose_they_are() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("a")
        await sitting.until(lambda: not sitting.app.main.state.begins_run)
        await sitting.press("space", "left", "comma", "escape")
        assert "the settings of the present run" not in notices(sitting)
        await sitting.press("home", "comma")
        await sitting.until(lambda: "these are the settings of the present run" in notices(sitting))


async def test_charts_and_help_speak_of_the_run_that_is_shown() -> None:
    async with open_dashboard(size=(120, 110)) as sitting:
        await sitting.press("d", "R")
        assert "Guessing" in sitting.text and "Guessing 10" not in sitting.text and "last run" in sitting.text
        await sitting.press("space", "home")
        assert "Guessing 10 classes" in sitting.text
        assert "last run" not in sitting.text
        await sitting.press("question_mark")
        assert "data set digits, seed 0" in sitting.text


async def test_a_verdict_of_the_past_names_cures_and_no_keys_which_change_the_present() -> None:
    async with open_dashboard() as sitting:
        assert "press b (BatchNorm on)" in flat(sitting)
        await sitting.press("space", "left")
        assert "; try BatchNorm on" in flat(sitting) and "press b" not in flat(sitting)


async def test_a_change_in_the_past_is_one_of_the_present_which_is_shown_and_said() -> None:
    async with open_dashboard() as sitting:
        sitting.source.frames = 0  # so that nothing but the key brings the present back
        await sitting.press("space", "left", "b")
        assert "BatchNorm on" in sitting.line and "in the past" not in sitting.line
        sitting.source.frames = 6
        await sitting.press("a", "space", "space", "home")
        assert "sigmoid" in sitting.line
        await sitting.press("s")
        assert sitting.source.settings.network == NetworkConfig(
            activation="tanh", batch_norm=True, skip_connections=True
        )
        await sitting.until(
            lambda: "changes apply to the present run, which is on the screen again" in notices(sitting)
        )
        assert "tanh" in sitting.line and "in the past" not in sitting.line


async def test_a_pin_keeps_the_moment_on_the_screen() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("a", "space", "home", "right", "p", "end")
        (pin,) = sitting.app.main.state.pins
        assert pin.label == "sigmoid 20×64 at step 10"
        assert pin.layers.grad_norm[0] == pytest.approx(vanishing(RunSettings(), 1)[0])
        assert pin.steps.tolist() == [0, 10, 20, 30, 40, 50]
        await sitting.press("p")
        assert sitting.app.main.state.pins[1].label == "tanh 20×64"


async def test_a_frame_that_comes_late_does_not_leave_the_past() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("space", "left", "left")
        sitting.source.say(make_frame(RunSettings(), vanishing(RunSettings(), 6), step=60))
        await sitting.settle()
        assert "in the past" in sitting.line
        assert "step 30 of 60" in timeline(sitting)


def test_the_moment_stays_where_it_is_when_points_are_merged() -> None:
    state = RunView(RunSettings(NetworkConfig(hidden_layers=1)))
    state.take_header(make_header(state.wanted))
    frames = [make_frame(state.wanted, [0.1, 1.0], step=step) for step in range(MAX_POINTS + 1)]
    for frame in frames[:-1]:
        state.take_frame(frame)
    state.go_to(500)
    state.take_frame(frames[-1])
    assert state.moment == 250
    assert state.frame and state.frame.step in (500, 501)


async def test_an_answer_about_another_layer_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.dashboard.screens.layer.REFRESH_SECONDS", 3600)
    async with open_dashboard() as sitting:
        await sitting.press("enter")
        sitting.app.main.state.inspected = None
        sitting.source.say(Inspected(110, Inspection(3, RAMP, RAMP, RAMP)))
        await sitting.settle()
        assert sitting.app.main.state.inspected is None


async def test_answers_of_a_run_that_was_left_are_not_shown_as_those_of_the_next() -> None:
    source = SlowToBegin(RunSettings())
    async with open_dashboard(source) as sitting:
        await sitting.press("a", "w")
        state = sitting.app.main.state
        state.tried = []
        source.say(Tried(1, 20, Probe("activation", "relu", np.float64(0.5), np.float64(0.5))))
        source.say(Inspected(110, Inspection(0, RAMP, RAMP, RAMP)))
        await sitting.settle()
        assert state.tried == [] and state.inspected is None
        source.begin()
        source.try_changes()
        await sitting.settle()
        assert len(state.tried) == 23


def test_a_refused_restart_lets_the_answers_of_the_run_that_goes_on_through() -> None:
    state = RunView(RunSettings())
    state.take_header(make_header(state.wanted))
    state.want(replace(state.wanted, network=NetworkConfig(hidden_layers=1000)))
    state.keep_run(RunSettings())
    state.take_inspected(Inspected(110, Inspection(0, RAMP, RAMP, RAMP)))
    assert state.inspected


async def test_a_lesson_measures_the_present_run_also_while_the_past_is_shown() -> None:
    def better_at_first(settings: RunSettings, number: int) -> list[float]:
        return [1.0 if settings.network.batch_norm else 1e-3] * 20 + [1.0]

    wanted = Expected("gradient_ratio", least=0.5, when="init")
    lesson = Lesson("own", "Own", [Step("Look.", view="heat map", expect=[wanted])], {"batch_norm": True})
    async with open_dashboard(ScriptedRun(RunSettings(), norms=better_at_first), lesson=lesson) as sitting:
        await sitting.until(lambda: "BatchNorm on" in sitting.line and "…" not in sitting.line)
        await sitting.press("space", "home")
        assert "BatchNorm off" in sitting.line
        await sitting.press("v")
        assert "Well done" in sitting.text


def test_lanes_are_compared_in_the_run_that_is_shown_of_each() -> None:
    states = [RunView(RunSettings(), name=name) for name in ("A", "B")]
    other = RunSettings(NetworkConfig(activation="tanh"))
    for state, steps in zip(states, (6, 3), strict=True):
        for settings, scale in ((RunSettings(), 1e-6), (other, 1.0)):
            state.take_header(make_header(settings))
            for step in range(steps):
                state.take_frame(make_frame(settings, [scale] * 20 + [1.0], step=step))
    one, two = states
    one.go_to(5)  # step 5 of the first run of A, which B has seen as far as step 2
    two.go_to(2)
    assert comparison(one, two).startswith("A: layer 1 gets the same gradient as in B")
