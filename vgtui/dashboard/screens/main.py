"""The main screen: pulls frames at its pace, shows them, and turns keys into changes of the run."""

import asyncio
import sys
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
from vgtui.dashboard.governor import Governor, takes_bytes
from vgtui.dashboard.keymap import KEYS
from vgtui.dashboard.messages import LayerChosen, LayerOpened, LayersScrolled, LookChanged, SettingChosen
from vgtui.dashboard.screens.help import HelpScreen
from vgtui.dashboard.screens.layer import LayerScreen
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.screens.settings import SettingsScreen
from vgtui.dashboard.screens.what_if import WhatIfScreen
from vgtui.dashboard.state import VIEWS, RunState
from vgtui.dashboard.steps import DEPTHS, LEARNING_RATES, neighbour, rung
from vgtui.dashboard.text import plain
from vgtui.dashboard.widgets.gradient_by_layer import GradientByLayer
from vgtui.dashboard.widgets.layer_panel import LayerPanel
from vgtui.dashboard.widgets.loss_chart import LossChart
from vgtui.dashboard.widgets.state_line import StateLine
from vgtui.dashboard.widgets.verdict_panel import VerdictPanel
from vgtui.recordings.frames import Event, Frame, Header
from vgtui.themes import Palette
from vgtui.training.protocol import Answer, Inspected, Refused, Tried
from vgtui.training.quantities import QUANTITIES
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
        Binding(key.key, key.action, key.label, show=key.footer > 0, key_display=key.shown, id=key.name)
        for key in sorted(KEYS, key=lambda key: key.footer)
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-low"), (18, "-high")]

    def __init__(self, source: FrameSource, state: RunState, palette: Palette, fps: float) -> None:
        super().__init__()
        self._source = source
        self._governor = Governor(fps)
        self._hurry = asyncio.Event()
        self._paused_by_fault = False
        self._numbers_at = 0.0
        self._numbers_stale = False
        self._charts_stale = False
        self.state = state
        self._palette = palette
        self._panels = (LayerPanel(state, palette), LayerPanel(state, palette, views_further=1, id="second"))
        self._state_line = StateLine(state, palette)
        self._gradient_chart = GradientByLayer(state, palette)
        self._loss_chart = LossChart(state, palette)
        self._verdict = VerdictPanel(state, palette)

    def compose(self) -> ComposeResult:
        yield self._state_line
        with Horizontal(id="body"):
            yield from self._panels
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
        for panel in self._panels:
            panel.set_palette(palette)
        for widget in (self._state_line, self._gradient_chart, self._loss_chart, self._verdict):
            widget.palette = palette
        if overlay := self._overlay:
            overlay.set_palette(palette)
        self._draw_all()

    @property
    def _overlay(self) -> Overlay | None:
        """What lies over this screen, if anything does; one that is only being made draws itself when it is there."""
        top = self.app.screen
        return top if isinstance(top, Overlay) and top.is_mounted else None

    @work
    async def _follow(self) -> None:
        """Ask for a frame, show it, and wait until the next picture is due or a key wants it now."""
        while True:
            while not self.terminal_takes_bytes():
                await asyncio.sleep(self._governor.interval)
            answer = await self._source.next_answer()
            if isinstance(answer, Frame) and self.state.begins_run:
                await asyncio.sleep(PAINT_SECONDS)
            begin = time.monotonic()
            self._take(answer)
            if isinstance(answer, Frame):
                self._governor.count_picture()
                self.state.pictures_per_second = self._governor.pictures_per_second
                due = self._governor.interval - (time.monotonic() - begin)
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
            case Inspected():
                self.state.inspected = answer
            case Tried():
                self.state.take_tried(answer)
            case Event(kind="fault"):
                self.state.fault = answer.message
                self._draw_numbers()
            case Event():
                self.notify(plain(answer.message), markup=False)
        if isinstance(answer, Inspected | Tried) and (overlay := self._overlay):
            overlay.state_changed()

    def _take_frame(self, frame: Frame) -> None:
        begins = self.state.begins_run
        self.state.take_frame(frame)
        if frame.verdict.kind == "non-finite" and not self.state.paused:
            self._paused_by_fault = True
            self._set_paused(True)
            begins = True
        for panel in self._shown_panels:
            panel.advance()
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
            self._gradient_chart.update_title()
            self._gradient_chart.redraw()
            self._loss_chart.redraw()

    def _draw_numbers(self, begins: bool = False) -> None:
        self._numbers_at = time.monotonic()
        self._numbers_stale = False
        self._charts_stale = True
        for panel in self._shown_panels:
            panel.draw_numbers(begins)
        self._verdict.redraw()
        self._state_line.refresh()
        if overlay := self._overlay:
            overlay.state_changed()
        if begins:
            self.call_after_refresh(self._draw_stale_charts)

    def _draw_all(self) -> None:
        """The look has changed: draw everything anew."""
        for panel in self._shown_panels:
            panel.redraw()
            panel.advance()
        self._draw_numbers()
        self._draw_stale_charts()

    @property
    def _shown_panels(self) -> list[LayerPanel]:
        """The second panel is there on huge terminals alone."""
        return [panel for panel in self._panels if panel.display and panel.size.width]

    def terminal_takes_bytes(self) -> bool:
        """Whether a picture would be taken without waiting; a slow line makes fewer pictures, not late keys."""
        return self.app.is_headless or takes_bytes(sys.__stdout__.fileno())  # type: ignore[union-attr]

    # changes

    def _change(
        self, network: dict[str, Any] | None = None, training: dict[str, Any] | None = None, dataset: str | None = None
    ) -> None:
        """Restart with these fields changed."""
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
        self._run(changed)

    def _run(self, changed: RunSettings) -> None:
        """Restart with these settings; the screen shows them at once, marked until their first frame."""
        if not self._source.abilities.change:
            self.notify("this source cannot be changed", severity="warning")
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

    def on_layers_scrolled(self, message: LayersScrolled) -> None:
        self.action_select(message.step)

    def on_layer_opened(self, message: LayerOpened) -> None:
        self._select(message.layer)
        self.action_look_inside()

    def on_setting_chosen(self, message: SettingChosen) -> None:
        self.action_settings(message.name)

    def _select(self, layer: int) -> None:
        self.state.selected = layer
        for panel in self._shown_panels:
            panel.redraw()
        self._verdict.redraw()

    def action_next_view(self) -> None:
        look = self.state.look
        look.view = VIEWS[(VIEWS.index(look.view) + 1) % len(VIEWS)]
        self._look_changed()

    def action_next_quantity(self, step: int) -> None:
        look = self.state.look
        look.quantity = QUANTITIES[(QUANTITIES.index(look.quantity) + step) % len(QUANTITIES)]
        self._look_changed()

    def action_toggle_look(self, name: str) -> None:
        """Switch theory, hints or the rate of pictures on or off."""
        setattr(self.state.look, name, not getattr(self.state.look, name))
        self._look_changed()

    def _look_changed(self) -> None:
        self.app.post_message(LookChanged())
        self._draw_all()

    def action_pin(self) -> None:
        self.state.pin()
        self._draw_numbers()
        self._draw_stale_charts()

    def action_unpin(self) -> None:
        self.state.pins = []
        self._draw_numbers()
        self._draw_stale_charts()

    # what lies over the screen

    def _open(self, overlay: Overlay) -> None:
        """Put this over the screen, in place of what is there; while that is only being made, it stays."""
        present = self.app.screen
        if isinstance(present, Overlay):
            if not present.is_mounted:
                return
            present.action_close()
        self.app.push_screen(overlay)

    def _may_examine(self) -> bool:
        if not self._source.abilities.examine:
            self.notify("this source cannot be looked into", severity="warning")
        return self._source.abilities.examine

    def action_look_inside(self) -> None:
        if self._may_examine():
            self.state.inspected = None
            self._open(LayerScreen(self.state, self._palette, self._select, self._source.inspect))

    def action_what_if(self) -> None:
        if self._may_examine():
            self.state.tried = []
            self._source.try_changes()
            self._open(WhatIfScreen(self.state, self._palette, lambda name, value: self._change({name: value})))

    def action_settings(self, focused: str | None = None) -> None:
        if self._source.abilities.change:
            self._open(SettingsScreen(self.state, self._palette, self._run, focused))
        else:
            self.notify("this source cannot be changed", severity="warning")

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
        self._open(HelpScreen(self.state, self._palette, notes))
