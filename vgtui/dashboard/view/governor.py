"""The pace of redraws: as many as requested, as long as the dashboard stays below its share of a core."""

import select
import time
from collections.abc import Callable

MAX_SHARE = 0.2
"""The share of one core that the dashboard may use."""
WINDOW_SECONDS = 1.0
"""How long the cost is measured before the pace changes."""
MAX_INTERVAL_SECONDS = 1.0
"""The longest wait between two redraws, whatever they cost, unless the user asked for fewer."""
RECOVERY = 0.8
"""The factor by which the interval shrinks when the last window stayed below the share."""


class Governor:
    """Measures what redraws cost in processor time, and decides how long to wait between two.

    Args:
        fps: The maximum number of redraws per second.
        clock: The time in seconds.
        processor_clock: The processor time of this process in seconds.

    Attributes:
        interval: Seconds between two redraws.
        redraws_per_second: As measured in the last window.
    """

    def __init__(
        self,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
        processor_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._shortest = 1 / fps
        self.interval = self._shortest
        self.redraws_per_second = 0.0
        self._clock, self._processor_clock = clock, processor_clock
        self._began, self._processor_began = clock(), processor_clock()
        self._redraws = -1  # the time before the first redraw is not part of its cost

    def count_redraw(self) -> None:
        """Count a redraw; at the end of a window, adapt the interval to the cost."""
        self._redraws += 1
        now, processor = self._clock(), self._processor_clock()
        if not self._redraws:
            self._began, self._processor_began = now, processor
        elapsed = now - self._began
        if elapsed < WINDOW_SECONDS:
            return
        share = (processor - self._processor_began) / elapsed
        self.redraws_per_second = self._redraws / elapsed
        if share > MAX_SHARE:
            # aim at the maximum share in the next window; one costly redraw must not freeze the screen
            self.interval = min(self.interval * min(share / MAX_SHARE, 2.0), max(MAX_INTERVAL_SECONDS, self._shortest))
        elif share < RECOVERY * MAX_SHARE:
            self.interval = max(self.interval * RECOVERY, self._shortest)
        self._began, self._processor_began, self._redraws = now, processor, 0


def takes_bytes(terminal: int) -> bool:
    """Whether this terminal (a file descriptor) has read enough to take another redraw without blocking."""
    return bool(select.select([], [terminal], [], 0)[1])
