"""How often a watched model is measured."""

import re
import time

from vgtui.watching.errors import ArgumentError

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s)")
_SECONDS = {"ms": 1e-3, "s": 1.0}
SHARE = 0.02
"""Of the training's time, that measuring may take: where a measurement is dear beside a step, there are fewer."""


class Cadence:
    """Each so many seconds at most ("100ms", "2s"), or each so many steps (10). Raises ArgumentError for anything else.

    A time is kept to only as far as it costs no more than SHARE; a number of steps is the user's own decision.
    """

    def __init__(self, every: str | int) -> None:
        self._steps = self._seconds = 0.0
        if isinstance(every, str) and (found := _TIME.fullmatch(every.strip())):
            self._seconds = float(found[1]) * _SECONDS[found[2]]
        elif isinstance(every, int) and not isinstance(every, bool) and every > 0:
            self._steps = every
        else:
            raise ArgumentError(
                "every", f'{every!r} is no pace; it takes a time such as "100ms" or "2s", or steps such as 10'
            )
        self._at = -float("inf")
        self._rest = 0.0

    def is_due(self, step: int) -> bool:
        """Whether the step after `step` is to be measured."""
        if self._steps:
            return step - self._at >= self._steps
        return time.monotonic() - self._at >= max(self._seconds, self._rest)

    def begin(self, step: int) -> None:
        """A measurement begins, at the step after `step`."""
        self._at = step if self._steps else time.monotonic()

    def took(self, seconds: float) -> None:
        """So long the measurement held the training up."""
        self._rest = seconds / SHARE
