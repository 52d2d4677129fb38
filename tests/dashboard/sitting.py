"""The dashboard on a scripted source."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.app import App
from textual.keys import key_to_character
from textual.pilot import Pilot

from engine.errors import UsageError
from tests.scripted_run import ScriptedRun, ScriptedSource
from vgtui.dashboard.app import Dashboard, DashboardConfig
from vgtui.dashboard.view.scheduler import Draw
from vgtui.sources.base import FrameSource
from vgtui.user.themes import load_palettes
from vgtui.wire.run_settings import RunSettings

MOMENT = 0.001
"""Seconds. Without a length, a pause of the pilot waits for an idle processor, which is rare here."""

SECONDS = 60
"""How long a test waits for something before it fails and prints the screen."""


@dataclass
class Sitting:
    """An open dashboard with its pilot and its source."""

    app: Dashboard
    pilot: Pilot[UsageError]
    source: ScriptedSource

    @property
    def text(self) -> str:
        """The screen as text, its lines separated by newlines."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def line(self) -> str:
        """The state line."""
        return self.text.split("\n")[0]

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the app run until the condition holds; on a timeout, print the screen and fail."""
        async with asyncio.timeout(SECONDS):
            try:
                while not condition():
                    await asyncio.sleep(0.01)  # a pause of the pilot redraws everything
            except asyncio.CancelledError:
                print(self.text)
                raise

    async def press(self, *keys: str) -> None:
        """Press keys, named as in Textual, each after the effect of the one before is complete."""
        for key in keys:
            self.type_key(key)
            await self.pilot.pause(MOMENT)
            await self.settle_keys()
            await self.until(lambda: self.all_is_taken(self.app))
        await self.settle()

    def type_key(self, key: str) -> None:
        """Press a key as a terminal does: without waiting for its effect."""
        self.app.post_message(events.Key(key, key_to_character(key)))

    async def settle_keys(self) -> None:
        """Wait until all typed keys are processed, or the app has exited."""
        app = self.app
        await self.until(lambda: not (app.is_running and (app.message_queue_size or app.screen.message_queue_size)))

    @staticmethod
    def all_is_taken(app: App[Any]) -> bool:
        """Whether all answers of the lanes' sources are taken; they are drawn a moment later."""
        assert isinstance(app, Dashboard)
        return not app.is_running or all(
            lane.source.exhausted and not (lane.state.begins_run and lane.state.header and lane.source.frames)
            for lane in app.main.lanes.all
            if isinstance(lane.source, ScriptedSource)
        )

    async def settle(self) -> None:
        """Wait until all answers of the source are on the screen."""
        await self.until(lambda: self.source.exhausted and self.all_is_taken(self.app))
        main = self.app.main
        for panel in main._shown_panels:
            panel.advance()
        if Draw.NUMBERS in main.scheduler.stale:
            main.draw_numbers()
        main.draw_charts()
        await self.pilot.pause(MOMENT)


def make_dashboard(
    source: FrameSource, theme: str = "dark", settings: RunSettings | None = None, **options: Any
) -> Dashboard:
    if settings is None:
        assert isinstance(source, ScriptedSource)
        settings = source.settings
    config = DashboardConfig(
        source=source, settings=settings, palettes=load_palettes()[0], theme=theme, fps=1000, **options
    )
    return Dashboard(config)


@asynccontextmanager
async def open_dashboard(
    source: ScriptedSource | None = None, size: tuple[int, int] = (120, 40), theme: str = "dark", **options: Any
) -> AsyncIterator[Sitting]:
    """Open the dashboard, and wait for the source's first frames."""
    source = source or ScriptedRun(RunSettings())
    app = make_dashboard(source, theme, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        sitting = Sitting(app, pilot, source)
        await sitting.settle()
        yield sitting
