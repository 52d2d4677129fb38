"""Records the lanes as their answers arrive, at most one recording at a time; a disk error ends it with a notice."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from msgspec import UNSET

from vgtui.dashboard.session.lanes import Lane
from vgtui.recordings.writer import Recorder
from vgtui.wire.frames import Event, Header, Line, in_lane

Say: TypeAlias = Callable[[str, Literal["information", "error"]], None]
"""Shows a notice about the recording."""


class Recording:
    """The present recording, if any.

    Args:
        recorder: Where to record from the start; None for no recording yet.
        say: Shows a notice.
    """

    def __init__(self, recorder: Recorder | None, say: Say) -> None:
        self.recorder = recorder
        self._names: dict[Lane, str] = {}
        """The recorded lanes with their names in the file; "" for a single one."""
        self._say = say

    def begin(self, recorder: Recorder, lanes: Sequence[Lane]) -> None:
        """Record these lanes from their next frames on, in place of any present recording."""
        self._forget()
        self.recorder = recorder
        self.follow(lanes)

    def follow(self, lanes: Sequence[Lane]) -> None:
        """Record these lanes from now on: two that are compared, or the one that continues."""
        if self.recorder is None:
            return
        before, self._names = self._names, {lane: lane.state.status.name for lane in lanes}
        for lane in before.keys() - self._names.keys():
            lane.state.status.recording = False
        for lane in lanes:
            lane.state.status.recording = True
            state, old = lane.state, before.get(lane)
            if state.header is None or old == state.status.name:
                continue
            if old is not None and state.newest:
                words = (
                    f"compared from here on, as lane {state.status.name}"
                    if state.status.name
                    else f"lane {old} goes on alone"
                )
                self._write(in_lane(Event(step=state.newest.step, kind="note", message=words), old))
            self._write(in_lane(state.header, state.status.name, UNSET if old is None else old))

    def take(self, lane: Lane, line: Line) -> None:
        """Write a line if its lane is recorded; a header after frames is preceded by a description of the change."""
        if lane not in self._names:
            return
        name, newest = self._names[lane], lane.state.newest
        if isinstance(line, Header):
            if line.continues is not UNSET:
                return  # follow() has written how the lane continues
            if newest:
                words = lane.state.change_words(line)
                change = Event(step=newest.step, kind="change", network=line.network, message=words)
                self._write(in_lane(change, name))
        self._write(in_lane(line, name))

    def flush(self) -> None:
        """Flush to disk if that is due."""
        if self._names and self.recorder:
            try:
                self.recorder.flush_if_due()
            except OSError as error:
                self._give_up(error)

    def end(self) -> None:
        """Close the recording, and say how to replay it."""
        recorder = self._forget()
        if recorder:
            try:
                recorder.close()
            except OSError as error:
                self._say_lost(recorder, error)
            else:
                self._say(f"recorded {recorder.lines} lines: vgtui replay {recorder.path}", "information")

    def _write(self, line: Line) -> None:
        if self.recorder:
            try:
                self.recorder.write(line)
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        recorder = self._forget()
        if recorder:
            recorder.abandon()
            self._say_lost(recorder, error)

    def _say_lost(self, recorder: Recorder, error: OSError) -> None:
        self._say(f"the recording ends here; what was written stays: {recorder.path}: {error.strerror}", "error")

    def _forget(self) -> Recorder | None:
        recorder, self.recorder = self.recorder, None
        for lane in self._names:
            lane.state.status.recording = False
        self._names = {}
        return recorder
