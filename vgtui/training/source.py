"""A frame source: where frames come from, as everything that shows them sees it."""

from dataclasses import dataclass
from typing import Protocol

from vgtui.training.protocol import Answer
from vgtui.training.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a source can do beside giving frames.

    change: other settings; pause: and single steps; examine: look inside of layers, try changes; scrub: back in time.
    """

    change: bool = False
    pause: bool = False
    examine: bool = False
    scrub: bool = False


class FrameSource(Protocol):
    """A live run, a recording, or somebody's own model. Frames are pulled: none comes that was not asked for."""

    abilities: Abilities

    async def next_answer(self, at: int = 0) -> Answer:
        """Ask for the next frame, from step `at` on, and wait for the next thing that the source has to say.

        That may be a Header, Refused, Inspected, Tried or an Event first; the question stays open until its Frame has
        come. After an Event of the kind "fault" nothing more comes until restart().
        """

    def restart(self, settings: RunSettings) -> None:
        """Begin again at step 0 with these settings; a Header says when."""

    def train(self, until: int | None = None) -> None:
        """Train on, up to a step if one is given."""

    def pause(self) -> None:
        """Wait from the next step boundary on."""

    def step_once(self) -> None:
        """One update, then wait."""

    def inspect(self, layer: int) -> None:
        """Look inside of a layer; Inspected is the answer, and none comes where there is no such layer any more."""

    def try_changes(self) -> None:
        """Measure every single change of the network; each is answered with Tried."""

    async def close(self) -> None:
        """End it, and all that belongs to it."""
