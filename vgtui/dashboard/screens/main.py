"""The main screen: pulls frames at its pace, shows them, and turns keys into changes of the run."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from engine.config import ACTIVATION_NAMES, DATASET_NAMES, INITIALIZATION_NAMES, OPTIMIZER_NAMES
from engine.errors import UsageError
from vgtui.dashboard.keymap import KEYS
from vgtui.dashboard.messages import LayerChosen
from vgtui.dashboard.screens.help import HelpScreen
from vgtui.dashboard.state import RunState
from vgtui.dashboard.steps import DEPTHS, LEARNING_RATES, neighbour, rung
from vgtui.dashboard.text import plain
from vgtui.dashboard.widgets.gradient_by_layer import GradientByLayer
from vgtui.dashboard.widgets.layer_panel import LayerPanel
from vgtui.dashboard.widgets.loss_chart import LossChart
from vgtui.dashboard.widgets.state_line import StateLine
from vgtui.dashboard.widgets.verdict_panel import VerdictPanel
from vgtui.recordings.frames import Frame, Header
from vgtui.themes import Palette
from vgtui.training.protocol import Answer, Refused
from vgtui.training.settings import RunSettings
from vgtui.training.source import FrameSource

NUMBERS_SECONDS = 0.25
"""Numbers change four times a second: nobody reads faster."""
PAINT_SECONDS = 0.02
"""Before a run's first frame, which redraws much, so that what the key changed is painted first."""
CHARTS_SECONDS = 0.5
"""The charts of lines cost more, and change less: twice a second."""


class MainScreen(Screen[None]):
    """A pure function of the source's answers and of keys."""

    BINDINGS = [
        Binding(key.key, key.action, key.label, show=key.footer > 0, key_display=key.shown)
        for key in sorted(KEYS, key=lambda key: key.footer)
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-low"), (18, "-high")]

    def __init__(self, source: FrameSource, settings: RunSettings, palette: Palette, fps: float) -> None:
        super().__init__()
        self._source = source
        self._picture_seconds = 1 / fps
        self._hurry = asyncio.Event()
        self._paused_by_fault = False
        self._numbers_at = 0.0
        self._numbers_stale = False
        self._charts_stale = False
        self.state = RunState(settings)
        self._palette = palette
        self._panel = LayerPanel(self.state, palette)
        self._state_line = StateLine(self.state, palette)
        self._gradient_chart = GradientByLayer(self.state, palette)
        self._loss_chart = LossChart(self.state, palette)
        self._verdict = VerdictPanel(self.state, palette)

    def compose(self) -> ComposeResult:
        yield self._state_line
        with Horizontal(id="body"):
            yield self._panel
            with Vertical(id="charts"):
                yield from (self._gradient_chart, self._loss_chart, self._verdict)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.set_interval(NUMBERS_SECONDS, self._draw_stale_numbers)
        self.set_interval(CHARTS_SECONDS, self._draw_stale_charts)
        self._follow()

    def set_palette(self, palette: Palette) -> None:
        """Draw everything in these colours."""
        self._palette = palette
        self._panel.set_palette(palette)
        for widget in (self._state_line, self._gradient_chart, self._loss_chart, self._verdict):
            widget.palette = palette
        self._draw_numbers()
        self._draw_stale_charts()

    @work
    async def _follow(self) -> None:
        """Ask for a frame, show it, and wait until the next picture is due or a key wants it now."""
        while True:
            answer = await self._source.next_answer()
            if isinstance(answer, Frame) and self.state.begins_run:
                await asyncio.sleep(PAINT_SECONDS)
            begin = time.monotonic()
            self._take(answer)
            if isinstance(answer, Frame):
                due = self._picture_seconds - (time.monotonic() - begin)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), due)
                self._hurry.clear()

    def _take(self, answer: Answer) -> None:
        match answer:
            case Header():
                self.state.take_header(answer)
            case Frame():
                self._take_frame(answer)
            case Refused():
                self._take_refusal(answer)
            case _ if answer.kind == "fault":
                self.state.fault = answer.message
                self._draw_numbers()
            case _:
                self.notify(plain(answer.message), markup=False)

    def _take_frame(self, frame: Frame) -> None:
        begins = self.state.begins_run
        self.state.take_frame(frame)
        if frame.verdict.kind == "non-finite" and not self.state.paused:
            self._paused_by_fault = True
            self._set_paused(True)
            begins = True
        self._panel.advance()
        if begins or time.monotonic() - self._numbers_at >= NUMBERS_SECONDS:
            self._draw_numbers(begins)
        else:
            self._numbers_stale = True

    def _take_refusal(self, refused: Refused) -> None:
        if self.state.header is None:
            self.app.exit(UsageError(refused.setting, refused.problem), return_code=2)
            return
        self.notify(plain(f"{refused.setting}: {refused.problem}"), severity="error", markup=False)
        header = self.state.header
        dataset = header.dataset.name if header.dataset.name in DATASET_NAMES else self.state.wanted.dataset
        self.state.wanted = replace(
            self.state.wanted, network=header.network, training=header.training, dataset=dataset
        )
        self._draw_numbers()

    def _draw_stale_numbers(self) -> None:
        if self._numbers_stale:
            self._draw_numbers()

    def _draw_stale_charts(self) -> None:
        if self._charts_stale:
            self._charts_stale = False
            self._gradient_chart.redraw()
            self._loss_chart.redraw()

    def _draw_numbers(self, begins: bool = False) -> None:
        self._numbers_at = time.monotonic()
        self._numbers_stale = False
        self._charts_stale = True
        self._panel.draw_numbers(begins)
        self._verdict.refresh()
        self._state_line.refresh()
        if begins:
            self.call_after_refresh(self._draw_stale_charts)

    # changes

    def _change(
        self, network: dict[str, Any] | None = None, training: dict[str, Any] | None = None, dataset: str | None = None
    ) -> None:
        """Restart with these fields changed; the screen shows them at once, marked until their first frame."""
        if not self._source.abilities.change:
            self.notify("this source cannot be changed", severity="warning")
            return
        wanted = self.state.wanted
        try:
            changed = replace(
                wanted,
                network=replace(wanted.network, **network or {}),
                training=replace(wanted.training, **training or {}),
                dataset=dataset or wanted.dataset,
            )
        except UsageError as error:
            self.notify(plain(str(error)), severity="error", markup=False)
            return
        self.state.want(changed)
        if self._paused_by_fault:
            self._paused_by_fault = False
            self._set_paused(False)
        self._source.restart(changed)
        self._hurry.set()
        self._state_line.refresh()

    def action_next_activation(self, step: int) -> None:
        self._change({"activation": neighbour(ACTIVATION_NAMES, self.state.wanted.network.activation, step)})

    def action_next_initialization(self, step: int) -> None:
        self._change(
            {"initialization": neighbour(INITIALIZATION_NAMES, self.state.wanted.network.initialization, step)}
        )

    def action_switch(self, name: str) -> None:
        self._change({name: not getattr(self.state.wanted.network, name)})

    def action_deepen(self, step: int) -> None:
        depth = self.state.wanted.network.hidden_layers
        self._change({"hidden_layers": rung(DEPTHS, depth, step)})

    def action_scale_rate(self, step: int) -> None:
        rate = self.state.wanted.training.learning_rate
        self._change(training={"learning_rate": rung(LEARNING_RATES, rate, step)})

    def action_next_optimizer(self) -> None:
        self._change(training={"optimizer": neighbour(OPTIMIZER_NAMES, self.state.wanted.training.optimizer, 1)})

    def action_next_dataset(self) -> None:
        present = self.state.wanted.dataset
        names = DATASET_NAMES if present in DATASET_NAMES else (*DATASET_NAMES, present)
        self._change(dataset=neighbour(names, present, 1))

    def action_restart(self) -> None:
        self._change()

    def action_reseed(self) -> None:
        self._change(training={"seed": self.state.wanted.training.seed + 1})

    # time

    def _set_paused(self, paused: bool) -> None:
        self.state.paused = paused
        if paused:
            self._source.pause()
        else:
            self._source.train()
        self._hurry.set()
        self._state_line.refresh()

    def action_pause(self) -> None:
        if self._source.abilities.pause:
            self._paused_by_fault = False
            self._set_paused(not self.state.paused)

    def action_step(self) -> None:
        if self._source.abilities.pause:
            self.state.paused = True
            self._source.step_once()
            self._hurry.set()
            self._state_line.refresh()

    # looking

    def action_select(self, step: int) -> None:
        self._select(min(max(self.state.selected + step, 0), self.state.layers - 1))

    def on_layer_chosen(self, message: LayerChosen) -> None:
        self._select(message.layer)

    def _select(self, layer: int) -> None:
        self.state.selected = layer
        self._panel.advance()
        for part in self._panel.rows:
            part.redraw()
        self._verdict.refresh()

    def action_help(self) -> None:
        header = self.state.header
        notes = []
        if header:
            device = plain(f"{header.backend.name} on {header.backend.device}, {header.backend.dtype}")
            notes.append(
                f"Computing with {device}; data set {plain(header.dataset.name)}, seed {header.training.seed}."
            )
            if header.backend.fallback_reason:
                notes.append(f"No GPU: {plain(header.backend.fallback_reason)}.")
        self.app.push_screen(HelpScreen(self._palette, notes))
