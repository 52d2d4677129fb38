"""How far a run without a screen trains, and at which steps there is something to do."""

from collections.abc import Iterator
from dataclasses import dataclass

from vgtui.cli.output.until import StopCondition


@dataclass(frozen=True, slots=True)
class Plan:
    """How far to train, with a frame each `every` steps, and a checkpoint each `save_every` where there is a file.

    Attributes:
        until: Conditions that end the run early, at the first frame that meets all of them.
        resume: Whether to go on from the checkpoint, if it exists.
    """

    steps: int
    every: int
    until: tuple[StopCondition, ...] = ()
    checkpoint: str | None = None
    save_every: int = 0
    resume: bool = False

    def stops(self, begin: int) -> Iterator[int]:
        """The steps at which there is something to do, from `begin` on."""
        step = begin
        yield step
        while step < self.steps:
            step = min(self.steps, *(step - step % each + each for each in (self.every, self.save_every) if each))
            yield step

    def shows(self, step: int) -> bool:
        """Whether there is a frame at this step."""
        return step == self.steps or step % self.every == 0

    def next_frame(self, step: int) -> int:
        """The first step from this one on with a frame."""
        return next(later for later in self.stops(step) if self.shows(later))

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is written at this step."""
        return bool(self.save_every) and (step == self.steps or step % self.save_every == 0)
