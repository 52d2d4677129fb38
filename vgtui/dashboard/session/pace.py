"""Two runs in step: their frames are of the same steps, and the slower one sets the pace.

Each run is told up to which step it may train, its bound, and asked for its frame at a step before that, so that it
goes on while the other is waited for. A run that is behind, as it began later, is let catch up while the other waits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vgtui.sources.base import Experiment

NEVER = 2**62
"""Asked for by a run that waits for the other; nothing comes until there is another question."""


@dataclass(slots=True, eq=False)
class Paced:
    """A run in step with others. step: of its last frame; target: of the next; bound: where it waits."""

    source: Experiment
    step: int = -1
    target: int = 0
    bound: int = 0
    lost: bool = False

    def grant(self, target: int, bound: int) -> None:
        """Have the frame of this step, and train so far."""
        self.target, self.bound = target, bound
        self.source.ask(target)
        self.source.train(until=bound)

    def hold(self) -> None:
        """Wait for the others."""
        self.target = NEVER
        self.source.ask(NEVER)


class InStep:
    """Keeps runs in step. They begin held, where they are."""

    def __init__(self, runs: Iterable[Paced], paused: bool) -> None:
        self._runs = tuple(runs)
        self.paused = paused
        for run in self._runs:
            run.source.train(until=0)

    def arrived(self, run: Paced, step: int, stride: int) -> None:
        """A run's frame has come; what follows is `stride` steps later where nothing stands in the way."""
        run.step = step
        run.lost = False
        if not self.paused:
            self._go_on(run, stride)
        elif run.bound > run.step:  # it may have trained on already, as far as the others may
            run.grant(run.bound, run.bound)
        else:
            run.hold()

    def restarted(self, run: Paced) -> None:
        """A run begins again at step 0, which is its next frame."""
        run.step, run.target, run.bound, run.lost = -1, 0, 0, False
        run.source.ask(0)
        run.source.train(until=0)

    def drop_out(self, run: Paced) -> None:
        """A run has ended by a fault: nobody waits for it until it is restarted."""
        run.lost = True
        if not self.paused:
            for other in self._living:
                self._go_on(other, 1)

    def pause(self) -> None:
        """Let all come to the step as far as which they may train already, and wait there."""
        self.paused = True
        for run in self._living:
            others = [other.bound for other in self._living if other is not run]
            if run.target == NEVER and run.bound > run.step and run.bound in others:
                run.grant(run.bound, run.bound)

    def go_on(self) -> None:
        """Train on."""
        self.paused = False
        for run in self._living:
            if run.target == NEVER or run.target >= run.bound:
                self._go_on(run, 1)

    def step_once(self) -> None:
        """One step of each run that is not ahead of the others, then wait."""
        self.paused = True
        lead = self._lead
        for run in self._living:
            if run.step == lead and any(other.step < lead for other in self._living):
                continue
            following = max(run.step, run.bound) + 1
            run.grant(following, following)

    @property
    def _living(self) -> list[Paced]:
        return [run for run in self._runs if not run.lost]

    @property
    def _lead(self) -> int:
        return max((run.step for run in self._living), default=0)

    def _go_on(self, run: Paced, stride: int) -> None:
        lead = self._lead
        if run.step < 0:
            return
        if run.step < lead:
            target = run.bound if run.bound > run.step else min(run.step + stride, lead)
            run.grant(target, max(target, min(target + stride, lead)))
        elif all(other.step == lead for other in self._living):
            # as far as one of them may be already
            target = max(other.bound for other in self._living)
            target = target if target > lead else lead + stride
            for other in self._living:
                other.grant(target, target + stride)
        else:
            run.hold()
