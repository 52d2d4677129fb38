"""The main screen for a command: its output in a panel, and the model that it trains once one is watched."""

import time
from typing import ClassVar

from textual.app import ComposeResult

from vgtui.dashboard.keymap import COMMAND, WATCHED, Kind
from vgtui.dashboard.screens.main import WatchingScreen
from vgtui.dashboard.session.command import Command
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.output_panel import SIZES, OutputPanel, Size
from vgtui.recordings.writer import Recorder
from vgtui.sources.started import Started
from vgtui.user.themes import Palette

READ_SECONDS = 0.05
"""How often to look for output."""
LOOK_SECONDS = 2.0
"""How often to look for other models of the command."""
BUSY_SECONDS = 0.01
"""How long to interpret output at a time, as keys wait for it."""
TWICE_SECONDS = 4.0
"""How soon the second ctrl+c must come."""


class BesideScreen(WatchingScreen):
    """The output is large until there is a model to show.

    Args:
        command: The command.
        source: Its models.
        state: The state of the run.
        palette: The colours.
        fps: The maximum number of redraws per second.
        recorder: Records every frame, if given.
    """

    source_kinds: ClassVar[tuple[Kind, ...]] = (COMMAND, WATCHED)

    def __init__(
        self,
        command: Command,
        source: Started,
        state: RunView,
        palette: Palette,
        fps: float,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(source, state, palette, fps, recorder)
        self._command, self._source = command, source
        state.status.of_command = True
        self._output = OutputPanel(command, state, palette)
        self._is_chosen = False
        self._asked_at: float | None = None
        self._has_ended = False
        self._output_size: Size = "large"

    def compose(self) -> ComposeResult:
        """Compose the main screen, with the output below the panels."""
        for widget in super().compose():
            if widget is self._timeline:
                yield self._output
            yield widget

    def on_mount(self) -> None:
        """Begin to read the output."""
        self._resize_output("large")
        self.set_interval(READ_SECONDS, self._read)
        self.set_interval(LOOK_SECONDS, self._look_for_others)

    def on_resize(self) -> None:
        """Give the command's terminal the new size."""
        super().on_resize()
        self._output.fit(*self.size)

    def _read(self) -> None:
        began = time.perf_counter()
        while time.perf_counter() - began < BUSY_SECONDS and (data := self._command.read()):
            self._output.take(data)
        if self._command.terminate_if_due():
            self.say("it does not end: now SIGTERM", "warning")
        if self.state.frame and not self._is_chosen and self._output_size == "large":
            self._is_chosen = True
            self._resize_output("beside")
        if not self._has_ended and self._command.exit_code is not None:
            self._has_ended = True
            self._say_that_it_ended(self._command.exit_code)
        self._output.show_new()

    async def _look_for_others(self) -> None:
        """Say that the command trains other models too: a script may train one after another."""
        if self.state.frame and (others := await self._source.find_others()):
            key = self.state.look.keymap.shown("next_model")
            self.say(f"the command trains {', '.join(others)} too; {key} shows the next model")

    def _say_that_it_ended(self, code: int) -> None:
        quit_key = self.state.look.keymap.shown("quit")
        self.say(f"the command has ended with exit code {code}; {quit_key} leaves", "error" if code else "information")
        if not self.state.frame:
            self._resize_output("large")

    def _resize_output(self, size: Size) -> None:
        self._output_size = size
        for name in SIZES:
            self.set_class(name == size, f"-output-{name}")
        self.call_after_refresh(self.draw_all)
        self.call_after_refresh(self._output.redraw)

    # what keys do

    def action_output(self) -> None:
        """Change the size of the output: beside the layers, large, hidden."""
        self._is_chosen = True
        self._resize_output(SIZES[(SIZES.index(self._output_size) + 1) % len(SIZES)])

    async def action_next_model(self) -> None:
        """Show the next model of the command."""
        name = await self._source.show_next()
        self.say(f"shown: {name}" if name else "the command trains no other model now")

    def action_select(self, step: int) -> None:
        """Choose another layer; while the output is large, scroll it."""
        if self._output_size != "large":
            super().action_select(step)
        elif abs(step) > 1:
            self._output.scroll_page(1 if step > 0 else -1)
        else:
            self._output.scroll(step)

    def action_travel_to(self, end: int) -> None:
        """Go to the first frame or to the newest; while the output is large, to its first line or to the newest."""
        if self._output_size == "large":
            self._output.jump(end)
        else:
            super().action_travel_to(end)

    async def action_interrupt(self) -> None:
        """Ask for a second ctrl+c, which ends the command; leave when it has ended."""
        if self._command.exit_code is not None:
            await super().action_interrupt()
        elif self._command.is_ending:
            if self._command.interrupt():
                self.say("SIGTERM is sent", "warning")
        elif self._asked_at is not None and time.monotonic() - self._asked_at < TWICE_SECONDS:
            self._command.interrupt()
            self.say("SIGINT is sent, as ctrl+c in a terminal does; what it prints is in the output", "warning")
        else:
            self._asked_at = time.monotonic()
            quit_key = self.state.look.keymap.shown("quit")
            self.say(f"ctrl+c again ends the training; {quit_key} leaves and lets it run", seconds=TWICE_SECONDS)

    def set_palette(self, palette: Palette) -> None:
        """Draw everything in these colours from now on."""
        self._output.palette = palette
        super().set_palette(palette)
        self._output.redraw()
