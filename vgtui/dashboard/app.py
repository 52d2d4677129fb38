"""The dashboard's Textual app: the command palette, and how it exits. The screens do the rest."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from engine.errors import UsageError
from vgtui.dashboard.keymap import Keymap
from vgtui.dashboard.line_filters import EVERYTHING, Shows
from vgtui.dashboard.screens.main import MainScreen, screen_for
from vgtui.dashboard.screens.palette import ActionPalette
from vgtui.dashboard.themed import ThemedApp
from vgtui.dashboard.view.look import Look
from vgtui.dashboard.view.state import RunView
from vgtui.lessons.lesson import Lesson
from vgtui.model.presets import PRESETS
from vgtui.recordings.writer import Recorder
from vgtui.sources.base import Experiment, FrameSource
from vgtui.terminal.text import plain
from vgtui.user.themes import Palette
from vgtui.wire.run_settings import RunSettings

if TYPE_CHECKING:
    from vgtui.dashboard.session.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardConfig:
    """What the dashboard shows, and how.

    Attributes:
        source: Where the frames come from.
        settings: The requested run.
        palettes: The themes by name.
        theme: The name of the current theme.
        fps: The maximum number of redraws per second.
        look: What the user chose to see.
        keymap: The keys.
        shows: What the terminal can show.
        on_look: Called with the look and the theme's name when the user changes either.
        on_lesson: Called with the number of steps done in each lesson when that changes.
        lesson: The lesson to start with, if any.
        lessons_done: The number of steps done in each lesson so far.
        warnings: Shown as notifications at startup.
        recorder: Records every frame.
        command: Trains the models of the source, if it was started here.
    """

    source: FrameSource
    settings: RunSettings
    palettes: dict[str, Palette]
    theme: str
    fps: float
    look: Look = field(default_factory=Look)
    keymap: Keymap = field(default_factory=Keymap)
    shows: Shows = EVERYTHING
    on_look: Callable[[Look, str], None] = lambda look, theme: None
    on_lesson: Callable[[dict[str, int]], None] = lambda done: None
    lesson: Lesson | None = None
    lessons_done: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[UsageError] = ()
    recorder: Recorder | None = None
    command: "Command | None" = None


class Dashboard(ThemedApp[UsageError]):
    """Shows one frame source. Returns the error with which the source refused to start, if it did."""

    BINDINGS = [Binding("ctrl+c", "interrupt", "quit", show=False, priority=True)]

    def __init__(self, config: DashboardConfig) -> None:
        super().__init__(config.palettes, config.theme, config.shows)
        self._config = config
        self.set_keymap(config.keymap.changed)
        look = replace(config.look, keymap=config.keymap, blocks=config.shows.colour and config.shows.utf8)
        state = RunView(config.settings, look, follows=not isinstance(config.source, Experiment))
        screen = _screen_beside(config.command) if config.command else screen_for(config.source)
        self.main: MainScreen = screen(config.source, state, config.palettes[config.theme], config.fps, config.recorder)
        self.main.controller.lessons_done = dict(config.lessons_done)

    def on_look_changed(self) -> None:
        """Pass on the look and the theme, to be remembered."""
        self._config.on_look(self.main.state.look, self.theme)

    def on_lesson_advanced(self) -> None:
        """Pass on the progress in the lessons, to be remembered."""
        self._config.on_lesson(self.main.controller.lessons_done)

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen."""
        return self.main

    def on_mount(self) -> None:
        """Show the warnings, and begin the lesson to start with, if any."""
        for warning in self._config.warnings:
            self.notify(plain(str(warning)), severity="warning", markup=False)
        if self._config.lesson:
            self.main.call_after_refresh(self.main.begin_lesson, self._config.lesson)

    async def action_exit_cleanly(self, code: int = 0) -> None:
        """End the sources, then the app."""
        self.workers.cancel_all()
        await self._end_sources()
        self.exit(return_code=code)

    def save_in_haste(self) -> str:
        """Close the recording, and return where it is."""
        recorder = self.main.recording.recorder
        if not recorder:
            return ""
        recorder.close()
        return recorder.where

    async def on_unmount(self) -> None:
        """Close the sources however the app ends, also after a refused run or an internal error."""
        await self._end_sources()

    async def _end_sources(self) -> None:
        """Close all sources even if closing one fails; a second call does nothing."""
        closing = (lane.source.close() for lane in self.main.lanes.all)
        for error in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(error, Exception):
                self.crash = self.crash or error

    async def action_interrupt(self) -> None:
        """Leave, or where a command was started here, ask once more and end it."""
        await self.main.action_interrupt()

    async def action_quit(self) -> None:
        """End the sources, then the app."""
        await self.action_exit_cleanly()

    def action_command_palette(self) -> None:
        """Open the command palette, unless it is open already."""
        if not isinstance(self.screen, ActionPalette):
            self.push_screen(ActionPalette(id="--command-palette"))

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        names = list(self._config.palettes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.main.set_palette(self._config.palettes[self.theme])
        self.on_look_changed()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield a command for each key that works with the source, and the presets if the run can be changed."""
        for key in self._config.keymap:
            if not key.fits(*self.main.kinds):
                continue
            label = self.main.state.key_label(key)
            yield SystemCommand(f"{label} ({key.shown})", key.help, lambda action=key.action: self._run(action))
        if not self.main.state.status.follows:
            for name, preset in PRESETS.items():
                yield SystemCommand(
                    f"preset {name}", preset.title, lambda preset=preset: self.main.begin_preset(preset)
                )

    async def _run(self, action: str) -> None:
        await self.run_action(action, default_namespace=self.main)


def _screen_beside(command: "Command") -> Callable[..., MainScreen]:
    """The main screen for a command."""
    from vgtui.dashboard.screens.beside import BesideScreen  # a terminal emulator, which nothing else needs

    return partial(BesideScreen, command)
