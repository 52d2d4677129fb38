"""The Textual app: themes, the palette, the way out. The screens do the rest."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.filter import LineFilter, NoColor
from textual.notifications import Notification, Notify
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets._toast import ToastRack
from textual.worker import WorkerFailed

from engine.errors import UsageError
from vgtui.dashboard.driver import TerminalDriver
from vgtui.dashboard.keymap import Keymap
from vgtui.dashboard.plain import EVERYTHING, AsciiOnly, Shows
from vgtui.dashboard.screens.main import MainScreen, screen_for
from vgtui.dashboard.screens.palette import ActionPalette
from vgtui.dashboard.state import Look, RunState
from vgtui.lessons.lesson import Lesson
from vgtui.presets import PRESETS
from vgtui.recordings.writer import Recorder
from vgtui.text import plain
from vgtui.themes import Palette
from vgtui.training.settings import RunSettings
from vgtui.training.source import Experiment, FrameSource


class Dashboard(App[UsageError]):
    """Shows one frame source. Its return value is what the source refused to start with, if it did."""

    CSS_PATH = "app.tcss"
    TITLE = "vgtui"
    BINDINGS = [Binding("ctrl+c", "exit_cleanly", "quit", show=False, priority=True)]

    def __init__(
        self,
        source: FrameSource,
        settings: RunSettings,
        palettes: dict[str, Palette],
        theme: str,
        fps: float,
        *,
        look: Look | None = None,
        keymap: Keymap | None = None,
        shows: Shows = EVERYTHING,
        on_look: Callable[[Look, str], None] = lambda look, theme: None,
        on_lesson: Callable[[dict[str, int]], None] = lambda done: None,
        lesson: Lesson | None = None,
        lessons_done: Mapping[str, int] | None = None,
        warnings: Sequence[UsageError] = (),
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(driver_class=TerminalDriver)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.crash: Exception | None = None
        self._palettes = palettes
        self._keymap_of_user = keymap or Keymap()
        self._on_look = on_look
        self._on_lesson = on_lesson
        self._first_lesson = lesson
        self._warnings = warnings
        # Textual turns colours into greys for NO_COLOR, which are colours still
        self._plain: list[LineFilter] = []
        if not shows.colour:
            self._plain.append(NoColor())
        if not shows.utf8:
            self._plain.append(AsciiOnly())
        for palette in palettes.values():
            self.register_theme(_as_theme(palette))
        self.theme = theme
        self.set_keymap(self._keymap_of_user.changed)
        state = RunState(settings, look, self._keymap_of_user, follows=not isinstance(source, Experiment))
        state.blocks = shows.colour and shows.utf8
        self.main: MainScreen = screen_for(source)(source, state, palettes[theme], fps, recorder)
        self.main.lessons_done = dict(lessons_done or {})

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._plain]

    def on_look_changed(self) -> None:
        self._on_look(self.main.state.look, self.theme)

    def on_lesson_advanced(self) -> None:
        self._on_lesson(self.main.lessons_done)

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def on_load(self) -> None:
        self.loop = asyncio.get_running_loop()

    def on_mount(self) -> None:
        for warning in self._warnings:
            self.notify(plain(str(warning)), severity="warning", markup=False)
        if self._first_lesson:
            self.main.call_after_refresh(self.main.begin_lesson, self._first_lesson)

    def on_notify(self, event: Notify) -> None:
        """Let a notice take the place of the one that it repeats."""
        kind = _kind_of(event.notification)
        for notice in [notice for notice in self._notifications if _kind_of(notice) == kind]:
            self._unnotify(notice, refresh=False)
            # Textual 8.2 would leave the holder, and the toast too where that is only being made
            self.screen.query(f"#{ToastRack._toast_id(notice)}").remove()

    def _handle_exception(self, error: Exception) -> None:
        """Leave, and let the command line say what happened; Textual would print a traceback."""
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error  # what it wraps is not among its causes
        self.crash = self.crash or error
        self.exit(return_code=1)

    async def action_exit_cleanly(self, code: int = 0) -> None:
        """End the sources, then the app."""
        self.workers.cancel_all()
        await self._end_sources()
        self.exit(return_code=code)

    async def on_unmount(self) -> None:
        """However it was left: by a run that cannot be had, or by a fault of its own."""
        await self._end_sources()

    async def _end_sources(self) -> None:
        """Close them, whatever becomes of one of them; a second time does nothing."""
        closing = (lane.source.close() for lane in self.main.lanes.all)
        for error in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(error, Exception):
                self.crash = self.crash or error

    async def action_quit(self) -> None:
        await self.action_exit_cleanly()

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, ActionPalette):
            self.push_screen(ActionPalette(id="--command-palette"))

    def action_next_theme(self) -> None:
        names = list(self._palettes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.main.set_palette(self._palettes[self.theme])
        self.on_look_changed()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for key in self._keymap_of_user:
            if not key.fits(*self.main.kinds):
                continue
            label = self.main.state.key_label(key)
            yield SystemCommand(f"{label} ({key.shown})", key.help, lambda action=key.action: self._run(action))
        if not self.main.state.follows:
            for name, preset in PRESETS.items():
                yield SystemCommand(
                    f"preset {name}", preset.title, lambda preset=preset: self.main.begin_preset(preset)
                )

    async def _run(self, action: str) -> None:
        await self.run_action(action, default_namespace=self.main)


def _kind_of(notice: Notification) -> str:
    """What a notice is about: its title, or its words whatever the numbers in them."""
    return notice.title or re.sub(r"\d+", "", notice.message)


def _as_theme(palette: Palette) -> Theme:
    """A theme in Textual's words."""
    return Theme(
        name=palette.name,
        dark=palette.dark,
        primary=palette.accent,
        accent=palette.accent,
        background=palette.background,
        surface=palette.panel,
        panel=palette.panel,
        foreground=palette.text,
        success=palette.health["learning"],
        warning=palette.health["weak"],
        error=palette.health["vanished"],
        variables={
            "border": palette.border,
            "text-muted": palette.muted,
            "input-selection-background": palette.selection,
            "selection": palette.selection,
        },
    )
