"""The main screen: its widgets, the action of each key, and how its parts are drawn."""

import sys
from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets._toast import ToastRack

from engine.errors import UsageError
from vgtui.dashboard.keymap import EXPERIMENT, KEYS, PLAYER, WATCHED, Kind
from vgtui.dashboard.messages import (
    LayerChosen,
    LayerOpened,
    LayersScrolled,
    LessonAdvanced,
    LookChanged,
    SettingChosen,
)
from vgtui.dashboard.screens.help import HelpScreen
from vgtui.dashboard.screens.layer import LayerScreen
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.screens.settings import SettingsScreen
from vgtui.dashboard.screens.what_if import WhatIfScreen
from vgtui.dashboard.session.controller import Controller, Severity
from vgtui.dashboard.session.feed import Feed
from vgtui.dashboard.session.lanes import Lane, Lanes
from vgtui.dashboard.session.recording import Recording
from vgtui.dashboard.view.governor import takes_bytes
from vgtui.dashboard.view.scheduler import CHARTS_SECONDS, NUMBERS_SECONDS, Draw, Scheduler
from vgtui.dashboard.view.state import RunView
from vgtui.dashboard.widgets.gradient_by_layer import GradientByLayer
from vgtui.dashboard.widgets.key_line import KeyLine
from vgtui.dashboard.widgets.layer_panel import LayerPanel
from vgtui.dashboard.widgets.lesson_panel import LessonPanel
from vgtui.dashboard.widgets.lines import Lines
from vgtui.dashboard.widgets.loss_chart import LossChart
from vgtui.dashboard.widgets.ranks_panel import RanksPanel
from vgtui.dashboard.widgets.state_line import StateLine
from vgtui.dashboard.widgets.timeline import Timeline
from vgtui.dashboard.widgets.verdict_panel import VerdictPanel
from vgtui.lessons.lesson import Lesson, load_lessons
from vgtui.model.presets import Preset
from vgtui.recordings.writer import FLUSH_SECONDS, Recorder
from vgtui.sources.base import Experiment, FrameSource, Player
from vgtui.terminal.crash import keep_traceback
from vgtui.terminal.text import plain
from vgtui.user.themes import Palette

ROOM_FOR_NOTICES = 6
"""The lines above the verdict, from which on notices are there."""


class MainScreen(Screen[None]):
    """The main screen. Each key of the keymap is an action of it, or of the app.

    Args:
        source: Where the frames come from.
        state: The state of its run.
        palette: The colours.
        fps: The maximum number of redraws per second.
        recorder: Records every frame, if given.
    """

    source_kinds: ClassVar[tuple[Kind, ...]] = (EXPERIMENT,)
    """The kinds of source shown."""
    BINDINGS = [Binding(key.key, key.action, key.label, show=False, id=key.name) for key in KEYS]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-low"), (18, "-high")]

    def __init__(
        self, source: FrameSource, state: RunView, palette: Palette, fps: float, recorder: Recorder | None = None
    ) -> None:
        super().__init__()
        self.lanes = Lanes(source, state)
        self.recording = Recording(recorder, self._say_of_recording)
        self.scheduler = Scheduler(fps)
        self.controller = Controller(self.lanes, self.recording, self)
        self._feed = Feed(self.controller, self.scheduler, self, self.terminal_takes_bytes)
        self._palette = palette
        self._panel = LayerPanel(state, palette)
        self._second = LayerPanel(state, palette, views_further=1, id="second")
        self._beside = LayerPanel(state, palette, id="beside")
        self._state_line = StateLine(state, palette)
        self._line_beside = StateLine(state, palette, id="line-beside")
        self._timeline = Timeline(state, palette)
        self._gradient_chart = GradientByLayer(state, palette)
        self._loss_chart = LossChart(state, palette)
        self._verdict = VerdictPanel(state, palette)
        self._ranks = RanksPanel(state, palette)
        self._lesson = LessonPanel(state, palette)
        self._keys = KeyLine(self.source_kinds, state, palette)

    def compose(self) -> ComposeResult:
        """Compose the state lines, the panels beside the charts, the timeline and the key line."""
        yield self._state_line
        yield self._line_beside
        with Horizontal(id="body"):
            yield Horizontal(self._panel, self._second, self._beside, id="panels")
            with Vertical(id="charts"):
                yield from (self._lesson, self._gradient_chart, self._loss_chart, self._ranks, self._verdict)
        yield self._timeline
        yield self._keys

    def on_mount(self) -> None:
        """Start the timers, begin the recording if there is one, and follow the source."""
        self.set_interval(NUMBERS_SECONDS, self._draw_stale_numbers)
        self.set_interval(NUMBERS_SECONDS, self._feed.notes.show_if_due)
        self.set_interval(CHARTS_SECONDS, self._draw_stale_charts)
        self.set_interval(FLUSH_SECONDS, self.recording.flush)
        if self.recording.recorder:
            self.recording.begin(self.recording.recorder, self.lanes.all)
        self.follow(self.lanes.chosen)

    @property
    def state(self) -> RunView:
        """The run that keys act on."""
        return self.controller.state

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of source whose keys work; in a recording of a watched model, its keys work too."""
        return (*self.source_kinds, WATCHED) if self.state.outline else self.source_kinds

    # what keys do

    def action_next_activation(self, step: int) -> None:
        """Change to the next activation (1) or the previous one (−1)."""
        self.controller.next_activation(step)

    def action_next_initialization(self, step: int) -> None:
        """Change to the next initialization (1) or the previous one (−1)."""
        self.controller.next_initialization(step)

    def action_switch(self, name: str) -> None:
        """Switch a field of the network on or off."""
        self.controller.switch(name)

    def action_keep_weights(self) -> None:
        """Toggle whether changes keep the weights or restart."""
        self.controller.keep_weights()

    def action_deepen(self, step: int) -> None:
        """Change to more hidden layers (1) or fewer (−1)."""
        self.controller.deepen(step)

    def action_scale_rate(self, step: int) -> None:
        """Change to a larger learning rate (1) or a smaller one (−1)."""
        self.controller.scale_rate(step)

    def action_next_optimizer(self) -> None:
        """Change to the next optimizer."""
        self.controller.next_optimizer()

    def action_next_clip(self) -> None:
        """Change to the next limit of the gradient norm."""
        self.controller.next_clip()

    def action_next_dataset(self) -> None:
        """Change to the next data set."""
        self.controller.next_dataset()

    def action_restart(self) -> None:
        """Restart the run, or play the recording again."""
        self.controller.restart()

    def action_use_numpy(self) -> None:
        """Restart on the CPU."""
        self.controller.use_numpy()

    def action_reseed(self) -> None:
        """Restart from a new seed."""
        self.controller.reseed()

    def action_pause(self) -> None:
        """Pause or resume."""
        self.controller.pause()

    def action_step(self) -> None:
        """Train one step, or play one frame."""
        self.controller.step()

    def action_travel(self, step: float) -> None:
        """Move through the history by a number of points, or by a share of all; negative is back."""
        self.controller.travel(step)

    def action_travel_to(self, end: int) -> None:
        """Go to the first frame (0) or to the newest (1)."""
        self.controller.travel_to(end)

    def action_change_speed(self, step: int) -> None:
        """Play a recording faster (1) or slower (−1)."""
        self.controller.change_speed(step)

    def action_compare(self) -> None:
        """Keep the present run beside the next one, or end the comparison."""
        self.controller.compare()

    def action_next_lane(self) -> None:
        """Let keys act on the other lane."""
        self.controller.next_lane()

    def action_back_to_lesson(self) -> None:
        """Restart the run that the lesson's present step begins with."""
        self.controller.back_to_lesson()

    def action_record(self) -> None:
        """Start a recording in a new file, or end the present one."""
        self.controller.record()

    def action_export(self) -> None:
        """Write the moment on the screen to two files: a picture and a table."""
        self.controller.export(self.app.export_screenshot(title="vgtui"))

    def action_select(self, step: int) -> None:
        """Choose the layer this many rows above the chosen one."""
        self.controller.move_selection(step)

    def action_find_verdict(self) -> None:
        """Choose the layer that the verdict is about; pressed again, the next one of several."""
        self.controller.find_verdict()

    def action_fold_all(self) -> None:
        """Fold or unfold all groups of layers."""
        self.controller.fold_all()

    def action_fold_around(self) -> None:
        """Fold the group around the chosen layer."""
        self.controller.fold_around()

    def action_next_view(self) -> None:
        """Change to the next view."""
        self.controller.next_view()

    def action_next_quantity(self, step: int) -> None:
        """Change to the next quantity (1) or the previous one (−1)."""
        self.controller.next_quantity(step)

    def action_toggle_look(self, name: str) -> None:
        """Switch theory, hints or the redraw rate on or off."""
        self.controller.toggle_look(name)

    def action_pin(self) -> None:
        """Keep the run on the screen in the charts."""
        self.controller.pin()

    def action_unpin(self) -> None:
        """Remove the pinned runs from the charts."""
        self.controller.unpin()

    def begin_preset(self, preset: Preset) -> None:
        """Run a configuration from a paper."""
        self.controller.begin_preset(preset)

    def begin_lesson(self, lesson: Lesson | None) -> None:
        """Begin a lesson; None leaves the present one."""
        self.controller.begin_lesson(lesson)

    def on_layer_chosen(self, message: LayerChosen) -> None:
        """Choose the layer that the user pointed at."""
        self.controller.select(message.layer)

    def on_layers_scrolled(self, message: LayersScrolled) -> None:
        """Choose a layer further up or down, as the mouse wheel turned."""
        self.controller.move_selection(message.step)

    def on_layer_opened(self, message: LayerOpened) -> None:
        """Choose a layer and look inside it."""
        self.controller.select(message.layer)
        self.action_look_inside()

    def on_setting_chosen(self, message: SettingChosen) -> None:
        """Open the form of settings at the field that the user pointed at."""
        self.action_settings(message.name)

    def action_output(self) -> None:
        """Change the size of a command's output; there is none here."""

    async def action_next_model(self) -> None:
        """Show the next model of a command; there is none here."""

    async def action_interrupt(self) -> None:
        """Leave, as ctrl+c does."""
        await self.app.run_action("exit_cleanly")

    # overlays

    def action_lessons(self) -> None:
        """Open the list of lessons."""
        if self.controller.experiment:
            from vgtui.dashboard.screens.lessons import LessonsScreen  # 16 ms, not needed for the first paint

            lessons, warnings = load_lessons()
            progress, done = self.controller.progress, self.controller.lessons_done
            present = progress.lesson.name if progress else None
            self._open(LessonsScreen(self.state, self._palette, lessons, warnings, done, present, self.begin_lesson))

    def action_find(self) -> None:
        """Open the search for a layer."""
        from vgtui.dashboard.screens.search import SearchScreen  # a form, not needed for the first paint

        self._open(SearchScreen(self.state, self._palette, self.controller.find))

    def action_look_inside(self) -> None:
        """Look inside the chosen layer; in a model with named layers, fold or unfold its group."""
        if self.state.outline:
            self.controller.fold()
        elif experiment := self.controller.begin_inspection():
            self._open(LayerScreen(self.state, self._palette, self.controller.inspect_next, experiment.inspect))

    def action_what_if(self) -> None:
        """Begin to measure each change of the network, and open the table of results."""
        if self.controller.try_changes():
            self._open(
                WhatIfScreen(self.state, self._palette, self.controller.change_setting, self.controller.hold_trials)
            )

    def action_settings(self, focused: str | None = None) -> None:
        """Open the form of settings, with the focus on this field if one is given."""
        if self.controller.experiment:
            if not self.state.shows_newest_run:
                self.say("these are the settings of the present run")
            self._open(SettingsScreen(self.state, self._palette, self.controller.apply, focused))

    def action_help(self) -> None:
        """Open the help."""
        self._open(HelpScreen(self.state, self._palette, self.kinds, list(self.controller.notes_on_run())))

    def _open(self, overlay: Overlay) -> None:
        """Show an overlay in place of the present one; ignored while that is still mounting."""
        present = self.app.screen
        if isinstance(present, Overlay):
            if not present.is_mounted:
                return
            present.action_close()
        self.app.push_screen(overlay)

    @property
    def _overlay(self) -> Overlay | None:
        """The present overlay, if any; one that is still mounting draws itself later."""
        top = self.app.screen
        return top if isinstance(top, Overlay) and top.is_mounted else None

    # called by the controller and the feed

    def say(self, words: str, severity: Severity = "information", *, title: str = "", seconds: float = 0) -> None:
        """Show a notification, as plain text, above the verdict."""
        self._lift_notices()
        self.notify(plain(words), title=title, severity=severity, timeout=seconds or None, markup=False)

    def _lift_notices(self) -> None:
        """Keep notices off the verdict, if there is room above it."""
        verdict = self._verdict.region
        has_room = verdict.height and verdict.y >= ROOM_FOR_NOTICES
        for rack in self.query(ToastRack):
            rack.styles.margin = (0, 0, self.size.height - verdict.y if has_room else 1, 0)

    def on_resize(self) -> None:
        """Keep notices off the verdict in its new place."""
        self.call_after_refresh(self._lift_notices)

    def _say_of_recording(self, words: str, severity: Literal["information", "error"]) -> None:
        """Show a notice about the recording, and its sign on the state line."""
        self.say(words, severity)
        self.refresh_lines()

    def wake(self) -> None:
        """Show the next frame as soon as it arrives."""
        self.scheduler.hurry()

    @work
    async def follow(self, lane: Lane) -> None:
        """Show the frames of a lane, in the background, for as long as it is on the screen."""
        await self._feed.follow(lane)

    @work
    async def close(self, lane: Lane) -> None:
        """Close a lane's source; if that fails, the other lane continues."""
        try:
            await lane.source.close()
        except Exception as error:
            self.say(f"the run that was left did not end properly: {error}; {keep_traceback(error)}", "error")

    def leave(self, error: UsageError) -> None:
        """Exit the dashboard with this error."""
        self.app.exit(error, return_code=2)

    def look_changed(self) -> None:
        """Tell the app that the look has changed."""
        self.app.post_message(LookChanged())

    def lesson_advanced(self) -> None:
        """Tell the app that a step of a lesson is done, and show the next one."""
        self.app.post_message(LessonAdvanced())
        self._lesson.show()

    def show_lesson(self) -> None:
        """Show the present lesson, or hide its panel."""
        self._lesson.progress = self.controller.progress
        self.set_class(self._lesson.progress is not None, "-lesson")
        self._lesson.show()
        self.call_after_refresh(self.draw_all)

    def show_lanes(self) -> None:
        """Show the present lanes: each in its panel, the chosen one in the charts."""
        comparing = self.scheduler.comparing = self.lanes.comparing
        self.set_class(comparing, "-comparing")
        first, last = self.lanes.all[0].state, self.lanes.all[-1].state
        self._state_line.state = first
        if comparing:
            self._line_beside.state = last
            self._beside.show(last)
        self.recording.follow(self.lanes.all)
        for panel in (self._panel, self._second):
            panel.show(first)
        for panel in (self._panel, self._beside):
            panel.set_class(panel.state is not self.state, "-not-chosen")
        for widget in self._of_chosen:
            widget.state = self.state
        self._keys.state = self.state
        self.refresh_lines()
        self.call_after_refresh(self.draw_all)

    def show_pace(self, lane: Lane) -> None:
        """Show the pace of a lane's source, if it sets one."""
        self._feed.take_pace(lane)
        self.refresh_lines()

    def examined(self) -> None:
        """Show a new inspection, or a newly measured change, in the present overlay."""
        if overlay := self._overlay:
            overlay.state_changed()

    # drawing

    def set_palette(self, palette: Palette) -> None:
        """Draw everything in these colours from now on."""
        self._palette = palette
        for panel in self._panels:
            panel.set_palette(palette)
        self._state_line.palette = self._line_beside.palette = self._keys.palette = palette
        self._keys.refresh()
        for widget in self._of_chosen:
            widget.palette = palette
        if overlay := self._overlay:
            overlay.set_palette(palette)
        self.draw_all()

    def draw(self, what: Draw) -> None:
        """Draw what the newest frame adds to the sparklines, the numbers, or both."""
        if Draw.SPARKLINES in what:
            for panel in self._shown_panels:
                panel.advance()
        if Draw.NUMBERS in what:
            if self.scheduler.begins or not self.lanes.comparing:
                self.draw_numbers()
            else:  # both parts at once would delay a key too much
                self.call_later(self.draw_numbers)

    def draw_numbers(self) -> None:
        """Draw numbers, verdict, lesson and overlay; the charts follow at the first frame of a run."""
        begins = self.scheduler.numbers_drawn()
        for panel in self._shown_panels:
            panel.draw_numbers(begins)
        self.set_class(bool(self._ranks.ranks), "-ranks")
        self._ranks.redraw()
        self._verdict.redraw()
        self._lesson.show()
        self.show_pace(self.lanes.chosen)  # also after frames that came too fast to be drawn
        self.examined()
        if begins:
            self.call_after_refresh(self.draw_charts)

    def draw_charts(self) -> None:
        """Draw the charts if they have anything new."""
        if Draw.CHARTS in self.scheduler.stale:
            self._draw_chart_by_layer()
            self._loss_chart.redraw()

    def draw_layers(self) -> None:
        """Draw the layers and the verdict."""
        for panel in self._shown_panels:
            panel.redraw()
        self._verdict.redraw()

    def draw_runs(self) -> None:
        """Draw the numbers and the charts."""
        self.draw_numbers()
        self.draw_charts()

    def draw_all(self) -> None:
        """Draw everything anew."""
        for panel in self._shown_panels:
            panel.redraw()
            panel.advance()
        self.draw_runs()

    def draw_timeline(self) -> None:
        """Draw the timeline."""
        self._timeline.redraw()

    def refresh_lines(self) -> None:
        """Draw the state lines, and the key line if its labels have changed."""
        self._keys.show()
        self._state_line.refresh()
        if self.lanes.comparing:
            self._line_beside.refresh()

    def terminal_takes_bytes(self) -> bool:
        """Whether a redraw would not block: a slow connection gets fewer redraws, not late keys."""
        return self.app.is_headless or takes_bytes(sys.__stdout__.fileno())  # type: ignore[union-attr]

    def _draw_stale_numbers(self) -> None:
        what = self.scheduler.numbers_due(played=self.lanes.chosen.player is not None)
        if Draw.SPARKLINES in what:
            self.draw(Draw.SPARKLINES)
        if Draw.NUMBERS in what:
            self.draw_numbers()

    def _draw_stale_charts(self) -> None:
        if self.scheduler.charts_due():
            self._draw_chart_by_layer()
            self.call_later(self._loss_chart.redraw)

    def _draw_chart_by_layer(self) -> None:
        self.scheduler.charts_drawn()
        self._gradient_chart.update_title()
        self._gradient_chart.redraw()
        self._timeline.redraw()

    @property
    def _panels(self) -> tuple[LayerPanel, ...]:
        return self._panel, self._second, self._beside

    @property
    def _shown_panels(self) -> list[LayerPanel]:
        """The visible panels: the second only on huge terminals, that of lane B only while two runs are compared."""
        return [panel for panel in self._panels if panel.display and panel.size.width]

    @property
    def _of_chosen(self) -> Sequence[Lines]:
        """The widgets that show the chosen lane, with the other lane beside it."""
        return self._gradient_chart, self._loss_chart, self._verdict, self._ranks, self._timeline, self._lesson


class PlayingScreen(MainScreen):
    """The main screen for a recording, which cannot be changed; the key line has the keys of its pace instead."""

    source_kinds: ClassVar[tuple[Kind, ...]] = (PLAYER,)


class WatchingScreen(MainScreen):
    """The main screen for a watched model, which is trained elsewhere."""

    source_kinds: ClassVar[tuple[Kind, ...]] = (WATCHED,)


def screen_for(source: FrameSource) -> type[MainScreen]:
    """The main screen for a source, with the keys that work for it."""
    if isinstance(source, Experiment):
        return MainScreen
    return PlayingScreen if isinstance(source, Player) else WatchingScreen
