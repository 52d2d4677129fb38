"""The pace of pictures: as many as were asked for, as long as the dashboard stays below its share of a core."""

import select
import time
from collections.abc import Callable

MAX_SHARE = 0.2
"""Of one core, for everything that the dashboard does."""
WINDOW_SECONDS = 1.0
"""How long is measured before the pace is changed."""
MAX_INTERVAL_SECONDS = 1.0
"""Between two pictures, however much one costs."""
RECOVERY = 0.8
"""By what the interval shrinks in a window that left room."""


class Governor:
    """Measures what pictures cost in processor time, and how long to wait between two."""

    def __init__(
        self,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
        processor_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._shortest = 1 / fps
        self.interval = self._shortest
        self.pictures_per_second = 0.0
        self._clock, self._processor_clock = clock, processor_clock
        self._began, self._processor_began = clock(), processor_clock()
        self._pictures = -1  # what was before the first picture was no picture's cost

    def count_picture(self) -> None:
        """A picture was made; after a window of them, the interval follows from their cost."""
        self._pictures += 1
        now, processor = self._clock(), self._processor_clock()
        if not self._pictures:
            self._began, self._processor_began = now, processor
        elapsed = now - self._began
        if elapsed < WINDOW_SECONDS:
            return
        share = (processor - self._processor_began) / elapsed
        self.pictures_per_second = self._pictures / elapsed
        if share > MAX_SHARE:
            # the share of the next window should be the most; a single costly one must not stop the picture
            self.interval = min(self.interval * min(share / MAX_SHARE, 2.0), max(MAX_INTERVAL_SECONDS, self._shortest))
        elif share < RECOVERY * MAX_SHARE:
            self.interval = max(self.interval * RECOVERY, self._shortest)
        self._began, self._processor_began, self._pictures = now, processor, 0


def takes_bytes(terminal: int) -> bool:
    """Whether this terminal has read enough of the pictures before to take another without waiting."""
    return bool(select.select([], [terminal], [], 0)[1])
