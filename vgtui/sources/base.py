"""The interfaces of frame sources.

What a source can do besides giving frames is its type: an `Experiment` can be changed and examined, a `Watched` model
is trained elsewhere, and a `Player` has a pace of its own.
"""

from typing import Protocol, runtime_checkable

from vgtui.wire.protocol import Answer
from vgtui.wire.run_settings import RunSettings


class FrameSource(Protocol):
    """A live run, a recording, or your own model. Frames are pulled: none comes that was not asked for."""

    async def next_answer(self, at: int = 0) -> Answer:
        """Ask for the next frame, and wait for the next answer.

        Args:
            at: The first step whose frame is wanted.

        Returns:
            The frame, or first a Header, Refused, Inspected, Tried or an Event: the question stays open until its
            Frame has come. After an Event of the kind "fault", nothing more comes until restart().
        """

    def train(self, until: int | None = None) -> None:
        """Go on, up to a step if one is given."""

    def pause(self) -> None:
        """Wait from the next step boundary on."""

    def step_once(self) -> None:
        """Make one update or give one frame, then wait."""

    async def close(self) -> None:
        """End the source and all that belongs to it."""


@runtime_checkable
class Experiment(FrameSource, Protocol):
    """A run that can be changed and examined."""

    def ask(self, at: int = 0) -> None:
        """Ask for the frame from step `at` on, instead of what an open question asked for."""

    def restart(self, settings: RunSettings, keep: bool = False) -> None:
        """Begin again at step 0. The answer is a Header, or Refused if the present run goes on.

        Args:
            settings: The settings of the next run.
            keep: Whether to keep the step, and the weights wherever they fit.
        """

    def inspect(self, layer: int) -> None:
        """Look inside a layer. The answer is Inspected; there is none if the layer is no longer there."""

    def try_changes(self) -> None:
        """Measure each change of the run on its own, then train each. The answers are Tried, several for each."""

    def hold_trials(self, hold: bool) -> None:
        """Leave off trying changes where it is, or go on with it."""

    def another(self, settings: RunSettings) -> "Experiment":
        """Return a second run of this kind, to train beside this one."""

    def share_cores(self, among: int) -> None:
        """Share the cores among so many experiments from now on."""


@runtime_checkable
class Watched(FrameSource, Protocol):
    """Your own model: a pause is the viewer's alone, and the training may end."""

    @property
    def ended(self) -> bool:
        """Whether the training has ended, for now."""


@runtime_checkable
class Player(FrameSource, Protocol):
    """A recording, whose frames come at a pace of their own: all are taken, and not each is drawn."""

    @property
    def pace(self) -> str:
        """How fast it plays and how far it is, as words for the screen; may be empty."""

    @property
    def ended(self) -> bool:
        """Whether all frames that there are, for now, have been given."""

    @property
    def seekable(self) -> bool:
        """Whether it can be played again."""

    @property
    def has_lanes(self) -> bool:
        """Whether two runs were compared so far."""

    def play_from(self, frame: int) -> None:
        """Play again from a frame, 0 for the first with its header. The next one comes at once."""

    def change_speed(self, step: int) -> None:
        """Play faster (1) or slower (−1)."""

    def skip(self, share: float) -> None:
        """Give a share of the whole recording at once, 1 for all that is left."""
