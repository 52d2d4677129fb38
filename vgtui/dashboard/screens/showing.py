"""What the main screen shows: it pulls frames of its lanes at their pace, and has the widgets draw them."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Literal

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from engine.errors import UsageError
from vgtui.dashboard.governor import Governor, takes_bytes
from vgtui.dashboard.keymap import EXPERIMENT, WATCHED, Kind
from vgtui.dashboard.lanes import Lane, Lanes
from vgtui.dashboard.messages import LessonAdvanced
from vgtui.dashboard.notes import Notes
from vgtui.dashboard.recording import Recording
from vgtui.dashboard.screens.overlay import Overlay
from vgtui.dashboard.state import RunState
from vgtui.dashboard.widgets.gradient_by_layer import GradientByLayer
from vgtui.dashboard.widgets.key_line import KeyLine
from vgtui.dashboard.widgets.layer_panel import LayerPanel
from vgtui.dashboard.widgets.lesson_panel import LessonPanel
from vgtui.dashboard.widgets.lines import Lines
from vgtui.dashboard.widgets.loss_chart import LossChart
from vgtui.dashboard.widgets.state_line import StateLine
from vgtui.dashboard.widgets.timeline import Timeline
from vgtui.dashboard.widgets.verdict_panel import VerdictPanel
from vgtui.recordings.frames import Event, Frame, Header, Line
from vgtui.recordings.writer import FLUSH_SECONDS, Recorder
from vgtui.text import plain
from vgtui.themes import Palette
from vgtui.training.differences import name_of_dataset
from vgtui.training.protocol import Answer, Inspected, Pong, Refused, Silent, Tried
from vgtui.training.source import FrameSource, Watched

NUMBERS_SECONDS = 0.25
"""Numbers change four times a second: nobody reads faster."""
PAINT_SECONDS = 0.02
"""Before a run's first frame, which redraws much, so that what the key changed is painted first."""
CHARTS_SECONDS = 0.5
"""The charts of lines cost more, and change less: twice a second."""
COMPARING_PATIENCE = 3
"""While two runs are compared, all is drawn a third as often: the cores are theirs."""


class ShowingScreen(Screen[None]):
    """A pure function of the sources' answers, and of what MainScreen's keys make of them."""

    kind: ClassVar[Kind] = EXPERIMENT
    """The kind of source that it shows."""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-low"), (18, "-high")]

    def __init__(
        self, source: FrameSource, state: RunState, palette: Palette, fps: float, recorder: Recorder | None = None
    ) -> None:
        super().__init__()
        self.lanes = Lanes(source, state)
        self.recording = Recording(recorder, self._say)
        self._notes = Notes(lambda words: self.notify(words, markup=False))
        self._governor = Governor(fps)
        self._hurry = asyncio.Event()
        self._paused_by_fault = False
        self._numbers_at = 0.0
        self._numbers_stale = False
        self._begin_undrawn = False
        self._charts_stale = False
        self._drawn_at = self._charts_at = 0.0
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
        self._lesson = LessonPanel(state, palette)
        self._keys = KeyLine(self.kind, state, palette)
        self.lessons_done: dict[str, int] = {}
        """Steps that were done of each lesson."""

    def compose(self) -> ComposeResult:
        yield self._state_line
        yield self._line_beside
        with Horizontal(id="body"):
            yield Horizontal(self._panel, self._second, self._beside, id="panels")
            with Vertical(id="charts"):
                yield from (self._lesson, self._gradient_chart, self._loss_chart, self._verdict)
        yield self._timeline
        yield self._keys

    def on_mount(self) -> None:
        self.set_interval(NUMBERS_SECONDS, self._draw_stale_numbers)
        self.set_interval(NUMBERS_SECONDS, self._notes.show_if_due)
        self.set_interval(CHARTS_SECONDS, self._draw_stale_charts)
        self.set_interval(FLUSH_SECONDS, self.recording.flush)
        if self.recording.recorder:
            self.recording.begin(self.recording.recorder, self.lanes.all)
        self._follow(self.lanes.chosen)

    @property
    def state(self) -> RunState:
        """The run that keys act on."""
        return self.lanes.chosen.state

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of source whose keys do something: of a model with names also in a recording of it."""
        return (self.kind, WATCHED) if self.state.outline else (self.kind,)

    @property
    def _source(self) -> FrameSource:
        return self.lanes.chosen.source

    @property
    def _panels(self) -> tuple[LayerPanel, ...]:
        return self._panel, self._second, self._beside

    @property
    def _of_chosen(self) -> Sequence[Lines]:
        """What shows the chosen lane, and the other one beside it."""
        return self._gradient_chart, self._loss_chart, self._verdict, self._timeline, self._lesson

    def set_palette(self, palette: Palette) -> None:
        """Draw everything in these colours."""
        self._palette = palette
        for panel in self._panels:
            panel.set_palette(palette)
        self._state_line.palette = self._line_beside.palette = self._keys.palette = palette
        self._keys.refresh()
        for widget in self._of_chosen:
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
    async def _follow(self, lane: Lane) -> None:
        """Ask for a frame, show it, and wait until the next picture is due or a key wants it now."""
        while self._is_shown(lane):
            while not lane.player and not self.terminal_takes_bytes():
                await asyncio.sleep(self._governor.interval)
            try:
                answer = await lane.source.next_answer(self.lanes.next_step(lane))
            except UsageError as error:  # what it is attached to is not what it said
                self.app.exit(error, return_code=2)
                return
            if not self._is_shown(lane):
                return
            if isinstance(answer, Frame) and lane.state.begins_run and not lane.player:
                await asyncio.sleep(PAINT_SECONDS)
            begin = time.monotonic()
            self._take(lane, answer)
            # compared runs and recordings have a pace of their own
            if isinstance(answer, Frame) and not lane.paced and not lane.player:
                due = self._governor.interval - (time.monotonic() - begin)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), due)
                self._hurry.clear()

    def _is_shown(self, lane: Lane) -> bool:
        """Whether anything shows what its source gives; a recording gives the lines of two lanes."""
        return any(entry.source is lane.source for entry in self.lanes.all)

    def _take(self, lane: Lane, answer: Answer) -> None:
        if isinstance(answer, Line):
            lane = self._lane_of(answer) if lane.player else lane
            self.recording.take(lane, answer)
        lane.state.silent_seconds = answer.seconds if isinstance(answer, Silent) else None
        match answer:
            case Silent() | Pong():
                self._draw_numbers()
            case Header():
                lane.state.take_header(answer)
            case Frame():
                self._take_frame(lane, answer)
            case Refused():
                self._take_refusal(lane, answer)
            case Inspected():
                lane.state.take_inspected(answer)
            case Tried():
                lane.state.take_tried(answer)
            case Event(kind="fault") if not lane.state.follows:
                lane.state.take_fault(answer.message)
                self.lanes.fell_out(lane)
                self._draw_numbers()
            case Event(kind="fault" | "note"):
                lane.state.history.note("note", answer.message)
                self._charts_stale = True
                self._say_pace(lane)
                self._notes.take(answer.message)
        if isinstance(answer, Inspected | Tried) and (overlay := self._overlay):
            overlay.state_changed()

    def _lane_of(self, line: Line) -> Lane:
        """The lane of a recording that a line is of; where it begins or ends a comparison, so does the screen."""
        before = [entry.state.name for entry in self.lanes.all]
        lane = self.lanes.lane_of(line)
        if [entry.state.name for entry in self.lanes.all] != before:
            self._show_lanes()
        return lane

    def _take_frame(self, lane: Lane, frame: Frame) -> None:
        begins = lane.state.begins_run
        lane.state.take_frame(frame)
        self.lanes.arrived(lane, frame.step, self._patience * self._governor.interval)
        if frame.verdict.kind == "non-finite" and not lane.state.paused and not lane.state.follows:
            self._paused_by_fault = True
            self._set_paused(True)
            begins = True
        if lane is self.lanes.chosen:
            self._watch_lesson()
        now = time.monotonic()
        if lane.player:  # it has frames that fall between two pictures
            due = now - self._drawn_at >= self._governor.interval and self.terminal_takes_bytes()
            if not due:
                self._numbers_stale = True
                self._begin_undrawn |= begins
                return
            self._say_pace(lane)
        if not begins and self._is_ahead(lane):  # both lanes are one picture
            self._numbers_stale = True
            return
        self._drawn_at = now
        self._governor.count_picture()
        lane.state.pictures_per_second = self._governor.pictures_per_second
        for panel in self._shown_panels:
            panel.advance()
        if not begins and now - self._numbers_at < self._patience * NUMBERS_SECONDS:
            self._numbers_stale = True
        elif begins or not self.lanes.comparing:
            self._draw_numbers(begins)
        else:  # two pictures in one piece would take longer than a key may wait
            self.call_later(self._draw_numbers)

    @property
    def _patience(self) -> int:
        """How much more slowly all is drawn: two runs need the cores, and two pictures cost twice as much."""
        return COMPARING_PATIENCE if self.lanes.comparing else 1

    def _is_ahead(self, lane: Lane) -> bool:
        """Whether the other lane's frame of the same step is still to come."""
        other = lane.state.other
        return bool(other and other.newest and lane.state.newest and other.newest.step < lane.state.newest.step)

    def _say_pace(self, lane: Lane) -> None:
        if lane.player:
            for state in (entry.state for entry in self.lanes.all):
                state.pace, state.ended, state.seekable = lane.player.pace, lane.player.ended, lane.player.seekable
        elif isinstance(lane.source, Watched):
            lane.state.ended = lane.source.ended
        self._refresh_lines()

    def _take_refusal(self, lane: Lane, refused: Refused) -> None:
        own = lane.state.header.own if lane.state.header else None
        if own is None:
            self.app.exit(UsageError(refused.setting, refused.problem), return_code=2)
            return
        self.notify(plain(f"{refused.setting}: {refused.problem}"), severity="error", markup=False)
        if lane.state.fault:  # there is no run that could go on
            lane.state.take_fault(refused.problem)
            self._draw_numbers()
            return
        assert lane.state.header
        dataset = name_of_dataset(lane.state.header)
        lane.state.keep_run(replace(lane.state.wanted, network=own.network, training=own.training, dataset=dataset))
        if lane.state.newest:  # the run that there was goes on from where it is
            self.lanes.arrived(lane, lane.state.newest.step, self._governor.interval)
        self._draw_numbers()

    def _draw_stale_numbers(self) -> None:
        if self.lanes.chosen.player and self._numbers_stale:
            for panel in self._shown_panels:
                panel.advance()
        # while two runs are compared, it is their frames of the same step that draw
        patience = 2 * self._patience if self.lanes.comparing else 0.5
        if self._numbers_stale and time.monotonic() - self._numbers_at >= patience * NUMBERS_SECONDS:
            self._draw_numbers()

    def _draw_stale_charts(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._charts_stale and (at_once or now - self._charts_at >= self._patience * CHARTS_SECONDS / 2):
            self._charts_at = now
            self._charts_stale = False
            self._gradient_chart.update_title()
            self._gradient_chart.redraw()
            self._timeline.redraw()
            if at_once:
                self._loss_chart.redraw()
            else:
                self.call_later(self._loss_chart.redraw)

    def _refresh_lines(self) -> None:
        self._keys.show()
        self._state_line.refresh()
        if self.lanes.comparing:
            self._line_beside.refresh()

    def _draw_numbers(self, begins: bool = False) -> None:
        begins, self._begin_undrawn = begins or self._begin_undrawn, False
        self._numbers_at = time.monotonic()
        self._numbers_stale = False
        self._charts_stale = True
        for panel in self._shown_panels:
            panel.draw_numbers(begins)
        self._verdict.redraw()
        self._lesson.show()
        self._say_pace(self.lanes.chosen)  # also of frames that came too fast for a picture each
        if overlay := self._overlay:
            overlay.state_changed()
        if begins:
            self.call_after_refresh(self._draw_stale_charts, at_once=True)

    def _draw_all(self) -> None:
        """The look has changed: draw everything anew."""
        for panel in self._shown_panels:
            panel.redraw()
            panel.advance()
        self._draw_numbers()
        self._draw_stale_charts(at_once=True)

    @property
    def _shown_panels(self) -> list[LayerPanel]:
        """The second panel is there on huge terminals alone, that of lane B while two are compared."""
        return [panel for panel in self._panels if panel.display and panel.size.width]

    def terminal_takes_bytes(self) -> bool:
        """Whether a picture would be taken without waiting; a slow line makes fewer pictures, not late keys."""
        return self.app.is_headless or takes_bytes(sys.__stdout__.fileno())  # type: ignore[union-attr]

    def _set_paused(self, paused: bool) -> None:
        self.lanes.set_paused(paused)
        self._hurry.set()
        self._timeline.redraw()
        self._refresh_lines()

    def _show_lanes(self) -> None:
        """Show the lanes there are, and in the charts the chosen one."""
        self.set_class(self.lanes.comparing, "-comparing")
        first, last = self.lanes.all[0].state, self.lanes.all[-1].state
        self._state_line.state = first
        if self.lanes.comparing:
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
        self._refresh_lines()
        self.call_after_refresh(self._draw_all)

    def _watch_lesson(self) -> None:
        """Let the lesson see what is measured now; it may go on by it."""
        course, state = self._lesson.course, self.state
        if course is None or state.newest is None or state.header is None or state.begins_run:
            return
        if course.observe(state.newest, state.newest_first, state.header, state.look.view):
            self.lessons_done[course.lesson.name] = course.at
            self.app.post_message(LessonAdvanced())
            self._lesson.show()

    def _say(self, words: str, severity: Literal["information", "error"]) -> None:
        """Outside words in a notice of their own, and what they change on the line of state."""
        self.notify(plain(words), severity=severity, markup=False)
        self._refresh_lines()
