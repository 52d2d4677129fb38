"""A frame source: where frames come from, as everything that shows them sees it.

What a source can do beside giving frames is its type: an `Experiment` can be changed and examined, a `Player` has a
pace of its own.
"""

from typing import Protocol, runtime_checkable

from vgtui.wire.protocol import Answer
from vgtui.wire.run_settings import RunSettings


class FrameSource(Protocol):
    """A live run, a recording, or somebody's own model. Frames are pulled: none comes that was not asked for."""

    async def next_answer(self, at: int = 0) -> Answer:
        """Ask for the next frame, from step `at` on, and wait for the next thing that the source has to say.

        That may be a Header, Refused, Inspected, Tried or an Event first; the question stays open until its Frame has
        come. After an Event of the kind "fault" nothing more comes until restart().
        """

    def train(self, until: int | None = None) -> None:
        """Go on, up to a step if one is given."""

    def pause(self) -> None:
        """Wait from the next step boundary on."""

    def step_once(self) -> None:
        """One update or frame, then wait."""

    async def close(self) -> None:
        """End it, and all that belongs to it."""


@runtime_checkable
class Experiment(FrameSource, Protocol):
    """A source that trains as it is told."""

    def ask(self, at: int = 0) -> None:
        """Have the frame from step `at` on, instead of the one that an open question was about."""

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        """Begin again with these settings, at step 0; or keep the weights, and the step. A Header says when."""

    def inspect(self, layer: int) -> None:
        """Look inside a layer; Inspected is the answer, and none comes where there is no such layer any more."""

    def try_changes(self) -> None:
        """Measure every single change of the network; each is answered with Tried."""

    def another(self, settings: RunSettings) -> "Experiment":
        """A second one of this kind, that trains beside it."""

    def share_cores(self, among: int) -> None:
        """So many experiments share the cores from now on."""


@runtime_checkable
class Watched(FrameSource, Protocol):
    """Somebody's own model: pausing it is a matter of the one who looks, and the training may end."""

    @property
    def ended(self) -> bool:
        """Whether nobody trains it now."""


@runtime_checkable
class Player(FrameSource, Protocol):
    """A source whose frames come in a time of their own, a recording: all are taken, and not each is drawn."""

    @property
    def pace(self) -> str:
        """How fast it goes and how far it is, for the screen; "" where there is nothing to say."""

    @property
    def ended(self) -> bool:
        """Whether all that there is, for now, has been given."""

    @property
    def seekable(self) -> bool:
        """Whether it can be played again."""

    @property
    def has_lanes(self) -> bool:
        """Whether two runs were compared in what was given so far."""

    def play_from(self, frame: int) -> None:
        """Give the frames from this one on again, 0 for the first with its header; the next one comes at once."""

    def change_speed(self, step: int) -> None:
        """Faster for 1, slower for −1."""

    def skip(self, share: float) -> None:
        """Take so large a share of the whole at once, 1 for all that is left."""
