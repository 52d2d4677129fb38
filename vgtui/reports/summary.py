"""A run in summary, for reports: its settings, its first and last frames, and the time between in bounded memory."""

from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from engine.depth_fit import fitted_depth_scale
from engine.errors import UsageError
from engine.theory import Prediction, predict
from vgtui.files.inputs import InputFile, opened
from vgtui.model.history import History
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.terminal.capabilities import tell
from vgtui.wire.frames import Event, Frame, Header, carried


@dataclass(eq=False)
class RunSummary:
    """Takes what a run says, as writers do. header, first and last are of the run that came last.

    Attributes:
        first: Its frame at step 0, None where that was not seen.
        changes: How many runs went before it.
        lane: Which of two compared lanes it is; "" for a single run.
        compared_until: The last step at which it was compared with a run that the summary does not cover.
        note: What its file held, and what was wrong with it.
    """

    header_seen: Header | None = None
    first: Frame | None = None
    last_seen: Frame | None = None
    history: History | None = None
    changes: int = 0
    lane: str = ""
    compared_until: int | None = None
    note: str = ""

    @property
    def header(self) -> Header:
        """The header of the last run; there must have been one."""
        assert self.header_seen
        return self.header_seen

    @property
    def last(self) -> Frame:
        """The last frame of the last run; there must have been one."""
        assert self.last_seen
        return self.last_seen

    def take(self, message: Header | Frame | Event) -> None:
        """The next line of a recording; of its events there is nothing to tell."""
        if isinstance(message, Header):
            if message.continues is UNSET or self.header_seen is None:
                self._begin(message)
        elif isinstance(message, Frame):
            if message.step == 0:
                self.first = message
            self.last_seen = message
            assert self.history
            self.history.append(message)

    def theory(self) -> Prediction | str:
        """The prediction of mean-field theory for this network at initialization, or why there is none."""
        if (own := self.header.own) is None:
            return "no theory for a model of your own"
        return predict(own.network, own.dataset.features, own.dataset.classes, own.dataset.mean_square)

    def depth_scale(self) -> float:
        """Fitted to the error signal at step 0; NaN where that cannot be, as where the order of layers is unknown."""
        if self.first is None or self.header.own is None:
            return float("nan")
        return fitted_depth_scale(np.asarray(self.first.layers.delta_norm))

    def _begin(self, header: Header) -> None:
        layers = len(header.layers)
        self.history = self.history or History(layers)
        self.changes += self.history.length > 0
        self.history.mark(layers, header)
        self.header_seen, self.first = header, None


def read_summaries(source: InputFile | str) -> list[RunSummary]:
    """The summary of a recording, or where it ends with two lanes that are compared, of each.

    What is damaged is said on stderr too.

    Raises:
        UsageError: It is not a recording, or there is no frame in it.
    """
    lanes: dict[str, RunSummary] = {}
    with opened(source) as file:
        reader = RecordingReader(file.path)
        for message in read_recording(file, reader):
            name = message.lane or ""
            if isinstance(message, Header):
                ends = len(lanes) > 1 and not name
                lanes = carried(lanes, message)
                summary = lanes.setdefault(name, RunSummary())
                summary.lane = name
                if ends and summary.last_seen:
                    summary.compared_until = summary.last_seen.step
            if not isinstance(message, Event):
                lanes[name].take(message)
    summaries = [summary for _, summary in sorted(lanes.items()) if summary.last_seen]
    if not summaries:
        raise UsageError("FILE", f"{file.path} has no frame, so there is nothing to show")
    for summary in summaries:
        summary.note = reader.summary()
    if reader.flawed:
        tell(reader.summary())
    return summaries
