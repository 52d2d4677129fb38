"""Snapshots: every view at four sizes for five verdicts as text, and a few pictures with their colours.

`make test ARGS="--slow --snapshot-update"` updates them. The texts in __snapshots__ are meant to be read.
"""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot

from engine.config import NetworkConfig
from tests.dashboard.sitting import Sitting, make_dashboard, open_dashboard
from tests.forms import slow_but
from tests.scripted_run import Norms, ScriptedRun, vanishing
from vgtui.dashboard.view.look import VIEWS, Look
from vgtui.wire.run_settings import RunSettings

SIZES = ((40, 12), (80, 24), (120, 40), (200, 60))


class TextFile(SingleFileSnapshotExtension):
    """A screen as a text file."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT


def healthy(settings: RunSettings, step: int) -> Sequence[float]:
    return [0.1 * (1 + 0.2 * ((layer + step) % 3)) for layer in range(settings.network.hidden_layers + 1)]


def exploding(settings: RunSettings, step: int) -> Sequence[float]:
    depth = settings.network.hidden_layers
    return [10.0 ** ((depth - layer) / 2) * (1 + step) for layer in range(depth + 1)]


def broken(settings: RunSettings, step: int) -> Sequence[float]:
    norms = vanishing(settings, step)
    if step >= 3:
        norms[:4] = [math.nan, math.inf, 0.0, math.nan]
    return norms


VERDICTS: dict[str, tuple[Norms, float | None]] = {
    "healthy": (healthy, None),
    "vanishing": (vanishing, None),
    "exploding": (exploding, None),
    "NaN": (broken, None),
    "dead": (healthy, 0.97),
}
"""The norms of the frames, and the share of dead units."""


@pytest.mark.parametrize("verdict", slow_but(VERDICTS, "NaN"))
async def test_every_view_at_every_size(verdict: str, snapshot: SnapshotAssertion) -> None:
    norms, dead = VERDICTS[verdict]
    settings = RunSettings(NetworkConfig(hidden_layers=12, activation="relu" if dead else "sigmoid"))
    source = ScriptedRun(settings, norms=norms, dead=dead)
    async with open_dashboard(source, look=Look(theory=True)) as sitting:
        for columns, lines in SIZES:
            await sitting.pilot.resize_terminal(columns, lines)
            for view in VIEWS:
                await sitting.settle()
                name = f"{verdict}-{columns}x{lines}-{view.replace(' ', '_')}"
                text = "\n".join(line.rstrip() for line in sitting.text.split("\n")) + "\n"
                assert text == snapshot(extension_class=TextFile, name=name)
                await sitting.press("v")


@pytest.mark.parametrize("view", slow_but(VIEWS, "sparklines"))
def test_the_colours_of_every_view(snap_compare: Any, view: str) -> None:
    source = ScriptedRun(RunSettings())
    app = make_dashboard(source, look=Look(view=view))

    async def show(pilot: Pilot[Any]) -> None:
        sitting = Sitting(app, pilot, source)
        await sitting.settle()
        await sitting.press("b")
        for columns in (100, 120):  # drawn anew: how a row is centred depends on the frames that it was drawn after
            await pilot.resize_terminal(columns, 40)
            await sitting.settle()

    assert snap_compare(app, terminal_size=(120, 40), run_before=show)
