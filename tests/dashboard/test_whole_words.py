"""Every screen at five sizes, or two without --slow: no word is cut off, no number is separated from its unit.

One app a kind of source is resized; what is on its screen is read widget by widget.
"""

from math import inf, nan
from pathlib import Path

import pytest

from engine.config import NetworkConfig
from tests.dashboard.sitting import Sitting, make_dashboard, open_dashboard
from tests.dashboard.test_watched import WatchedModel
from tests.dashboard.whole_words import Screens
from tests.models import make_model_frame, make_model_header
from tests.scripted_run import ScriptedRun, vanishing
from vgtui.charts.strip_chart import SIGN_WORDS
from vgtui.dashboard.view.look import Look
from vgtui.lessons.lesson import load_lessons
from vgtui.model.differences import settings_from_header
from vgtui.model.quantities import QUANTITIES
from vgtui.recordings.writer import Recorder
from vgtui.sources.replay import Replay
from vgtui.wire.frames import LayerInfo
from vgtui.wire.run_settings import RunSettings

Sizes = tuple[tuple[int, int], ...]
FRAMES = 2
SIZES = ((80, 24), (100, 30), (120, 40), (160, 50), (200, 60))
SHORT_SIZES = ((80, 24), (160, 50))
"""Without --slow: the smallest, and one in which both sides fit."""
WORDS = {*(quantity.symbol for quantity in QUANTITIES), *SIGN_WORDS.values(), "out", "100%", "96×32"}
"""Whole words that are always at an edge."""
LONG_NAME = "transformer.encoder.block_number_{}.multihead_self_attention.projection"
LONG_LAYERS = [LayerInfo(LONG_NAME.format(block), 32, 32, "MultiheadAttention", (96, 32)) for block in range(6)]


def broken(settings: RunSettings, step: int) -> list[float]:
    return [nan, inf, 0.0, *vanishing(settings, step)[3:]]


class LongNames(WatchedModel):
    """A model with long names."""

    def _begin(self, settings: RunSettings) -> None:
        self.say(make_model_header(LONG_LAYERS, "my model: its second version, with attention and everything else"))
        for step in range(self.frames):
            self.say(make_model_frame([0.1 * layer + 1e-9 for layer in range(6)], 10 * step, LONG_LAYERS))


@pytest.fixture
def sizes(long_form: bool) -> Sizes:
    return SIZES if long_form else SHORT_SIZES


async def read(screens: Screens, sitting: Sitting, sizes: Sizes, what: str, *steps: str) -> None:
    """At every size, read the screen, and the one after the keys of each step, which end where they began."""
    for columns, lines in sizes:
        await sitting.pilot.resize_terminal(columns, lines)
        await sitting.settle()
        screens.read(sitting.app.screen, f"{what} at {columns}×{lines}")
        for step in steps:
            await sitting.press(*step.split())
            screens.read(sitting.app.screen, f"{what}, {step} at {columns}×{lines}")


async def test_no_word_is_cut_off_while_a_run_trains_rests_and_ends(sizes: Sizes, long_form: bool) -> None:
    screens = Screens()
    settings = RunSettings(NetworkConfig(hidden_layers=12))
    async with open_dashboard(ScriptedRun(settings, FRAMES, broken), look=Look(theory=True)) as sitting:
        await sitting.press("p", "b", "p", "a")
        await read(screens, sitting, sizes, "a run that breaks", "n n", "N N v", "v space home", "v end space")
        for key in ("w", "enter", "comma", "question_mark", "g", "ctrl+p"):
            await sitting.press(key)
            await read(screens, sitting, sizes if long_form or key == "comma" else sizes[:1], key)
            await sitting.press("escape")
        sitting.source.fail("the training process ended by signal 9")
        await read(screens, sitting, sizes, "fault")
    assert "\n".join(screens.cut(WORDS)) == ""


async def test_no_word_is_cut_off_while_two_runs_are_compared(sizes: Sizes) -> None:
    screens = Screens()
    async with open_dashboard(ScriptedRun(RunSettings(), FRAMES), look=Look(theory=True)) as sitting:
        await sitting.press("c", "b")
        await read(screens, sitting, sizes, "two lanes", "v", "v space left", "v end space")
    assert "\n".join(screens.cut(WORDS)) == ""


async def test_no_word_is_cut_off_in_a_lesson(sizes: Sizes) -> None:
    screens = Screens()
    async with open_dashboard(ScriptedRun(RunSettings(), FRAMES)) as sitting:
        longest = max(load_lessons()[0].values(), key=lambda lesson: len(lesson.title))
        sitting.app.main.begin_lesson(longest)
        await sitting.settle()
        await sitting.press("b")
        await read(screens, sitting, sizes, longest.name)
    assert "\n".join(screens.cut(WORDS)) == ""


async def test_no_word_is_cut_off_while_a_model_is_watched(sizes: Sizes) -> None:
    screens = Screens()
    async with open_dashboard(LongNames(RunSettings(), FRAMES)) as sitting:
        await read(screens, sitting, sizes, "a model", "v z", "z v slash l", "escape")
    assert "\n".join(screens.cut(WORDS)) == ""


async def test_no_word_is_cut_off_while_a_recording_is_played(sizes: Sizes, tmp_path: Path) -> None:
    screens, recorder = Screens(), Recorder(tmp_path / "run.jsonl")
    async with open_dashboard(recorder=recorder):
        pass
    recorder.close()
    replay = Replay(str(tmp_path / "run.jsonl"))
    app = make_dashboard(replay, settings=settings_from_header(replay.header))
    async with app.run_test(size=(120, 40)) as pilot:
        sitting = Sitting(app, pilot, ScriptedRun(RunSettings(), frames=0))
        sitting.source._answers.get_nowait()
        await sitting.press("space", "end")
        await sitting.until(lambda: replay.ended)
        await read(screens, sitting, sizes, "a recording")
    assert "\n".join(screens.cut(WORDS)) == ""
