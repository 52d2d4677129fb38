"""What a report tells of a run: its settings, its first and its last frame, and the time between in bounded memory."""

from dataclasses import dataclass

import numpy as np

from engine.depth_fit import fitted_depth_scale
from engine.errors import UsageError
from engine.theory import Prediction, predict
from vgtui.input_files import InputFile, opened
from vgtui.recordings.frames import Event, Frame, Header
from vgtui.recordings.reader import Reader, read_recording
from vgtui.training.history import History


@dataclass(eq=False)
class Story:
    """Takes what a run says, as writers do. header, first and last are of the run that came last.

    first: its frame at step 0, None where that was not seen. changes: how many runs went before it.
    """

    header_seen: Header | None = None
    first: Frame | None = None
    last_seen: Frame | None = None
    history: History | None = None
    changes: int = 0
    summary: str = ""

    @property
    def header(self) -> Header:
        assert self.header_seen
        return self.header_seen

    @property
    def last(self) -> Frame:
        assert self.last_seen
        return self.last_seen

    def take(self, message: Header | Frame | Event) -> None:
        """The next line of a recording; of its events there is nothing to tell."""
        if isinstance(message, Header):
            self._begin(message)
        elif isinstance(message, Frame):
            if message.step == 0:
                self.first = message
            self.last_seen = message
            assert self.history
            self.history.append(message)

    def theory(self) -> Prediction | str:
        """What mean-field theory says of this network at initialization, or in words why nothing."""
        if (own := self.header.own) is None:
            return "no theory of somebody's own model"
        return predict(own.network, own.dataset.features, own.dataset.classes)

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


def read_story(source: InputFile | str) -> Story:
    """The story of a recording. Raises UsageError where it is none, or there is no frame in it."""
    with opened(source) as file:
        reader, story = Reader(file.path), Story()
        for message in read_recording(file, reader):
            story.take(message)
    if story.last_seen is None:
        raise UsageError("FILE", f"{file.path} has no frame, so there is nothing to show")
    story.summary = reader.summary()
    return story
