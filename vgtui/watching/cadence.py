"""How often a watched model is measured."""

import math
import re
import time

from vgtui.watching.errors import ArgumentError

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s)")
_SECONDS = {"ms": 1e-3, "s": 1.0}
SHARE = 0.015
"""The share of the training's time that measuring may take: the dearer a measurement, the fewer there are."""
PERIOD = 0.8
"""Seconds in which a frame is to come: a measurement that is too dear for that is done in parts."""
MAX_PARTS = 1000
"""Parts of a measurement at most."""
UNSEEN_SHARE = 0.002
"""The share while nobody looks, for the verdict alone."""


class Cadence:
    """Decides which steps are measured.

    A time is extended where measuring would take more than SHARE; a number of steps is the user's own decision.
    """

    def __init__(self, every: str | int) -> None:
        """Read how often to measure.

        Args:
            every: A time ("100ms", "2s") between two measurements at least, or a number of steps (10).

        Raises:
            ArgumentError: It is neither.
        """
        self._steps = self._seconds = 0.0
        if isinstance(every, str) and (found := _TIME.fullmatch(every.strip())):
            self._seconds = float(found[1]) * _SECONDS[found[2]]
        elif isinstance(every, int) and not isinstance(every, bool) and every > 0:
            self._steps = every
        else:
            raise ArgumentError(
                "every", f'{every!r} is not a pace; it takes a time such as "100ms" or "2s", or steps such as 10'
            )
        self._at = self._moment = -float("inf")
        self._took = 0.0
        self._measured = 0

    @property
    def is_paced_by_steps(self) -> bool:
        """Whether a measurement is due after a number of steps, and not after a time."""
        return self._steps > 0

    def is_due(self, step: int, is_seen: bool = True) -> bool:
        """Return whether the step after `step` updates is to be measured.

        Args:
            step: The number of updates.
            is_seen: Whether anybody waits for the measurement. Otherwise it is of the verdict's interest alone.
        """
        if self._steps and step - self._at < self._steps:
            return False
        if self._steps and is_seen:
            return True
        # the first one, with what is done once, sets the pace, and holds no viewer up
        is_first = self._measured <= 1 and is_seen
        rest = 0.0 if is_first else self._took / (SHARE if is_seen else UNSEEN_SHARE)
        return time.monotonic() - self._moment >= max(self._seconds, rest)

    def steps_between(self, step_seconds: float, is_seen: bool) -> int:
        """Return how many steps lie between two measurements, where a step takes so many seconds."""
        if self._steps and is_seen:
            return int(self._steps)
        rest = self._took / (SHARE if is_seen else UNSEEN_SHARE)
        seconds = max(self._seconds, rest)
        return max(1, int(self._steps), math.ceil(seconds / step_seconds) if step_seconds > 0 else 1)

    def begin(self, step: int) -> None:
        """Note that the step after `step` updates is measured."""
        self._at = step
        self._moment = time.monotonic()

    def took(self, seconds: float) -> None:
        """Note how long a measurement held the training up."""
        self._took = seconds
        self._measured += 1

    def parts(self, seconds: float, least: float = 0.0) -> int:
        """Return in how many parts to do a measurement.

        Args:
            seconds: How long the whole of it holds the training up.
            least: How long a part does, however small.
        """
        if self._steps or not math.isfinite(seconds):
            return 1
        budget = SHARE * max(PERIOD, self._seconds)
        if seconds <= budget:
            return 1
        # where each part is dear by itself, smaller ones than twice as dear would not come sooner
        return min(MAX_PARTS, max(2, math.ceil((seconds - least) / max(budget - least, least, 1e-9))))
