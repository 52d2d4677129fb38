"""The recording of a lane, as its answers come: at most one at a time; a fault of the disk ends it, and is said."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from vgtui.dashboard.lanes import Lane
from vgtui.recordings.frames import Event, Header, Line
from vgtui.recordings.writer import Recorder

Say: TypeAlias = Callable[[str, Literal["information", "error"]], None]
"""Told what has become of a recording."""


class Recording:
    """recorder: what is written to, None where nothing is; it may be there before a lane is."""

    def __init__(self, recorder: Recorder | None, say: Say) -> None:
        self.recorder = recorder
        self._lane: Lane | None = None
        self._say = say

    def is_of(self, lane: Lane) -> bool:
        return lane is self._lane

    def begin(self, recorder: Recorder, lane: Lane) -> None:
        """Record a lane from its next frame on, in place of another one if there is."""
        if self._lane:
            self._lane.state.recording = False
        self.recorder, self._lane = recorder, lane
        lane.state.recording = True
        if lane.state.header:
            self._write(lane.state.header)

    def take(self, lane: Lane, line: Line) -> None:
        """Write a line of the lane that is recorded; a header that follows frames is a change, with its words."""
        if lane is not self._lane:
            return
        newest = lane.state.newest
        if isinstance(line, Header) and newest:
            words = lane.state.change_words(line)
            self._write(Event(step=newest.step, kind="change", network=line.network, message=words))
        self._write(line)

    def flush(self) -> None:
        """Put on the disk what has waited for long enough."""
        if self._lane and self.recorder:
            try:
                self.recorder.flush_if_due()
            except OSError as error:
                self._give_up(error)

    def end(self) -> None:
        """Write all that waits, and say what to do with it."""
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
        self._say(f"the recording ends here, what was written stays: {recorder.path}: {error.strerror}", "error")

    def _forget(self) -> Recorder | None:
        recorder, self.recorder = self.recorder, None
        if self._lane:
            self._lane.state.recording = False
        self._lane = None
        return recorder
