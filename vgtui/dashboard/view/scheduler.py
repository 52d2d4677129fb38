"""Decides what is drawn when: frames go in, and what to draw now comes out."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Flag, auto

from vgtui.dashboard.view.governor import Governor

NUMBERS_SECONDS = 0.25
"""Numbers change at most four times a second: nobody reads faster."""
CHARTS_SECONDS = 0.5
"""Line charts cost more and change less: at most twice a second."""
PAINT_SECONDS = 0.02
"""The wait before a run's first frame, which redraws much, so that the effect of the key is painted first."""
COMPARING_PATIENCE = 3
"""While two runs are compared, everything is drawn a third as often, to leave the cores to them."""


class Draw(Flag):
    """Parts of the screen."""

    NOTHING = 0
    SPARKLINES = auto()
    NUMBERS = auto()
    CHARTS = auto()


class Scheduler:
    """Decides when each part of the screen is drawn.

    Args:
        fps: The maximum number of redraws per second.
        clock: The time in seconds.
        processor_clock: The processor time of this process in seconds, to measure the cost of redraws.
    """

    def __init__(
        self,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
        processor_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.comparing = False
        """Whether two runs are compared."""
        self._governor = Governor(fps, clock, processor_clock)
        self.now = clock
        """The clock that `wait` counts by."""
        self._wake = asyncio.Event()
        self._stale = Draw.NOTHING
        self._begin_undrawn = False
        self._drawn_at = self._numbers_at = self._charts_at = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two redraws of a run."""
        return self._governor.interval

    @property
    def stride_seconds(self) -> float:
        """Seconds that compared runs train between two frames."""
        return self._patience * self.interval

    @property
    def redraws_per_second(self) -> float:
        """As measured in the last window."""
        return self._governor.redraws_per_second

    @property
    def begins(self) -> bool:
        """Whether the numbers to draw are those of a run's first frame."""
        return self._begin_undrawn

    @property
    def stale(self) -> Draw:
        """The parts that have changed since they were drawn."""
        return self._stale

    def frame(self, begins: bool, *, played: bool = False, ready: bool = True, half: bool = False) -> Draw:
        """Take a frame.

        Args:
            begins: Whether it is the first of a run.
            played: Whether it comes from a recording, which also gives frames between two redraws.
            ready: Whether the terminal can take another redraw now; only checked for recordings.
            half: Whether the other lane's frame of the same step has not arrived yet; both are drawn together.

        Returns:
            What to draw now.
        """
        now = self.now()
        if played and not (ready and now - self._drawn_at >= self.interval):
            self._stale |= Draw.NUMBERS
            self._begin_undrawn |= begins
            return Draw.NOTHING
        if half and not begins:
            self._stale |= Draw.NUMBERS
            return Draw.NOTHING
        self._drawn_at = now
        self._governor.count_redraw()
        if not begins and now - self._numbers_at < self._patience * NUMBERS_SECONDS:
            self._stale |= Draw.NUMBERS
            return Draw.SPARKLINES
        self._begin_undrawn |= begins
        return Draw.SPARKLINES | Draw.NUMBERS

    def numbers_due(self, played: bool = False) -> Draw:
        """What to draw at a tick of the timer with period NUMBERS_SECONDS.

        Args:
            played: Whether the run is a recording.
        """
        if Draw.NUMBERS not in self._stale:
            return Draw.NOTHING
        # while two runs are compared, their frames of the same step trigger drawing
        patience = 2 * self._patience if self.comparing else 0.5
        late = self.now() - self._numbers_at >= patience * NUMBERS_SECONDS
        return (Draw.SPARKLINES if played else Draw.NOTHING) | (Draw.NUMBERS if late else Draw.NOTHING)

    def charts_due(self) -> Draw:
        """What to draw at a tick of the timer with period CHARTS_SECONDS."""
        late = self.now() - self._charts_at >= self._patience * CHARTS_SECONDS / 2
        return self._stale & Draw.CHARTS if late else Draw.NOTHING

    def numbers_drawn(self) -> bool:
        """Note that the numbers are drawn now, which makes the charts stale; returns whether a run begins with them."""
        begins, self._begin_undrawn = self._begin_undrawn, False
        self._numbers_at = self.now()
        self._stale = self._stale & ~Draw.NUMBERS | Draw.CHARTS
        return begins

    def charts_drawn(self) -> None:
        """Note that the charts are drawn now."""
        self._charts_at = self.now()
        self._stale &= ~Draw.CHARTS

    def charts_changed(self) -> None:
        """Note that the charts have something new to draw."""
        self._stale |= Draw.CHARTS

    def hurry(self) -> None:
        """End the present wait: a key was pressed."""
        self._wake.set()

    async def wait(self, since: float) -> None:
        """Wait until the next redraw is due, counted from the time `since`, or until a key is pressed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self.interval - (self.now() - since))
        self._wake.clear()

    @property
    def _patience(self) -> int:
        return COMPARING_PATIENCE if self.comparing else 1
