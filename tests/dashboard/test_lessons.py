"""Every lesson, played to its end with the real engine, and what the screen shows meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.dashboard.sitting import MOMENT, SECONDS, Sitting, make_dashboard, open_dashboard
from tests.forms import slow_but
from tests.scripted_run import ScriptedRun
from vgtui.dashboard.keymap import Keymap
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.dashboard.widgets.layer_rows import LayerRows
from vgtui.lessons.lesson import Lesson, Step, load_lessons
from vgtui.lessons.progress import LessonProgress
from vgtui.sources.live import LiveRun
from vgtui.wire.run_settings import RunSettings

LESSONS = load_lessons()[0]
WRONG_KEYS = ("next_activation", "skip", "batch_norm")
"""Of these, a test presses one that the step does not ask for."""


@asynccontextmanager
async def open_lesson(lesson: Lesson) -> AsyncIterator[tuple[Sitting, LessonProgress]]:
    app = make_dashboard(LiveRun(lesson.settings_before(0)), lesson=lesson, settings=lesson.settings_before(0))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        sitting = Sitting(app, pilot, None)  # type: ignore[arg-type]
        await sitting.until(lambda: app.main._lesson.progress is not None)
        progress = app.main._lesson.progress
        assert progress
        yield sitting, progress
        await app.action_exit_cleanly()


async def wait_for(sitting: Sitting, condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(SECONDS):
        while not condition():
            await sitting.pilot.pause(0.02)
            if sitting.app.crash:
                raise sitting.app.crash


@pytest.mark.parametrize("name", slow_but(LESSONS, "quarter"))
async def test_a_lesson_is_played_to_its_end_and_waits_at_a_wrong_key(name: str) -> None:
    lesson, keymap = LESSONS[name], Keymap()
    key_of = {key.name: key.key.split(",")[0] for key in keymap}
    async with open_lesson(lesson) as (sitting, progress):
        state = sitting.app.main.state
        for number, step in enumerate(lesson.steps):
            assert progress.at == number
            if step.press:
                wrong = next(action for action in WRONG_KEYS if action not in step.press)
                sitting.type_key(key_of[wrong])
                await wait_for(sitting, lambda: not state.begins_run and not state.pending() and state.newest)
                await wait_for(sitting, lambda: "No longer the lesson's run" in sitting.text)
                await wait_for(sitting, lambda: state.status.paused or (state.newest and state.newest.step >= 20))
                assert progress.at == number
                sitting.type_key("G")
                await wait_for(sitting, lambda: not state.begins_run and not state.pending())
                assert progress.at == number
            for action in step.press:
                sitting.type_key(key_of[action])
                await sitting.pilot.pause(MOMENT)
            await wait_for(sitting, lambda number=number: progress.at > number)
        assert progress.step is None
        await wait_for(sitting, lambda: "Well done." in sitting.text)
        assert sitting.app.main.controller.lessons_done == {name: len(lesson.steps)}


async def test_the_list_begins_a_lesson_where_it_was_left_and_leaves_it() -> None:
    remembered: list[dict[str, int]] = []
    options = {"lessons_done": {"quarter": 1, "skip": 3}, "on_lesson": remembered.append}
    async with open_dashboard(**options) as sitting:  # type: ignore[arg-type]
        await sitting.press("g")
        rows = {"  Why 0.25ⁿ: the vanishing gradient": "step 2 of 5", "✓ Skip connections": "done"}
        for title, progress in rows.items():
            assert re.search(rf"{title} {{3,}}{progress} ", sitting.text)
        assert "2 steps" in sitting.text
        await sitting.press("enter")
        await sitting.until(lambda: "Where does it go?" in sitting.text)
        assert "Press v 2 times." in sitting.text
        assert sitting.source.told == ["restart"]
        await sitting.press("v", "v")
        await sitting.until(lambda: "Ten layers more" in sitting.text)
        assert remembered == [{"quarter": 2, "skip": 3}]
        await sitting.press("s")
        await sitting.until(lambda: "No longer the lesson's run (skip on): G" in sitting.text)
        await sitting.press("G")
        await sitting.until(lambda: "No longer the lesson's" not in sitting.text)
        await sitting.press("g", "home", "enter")
        await sitting.until(lambda: "Ten layers more" not in sitting.text)
        await sitting.press("G")
        await sitting.until(lambda: "no lesson is under way; g lists them" in sitting.text)


async def test_a_lesson_begun_while_paused_or_in_the_past_trains() -> None:
    async with open_dashboard() as sitting:
        await sitting.press("space", "left", "g", "enter")
        await sitting.until(lambda: "Lesson: Why 0.25ⁿ" in sitting.text)
        await sitting.until(lambda: not sitting.app.main.state.begins_run)
        assert not sitting.app.main.state.status.paused and sitting.app.main.state.moment is None
        assert sitting.source.told[-2:] == ["train", "restart"]


async def test_the_view_of_a_lesson_is_not_remembered_as_the_users_which_comes_back() -> None:
    remembered: list[str] = []
    options = {"look": Look(view="chain rule"), "on_look": lambda look, theme: remembered.append(look.view_to_remember)}
    async with open_dashboard(lessons_done={"quarter": 1}, **options) as sitting:  # type: ignore[arg-type]
        view = sitting.app.main.state.look
        await sitting.press("g", "enter")
        await sitting.until(lambda: "Press v 2 times." in sitting.text)
        assert view.view == "sparklines"
        await sitting.press("v", "T")
        assert view.view == "heat map" and remembered == ["chain rule"] * 2
        await sitting.press("g", "home", "enter")
        await sitting.until(lambda: "Chain rule: ‖δ_l‖" in sitting.text)
        await sitting.press("v")
        assert remembered[-1] == "sparklines"


async def test_a_view_that_is_chosen_when_a_lesson_is_done_is_the_users() -> None:
    remembered: list[str] = []
    lesson = Lesson("short", "Short", [Step("Look.", view="heat map")])
    options = {"lesson": lesson, "on_look": lambda look, theme: remembered.append(look.view_to_remember)}
    async with open_dashboard(look=Look(view="chain rule"), **options) as sitting:  # type: ignore[arg-type]
        await sitting.until(lambda: "Look." in sitting.text)
        await sitting.press("v")
        await sitting.until(lambda: "Well done." in sitting.text)
        assert remembered == ["chain rule"]
        await sitting.press("v", "v")
        assert remembered == ["chain rule", "chain rule", "sparklines"]
        sitting.app.main.begin_lesson(None)
        await sitting.settle()
        assert sitting.app.main.state.look.view == "sparklines"


async def test_a_lesson_speaks_of_the_users_own_keys() -> None:
    keymap = Keymap({"view": "f5"})
    async with open_dashboard(keymap=keymap, lesson=LESSONS["quarter"], lessons_done={"quarter": 1}) as sitting:
        await sitting.until(lambda: "Press f5 2 times." in sitting.text)


@pytest.mark.parametrize("view", slow_but(VIEWS, "sparklines"))
async def test_rows_are_drawn_before_their_panel_has_fitted_a_shallower_run(view: str) -> None:
    """The text of a lesson changes the room for rows while its run has fewer layers than the previous one."""
    async with open_dashboard(size=(80, 24), look=Look(view=view)) as sitting:
        parts = list(sitting.app.main._panel.query(LayerRows))
        await sitting.press("minus", "minus")
        for part in parts:
            part.top = 20
            part.redraw()
        assert sitting.app.main.state.layers == 11
        await sitting.press("g", "down", "enter")
        await sitting.until(lambda: "tanh again" in sitting.text)
        assert sitting.app.crash is None


@pytest.mark.parametrize("size", slow_but([(200, 60), (80, 24), (40, 12)], (40, 12)))
async def test_a_lesson_is_readable_at_every_size(size: tuple[int, int]) -> None:
    source = ScriptedRun(RunSettings(), frames=1)
    async with open_dashboard(source, size=size, lesson=LESSONS["quarter"]) as sitting:
        await sitting.until(lambda: "A network of 20" in sitting.text)
        await sitting.until(lambda: "step: 0, waits for at least 50" in sitting.text)
        assert re.search(r"✓ gradient, layer 1 / output: [^,]+, at most", " ".join(sitting.text.split()))
        assert "sigmoid" in sitting.line
