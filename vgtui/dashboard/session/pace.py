"""Two runs in step: their frames have the same steps, and the slower run sets the pace.

Each run may train up to a bound, and is asked for its frame at an earlier step, so that it keeps training while the
other catches up. A run that is behind, because it began later, catches up while the other waits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vgtui.sources.base import Experiment

NEVER = 2**62
"""The step asked of a run that waits for the other: no frame arrives until another step is asked for."""


@dataclass(slots=True, eq=False)
class Paced:
    """A run in step with others.

    Attributes:
        source: The source of the run.
        step: The step of its last frame; −1 before the first.
        target: The step of its next frame.
        bound: The step where it stops and waits.
        lost: Whether a fault has ended it.
    """

    source: Experiment
    step: int = -1
    target: int = 0
    bound: int = 0
    lost: bool = False

    def grant(self, target: int, bound: int) -> None:
        """Ask for the frame of step `target`, and let the run train up to step `bound`."""
        self.target, self.bound = target, bound
        self.source.ask(target)
        self.source.train(until=bound)

    def hold(self) -> None:
        """Wait for the others."""
        self.target = NEVER
        self.source.ask(NEVER)


class InStep:
    """Keeps runs in step. They start held at their present step.

    Args:
        runs: The runs.
        paused: Whether they are paused.
    """

    def __init__(self, runs: Iterable[Paced], paused: bool) -> None:
        self._runs = tuple(runs)
        self.paused = paused
        for run in self._runs:
            run.source.train(until=0)

    def arrived(self, run: Paced, step: int, stride: int) -> None:
        """A frame of a run has arrived.

        Args:
            run: The run.
            step: The step of the frame.
            stride: How many steps later the next frame is wanted.
        """
        run.step = step
        run.lost = False
        if not self.paused:
            self._go_on(run, stride)
        elif run.bound > run.step:  # it may have trained up to its bound already
            run.grant(run.bound, run.bound)
        else:
            run.hold()

    def restarted(self, run: Paced) -> None:
        """A run restarts; its next frame is that of step 0."""
        run.step, run.target, run.bound, run.lost = -1, 0, 0, False
        run.source.ask(0)
        run.source.train(until=0)

    def drop_out(self, run: Paced) -> None:
        """A fault has ended a run: the others do not wait for it until it is restarted."""
        run.lost = True
        if not self.paused:
            for other in self._living:
                self._go_on(other, 1)

    def pause(self) -> None:
        """Let all runs train up to their present bounds, and wait there."""
        self.paused = True
        for run in self._living:
            others = [other.bound for other in self._living if other is not run]
            if run.target == NEVER and run.bound > run.step and run.bound in others:
                run.grant(run.bound, run.bound)

    def go_on(self) -> None:
        """Resume."""
        self.paused = False
        for run in self._living:
            if run.target == NEVER or run.target >= run.bound:
                self._go_on(run, 1)

    def step_once(self) -> None:
        """Train one step in each run that is not ahead of the others, then wait."""
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
            # one of them may have trained this far already
            target = max(other.bound for other in self._living)
            target = target if target > lead else lead + stride
            for other in self._living:
                other.grant(target, target + stride)
        else:
            run.hold()
