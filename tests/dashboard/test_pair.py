"""Two watched models side by side."""

import asyncio

import pytest

from tests.cli.trained import trained
from tests.dashboard.sitting import SECONDS, make_dashboard
from vgtui.dashboard.view.comparison import comparison
from vgtui.sources.attached import Attached, find_endpoints
from vgtui.sources.pair import Pair
from vgtui.watching.endpoints import list_endpoints
from vgtui.wire.frames import Frame, Header
from vgtui.wire.run_settings import RunSettings


def pair() -> Pair:
    first, second = find_endpoints(None, list_endpoints())
    return Pair(Attached(first), Attached(second))


async def test_each_model_has_its_lane_and_both_go_on() -> None:
    with trained("one"), trained("two", (0.5, 1.0), 1.0):
        source = pair()
        names, losses = {}, {"A": 0.0, "B": 0.0}
        async with asyncio.timeout(SECONDS):
            while not all(losses.values()):
                line = await source.next_answer()
                if isinstance(line, Header) and line.model:
                    names[line.lane] = line.model.name
                elif isinstance(line, Frame):
                    losses[str(line.lane)] = float(line.loss or 0)
        await source.close()
    assert names == {"A": "one", "B": "two"} and losses == {"A": 2.0, "B": 1.0}


async def test_the_dashboard_compares_them_and_says_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.sources.pair.PACE_SECONDS", 0.02)
    with trained("one") as one, trained("two", (0.5, 1.0), 1.0) as two:
        source = pair()
        app = make_dashboard(source, settings=RunSettings())

        def text() -> str:
            return "\n".join(strip.text for strip in app.screen._compositor.render_strips())

        async with app.run_test(size=(120, 40), notifications=True), asyncio.timeout(SECONDS):
            while not app.main.lanes.comparing or not (
                words := comparison(*(lane.state for lane in app.main.lanes.all))
            ):
                await asyncio.sleep(0.05)
            assert words.startswith("A: layer 1 gets 2.0e-09 times the gradient of B; loss 2 against 1 at step ")
            while "against 1" not in text() or "1.0e-09" not in text():
                await asyncio.sleep(0.05)
            assert "A  one" in text() and "B  two" in text()
            one.close()
            two.close()
            while not source.ended:
                await asyncio.sleep(0.05)
        assert app.crash is None
