"""The look at three sizes; `make test ARGS=--snapshot-update` renews the pictures."""

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.dashboard.sitting import Sitting, make_dashboard
from tests.scripted_run import ScriptedRun
from vgtui.training.settings import RunSettings


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 12)], ids=["120x40", "80x24", "40x12"])
def test_the_look(snap_compare: Any, size: tuple[int, int]) -> None:
    source = ScriptedRun(RunSettings())
    app = make_dashboard(source)

    async def show(pilot: Pilot[Any]) -> None:
        sitting = Sitting(app, pilot, source)
        await sitting.settle()
        await sitting.press("b")

    assert snap_compare(app, terminal_size=size, run_before=show)
