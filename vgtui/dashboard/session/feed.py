"""Pulls the frames of the lanes at the pace of the screen, and updates the state of each run."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from engine.errors import UsageError
from vgtui.dashboard.session.controller import Controller, Display
from vgtui.dashboard.session.lanes import Lane
from vgtui.dashboard.session.notes import Notes
from vgtui.dashboard.view.scheduler import PAINT_SECONDS, Draw, Scheduler
from vgtui.model.differences import name_of_dataset
from vgtui.sources.base import Watched
from vgtui.wire.frames import Event, Frame, Header, Line
from vgtui.wire.protocol import Answer, Inspected, Pong, Refused, Silent, Tried


class Canvas(Display, Protocol):
    """A display that draws what has changed with a frame."""

    def draw(self, what: Draw) -> None:
        """Draw these parts now."""

    def draw_numbers(self) -> None:
        """Draw the newest numbers."""

    def examined(self) -> None:
        """Show a new inspection of a layer, or a newly measured change."""

    def leave(self, error: UsageError) -> None:
        """Exit the dashboard with this error: there is nothing to show."""


class Feed:
    """Takes the answers of the sources.

    Args:
        controller: Holds the lanes, and pauses them at a fault.
        scheduler: Decides what is drawn when.
        canvas: Draws it.
        takes_bytes: Whether the terminal can take another redraw without blocking.
    """

    def __init__(
        self, controller: Controller, scheduler: Scheduler, canvas: Canvas, takes_bytes: Callable[[], bool]
    ) -> None:
        self.notes = Notes(canvas.say)
        self._controller = controller
        self._lanes = controller.lanes
        self._scheduler = scheduler
        self._canvas = canvas
        self._takes_bytes = takes_bytes

    async def follow(self, lane: Lane) -> None:
        """While the lane is shown, ask for a frame, show it, and wait for the next redraw or a key."""
        while self._is_shown(lane):
            while not lane.player and not self._takes_bytes():
                await asyncio.sleep(self._scheduler.interval)
            try:
                answer = await lane.source.next_answer(self._lanes.next_step(lane))
            except UsageError as error:  # the process it is attached to is not what it claimed to be
                self._canvas.leave(error)
                return
            if not self._is_shown(lane):
                return
            if isinstance(answer, Frame) and lane.state.begins_run and not lane.player:
                await asyncio.sleep(PAINT_SECONDS)
            began = self._scheduler.now()
            self.take(lane, answer)
            # compared runs and recordings set their own pace
            if isinstance(answer, Frame) and not lane.paced and not lane.player:
                await self._scheduler.wait(since=began)

    def take(self, lane: Lane, answer: Answer) -> None:
        """Take one answer of a lane's source."""
        if isinstance(answer, Line):
            lane = self._lane_of(answer) if lane.player else lane
            self._controller.recording.take(lane, answer)
        lane.state.status.silent_seconds = answer.seconds if isinstance(answer, Silent) else None
        match answer:
            case Silent() | Pong():
                self._canvas.draw_numbers()
            case Header():
                if lane.state.take_header(answer):
                    lane.state.status.fault, lane.state.status.ended = None, False
            case Frame():
                self._take_frame(lane, answer)
            case Refused():
                self._take_refusal(lane, answer)
            case Inspected():
                lane.state.take_inspected(answer)
                self._canvas.examined()
            case Tried():
                lane.state.take_tried(answer)
                self._canvas.examined()
            case Event(kind="fault" | "note"):
                self._take_event(lane, answer)

    def take_pace(self, lane: Lane) -> None:
        """Update the pace of a lane whose source sets one, and whether the source has ended."""
        if lane.player:
            for state in (entry.state for entry in self._lanes.all):
                status = state.status
                status.pace, status.ended, status.seekable = lane.player.pace, lane.player.ended, lane.player.seekable
        elif isinstance(lane.source, Watched):
            lane.state.status.ended = lane.source.ended

    def _is_shown(self, lane: Lane) -> bool:
        """Whether any lane shows this source; a recording has the lines of both lanes."""
        return any(entry.source is lane.source for entry in self._lanes.all)

    def _lane_of(self, line: Line) -> Lane:
        """The lane of a recording that a line belongs to; the screen shows two lanes where the recording does."""
        before = [entry.state.status.name for entry in self._lanes.all]
        lane = self._lanes.lane_of(line)
        if [entry.state.status.name for entry in self._lanes.all] != before:
            self._canvas.show_lanes()
        return lane

    def _take_event(self, lane: Lane, event: Event) -> None:
        """Show a fault that ended the run, or say a note."""
        if event.kind == "fault" and not lane.state.status.follows:
            self._take_fault(lane, event.message)
            self._lanes.drop_out(lane)
            self._canvas.draw_numbers()
            return
        lane.state.history.note("note", event.message)
        self._scheduler.charts_changed()
        self._canvas.show_pace(lane)
        self.notes.take(event.message)

    def _take_frame(self, lane: Lane, frame: Frame) -> None:
        begins = lane.state.begins_run
        lane.state.take_frame(frame)
        self._lanes.arrived(lane, frame.step, self._scheduler.stride_seconds)
        if frame.verdict.kind == "non-finite" and not lane.state.status.paused and not lane.state.status.follows:
            self._controller.set_paused(True, by_fault=True)
            begins = True
        if lane is self._lanes.chosen:
            self._controller.watch_lesson()
        what = self._scheduler.frame(
            begins, played=bool(lane.player), ready=not lane.player or self._takes_bytes(), half=self._is_ahead(lane)
        )
        if not what:
            return
        if lane.player:
            self._canvas.show_pace(lane)
        lane.state.status.redraws_per_second = self._scheduler.redraws_per_second
        self._canvas.draw(what)

    @staticmethod
    def _take_fault(lane: Lane, message: str) -> None:
        lane.state.status.fault = message
        lane.state.history.note("fault", message)

    def _is_ahead(self, lane: Lane) -> bool:
        """Whether the other lane's frame of the same step has not arrived yet."""
        other = lane.state.other
        return bool(other and other.newest and lane.state.newest and other.newest.step < lane.state.newest.step)

    def _take_refusal(self, lane: Lane, refused: Refused) -> None:
        own = lane.state.header.own if lane.state.header else None
        if own is None:
            self._canvas.leave(UsageError(refused.setting, refused.problem))
            return
        self._canvas.say(f"{refused.setting}: {refused.problem}", "error")
        if lane.state.status.fault:  # there is no run to continue
            self._take_fault(lane, refused.problem)
            self._canvas.draw_numbers()
            return
        assert lane.state.header
        dataset = name_of_dataset(lane.state.header)
        lane.state.keep_run(replace(lane.state.wanted, network=own.network, training=own.training, dataset=dataset))
        if lane.state.newest:  # the previous run continues from where it is
            self._lanes.arrived(lane, lane.state.newest.step, self._scheduler.interval)
        self._canvas.draw_numbers()
