"""`vgtui top` on the screen: rows that come and go, what is chosen, and what is opened."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

import vgtui
from engine.errors import UsageError
from tests.cli.trained import LAYERS, trained
from tests.dashboard.sitting import SECONDS
from tests.models import make_model_frame, make_model_header
from vgtui.dashboard.overview import OverviewApp, OverviewConfig
from vgtui.dashboard.screens.trainings import TopHelp
from vgtui.dashboard.widgets.training_rows import TrainingRows
from vgtui.sources import trainings
from vgtui.sources.gpus import Device
from vgtui.sources.overview import Overview
from vgtui.sources.trainings import Training, Trainings
from vgtui.user.themes import load_palettes
from vgtui.watching.endpoints import Endpoint
from vgtui.wire.frames import Number

STARVES = Training(
    name="starves", pid=1, socket="/1", state="training", step=1200, steps_per_second=Number(31.5), loss=Number(2.25),
    losses=(Number(2.5), Number(2.25)), worst_layer="block.0.attention", worst_ratio=Number(1e-9),
    worst_health="vanished", verdict="vanishing", message="vanishing: block.0.attention gets 1e-09 of the gradient",
)  # fmt: skip
LEARNS = msgspec.structs.replace(
    STARVES, name="learns", pid=2, socket="/2", verdict="healthy", message="healthy: it learns", worst_health="learning"
)
REMOTE = msgspec.structs.replace(STARVES, host="gpu1", name="far", pid=3, socket="/3")
FAILED = Training(host="gpu2", state="failed", note="Connection refused")


class Scripted(Trainings):
    """Trainings as a test has them."""

    def __init__(self, *rows: Training) -> None:
        super().__init__()
        self.now = list(rows)
        self.gpus: list[Device] = []

    @property
    def devices(self) -> list[Device]:
        return self.gpus

    def rows(self) -> list[Training]:
        return self.now

    async def follow(self) -> None:
        await asyncio.Event().wait()


@dataclass
class Top:
    """The open screen."""

    app: OverviewApp
    pilot: Pilot[tuple[Training, ...]]

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def rows(self) -> TrainingRows:
        return self.app.main.query_one(TrainingRows)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            try:
                while not condition():
                    await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                print(self.text)
                raise

    async def draw(self) -> None:
        self.app.main._draw()
        await self.pilot.pause(0.001)


@asynccontextmanager
async def top(here: Trainings, size: tuple[int, int] = (120, 24), problem: str = "") -> AsyncIterator[Top]:
    overview = Overview(here)
    app = OverviewApp(OverviewConfig(overview=overview, palettes=load_palettes()[0], theme="dark", problem=problem))
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = Top(app, pilot)
        await screen.draw()
        yield screen
    assert app.crash is None


async def test_each_training_is_a_line_and_the_verdict_of_the_chosen_one_is_said() -> None:
    async with top(Scripted(LEARNS, STARVES)) as screen:
        assert screen.text.split("\n")[0].startswith("vgtui top   2 trainings")
        for words in ("learns", "starves", "1 200", "31.5", "2.25", "block.0.attention", "× 1.0e-09", "vanishing"):
            assert words in screen.text.replace(" ", " ")
        assert "healthy: it learns" in screen.text
        await screen.pilot.press("down")
        await screen.draw()
        assert "vanishing: block.0.attention gets 1e-09 of the gradient" in screen.text


@pytest.mark.parametrize("size", [(200, 50), (120, 40), (80, 24), (40, 12), (20, 8)])
async def test_the_name_and_the_verdict_are_seen_at_every_size(size: tuple[int, int]) -> None:
    async with top(Scripted(LEARNS, STARVES, FAILED), size) as screen:
        assert "starves" in screen.text and "vanishing" in screen.text.split("\n", 3)[3]
        assert "gpu2: " in screen.text
        assert max(map(len, screen.text.split("\n"))) <= size[0]


async def test_the_chosen_training_stays_chosen_wherever_its_row_moves_and_gives_its_place_when_it_goes() -> None:
    here = Scripted(LEARNS, STARVES)
    async with top(here) as screen:
        await screen.pilot.press("down")
        here.now = [msgspec.structs.replace(LEARNS, name="a", socket="/0"), LEARNS, STARVES]
        await screen.draw()
        assert screen.rows.selected == STARVES
        here.now = [LEARNS]
        await screen.draw()
        assert screen.rows.selected == LEARNS
        here.now = []
        await screen.draw()
        assert screen.rows.selected is None and "Nothing is watched now." in screen.text
        await screen.pilot.press("enter", "space", "c", "down")
        assert screen.app.is_running


async def test_more_trainings_than_lines_scroll_with_the_chosen_one() -> None:
    many = [msgspec.structs.replace(LEARNS, name=f"run-{number:03}", socket=f"/{number}") for number in range(100)]
    async with top(Scripted(*many), (80, 12)) as screen:
        await screen.pilot.press("end")
        await screen.draw()
        assert "run-099" in screen.text and "run-000" not in screen.text
        await screen.pilot.press("home")
        await screen.draw()
        assert "run-000" in screen.text and "run-099" not in screen.text


async def test_enter_ends_with_the_chosen_training_and_q_with_none() -> None:
    async with top(Scripted(LEARNS, STARVES)) as screen:
        await screen.pilot.press("down", "enter")
        await screen.until(lambda: screen.app.return_value is not None)
    assert screen.app.return_value == (STARVES,)
    async with top(Scripted(LEARNS)) as screen:
        await screen.pilot.press("q")
        await screen.until(lambda: not screen.app.is_running)
    assert screen.app.return_value is None and screen.app.return_code == 0


async def test_space_marks_and_c_compares_two() -> None:
    async with top(Scripted(LEARNS, STARVES)) as screen:
        await screen.pilot.press("c")
        await screen.until(lambda: "space marks a training" in screen.text)
        await screen.pilot.press("space")
        assert "✓ learns" in screen.text
        await screen.pilot.press("space", "space", "down", "c")
        await screen.until(lambda: screen.app.return_value is not None)
    assert screen.app.return_value == (LEARNS, STARVES)


async def test_what_cannot_be_opened_says_why() -> None:
    ended = msgspec.structs.replace(STARVES, state="ended", note="ended with its process")
    async with top(Scripted(FAILED, REMOTE, ended)) as screen:
        await screen.pilot.press("enter")
        await screen.until(lambda: "gpu2: Connection refused" in screen.text.replace("\n", " "))
        await screen.pilot.press("down", "space", "down", "space", "c")
        await screen.until(lambda: "only trainings of this machine can be compared" in screen.text)
        await screen.pilot.press("enter")
        await screen.until(lambda: "starves has ended" in screen.text)
        assert "ended · vanishing" in screen.text and "ended with its process" in screen.text


async def test_the_help_explains_and_closes_and_a_problem_of_before_is_told() -> None:
    async with top(Scripted(STARVES), problem="what answers is not a watched model") as screen:
        await screen.until(lambda: "what answers is not a watched model" in screen.text)
        await screen.pilot.press("question_mark")
        await screen.until(lambda: isinstance(screen.app.screen, TopHelp))
        assert "worst layer: the one whose gradient" in screen.text
        await screen.pilot.press("q")
        await screen.until(lambda: not isinstance(screen.app.screen, TopHelp))
        assert screen.app.is_running


async def test_gpus_are_named_above_and_the_names_of_trainings_are_no_markup() -> None:
    here = Scripted(msgspec.structs.replace(STARVES, name="[/][bold]x\x1b[31m", message="vanishing: [/red] x"))
    here.gpus = [Device(0, "NVIDIA H200", 0.5, 2**31, 2**33)]
    async with top(here) as screen:
        assert "GPU 0 50 %  2/8 GiB" in screen.text
        assert "[/][bold]x�[31m" in screen.text and "vanishing: [/red] x" in screen.text


async def test_trainings_appear_and_when_they_end_stay_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "LOOK_SECONDS", 0.02)
    here = Trainings(0.02)
    async with top(here) as screen:
        assert "Nothing is watched now." in screen.text
        with trained("first"):
            await screen.until(lambda: [row.verdict for row in here.rows()] == ["vanishing"])
            with trained("second"):
                await screen.until(lambda: len(here.rows()) == 2)
                await screen.until(lambda: len(here.rows()[1].losses) >= 3)
            await screen.until(lambda: [row.state for row in here.rows()] == ["training", "ended"])
            assert here.rows()[1].note == "ended; its process goes on"
            monkeypatch.setattr(trainings, "ENDED_SECONDS", 0.0)
            await screen.until(lambda: [row.name for row in here.rows()] == ["first"])


async def test_what_was_seen_stays_when_the_screen_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "LOOK_SECONDS", 0.02)
    here = Trainings(0.02)
    with vgtui.Emitter(LAYERS, name="ends") as ends, trained("stays"):
        async with top(here) as screen:
            await screen.until(lambda: [row.state for row in here.rows()] == ["waiting", "training"])
            await screen.until(lambda: len(here.rows()[1].losses) >= 3)
        before = here.rows()[1].losses
        ends.close()
        async with top(here) as screen:
            await screen.until(lambda: [row.state for row in here.rows()] == ["ended", "training"])
            await screen.until(lambda: len(here.rows()[1].losses) > len(before))
        assert here.rows()[1].losses[: len(before)] == before


def test_a_training_that_is_connected_to_again_keeps_its_last_frame() -> None:
    header, frame = make_model_header(), make_model_frame([1.0] * 8, 70)
    watched = trainings._Watched(Endpoint(Path("/1"), "slow", 1), since=0.0)
    for line in (header, frame, header):
        watched.take(line)
    row = watched.row(())
    assert (row.state, row.step, row.note) == ("training", 70, "")
    watched.take(msgspec.structs.replace(header, layers=header.layers[:1]))
    assert watched.row(()).state == "waiting"


async def test_a_row_that_is_no_training_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise UsageError("NAME", "what answers on it is not a watched model")

    monkeypatch.setattr("vgtui.sources.attached.Attached.next_answer", refuse)
    with trained("odd"):
        (row,) = await Trainings().look_once()
    assert (row.state, row.note, row.pid) == ("waiting", "what answers on it is not a watched model", os.getpid())
