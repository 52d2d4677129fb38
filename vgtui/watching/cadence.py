"""How often a watched model is measured."""

import re
import time

from engine.errors import UsageError

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s)")
_SECONDS = {"ms": 1e-3, "s": 1.0}


class Cadence:
    """Each so many seconds ("100ms", "2s"), or each so many steps (10). Raises UsageError for what is neither."""

    def __init__(self, every: str | int) -> None:
        self._steps = self._seconds = 0.0
        if isinstance(every, str) and (found := _TIME.fullmatch(every.strip())):
            self._seconds = float(found[1]) * _SECONDS[found[2]]
        elif isinstance(every, int) and not isinstance(every, bool) and every > 0:
            self._steps = every
        else:
            raise UsageError(
                "every", f'{every!r} is no pace; it takes a time such as "100ms" or "2s", or steps such as 10'
            )
        self._at = -float("inf")

    def is_due(self, step: int) -> bool:
        """Whether the step after `step` is to be measured."""
        return (step if self._steps else time.monotonic()) - self._at >= (self._steps or self._seconds)

    def begin(self, step: int) -> None:
        """A measurement begins, at the step after `step`."""
        self._at = step if self._steps else time.monotonic()
