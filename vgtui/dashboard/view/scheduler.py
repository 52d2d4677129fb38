"""What is drawn when: frames go in, and what to draw now comes out."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Flag, auto

from vgtui.dashboard.view.governor import Governor

NUMBERS_SECONDS = 0.25
"""Numbers change four times a second: nobody reads faster."""
CHARTS_SECONDS = 0.5
"""The line charts cost more and change less: twice a second."""
PAINT_SECONDS = 0.02
"""Before a run's first frame, which redraws much, so that what the key changed is painted first."""
COMPARING_PATIENCE = 3
"""While two runs are compared, everything is drawn a third as often: the cores are theirs."""


class Draw(Flag):
    """Parts of the screen."""

    NOTHING = 0
    SPARKLINES = auto()
    NUMBERS = auto()
    CHARTS = auto()


class Scheduler:
    """Decides when each part of the screen is drawn.

    Args:
        fps: The most pictures a second.
        clock: Seconds, for how long ago something was drawn.
        processor_clock: Seconds of processor time, for what pictures cost.
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
        self._clock = clock
        self._wake = asyncio.Event()
        self._stale = Draw.NOTHING
        self._begin_undrawn = False
        self._drawn_at = self._numbers_at = self._charts_at = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two pictures of a run."""
        return self._governor.interval

    @property
    def stride_seconds(self) -> float:
        """Seconds that compared runs train between two frames."""
        return self._patience * self.interval

    @property
    def pictures_per_second(self) -> float:
        """As measured in the last second."""
        return self._governor.pictures_per_second

    @property
    def begins(self) -> bool:
        """Whether the numbers to draw are the first of a run."""
        return self._begin_undrawn

    @property
    def stale(self) -> Draw:
        """What has changed since it was drawn."""
        return self._stale

    def frame(self, begins: bool, *, played: bool = False, ready: bool = True, half: bool = False) -> Draw:
        """Take a frame.

        Args:
            begins: Whether it is the first of a run.
            played: Whether it comes from a recording, which gives frames that fall between two pictures.
            ready: Whether the terminal takes another picture now; asked of recordings alone.
            half: Whether the other lane's frame of the same step is still to come; both are one picture.

        Returns:
            What to draw now.
        """
        now = self._clock()
        if played and not (ready and now - self._drawn_at >= self.interval):
            self._stale |= Draw.NUMBERS
            self._begin_undrawn |= begins
            return Draw.NOTHING
        if half and not begins:
            self._stale |= Draw.NUMBERS
            return Draw.NOTHING
        self._drawn_at = now
        self._governor.count_picture()
        if not begins and now - self._numbers_at < self._patience * NUMBERS_SECONDS:
            self._stale |= Draw.NUMBERS
            return Draw.SPARKLINES
        self._begin_undrawn |= begins
        return Draw.SPARKLINES | Draw.NUMBERS

    def numbers_due(self, played: bool = False) -> Draw:
        """What a timer of NUMBERS_SECONDS has to draw. played: the run is a recording."""
        if Draw.NUMBERS not in self._stale:
            return Draw.NOTHING
        # while two runs are compared, it is their frames of the same step that draw
        patience = 2 * self._patience if self.comparing else 0.5
        late = self._clock() - self._numbers_at >= patience * NUMBERS_SECONDS
        return (Draw.SPARKLINES if played else Draw.NOTHING) | (Draw.NUMBERS if late else Draw.NOTHING)

    def charts_due(self) -> Draw:
        """What a timer of CHARTS_SECONDS has to draw."""
        late = self._clock() - self._charts_at >= self._patience * CHARTS_SECONDS / 2
        return self._stale & Draw.CHARTS if late else Draw.NOTHING

    def numbers_drawn(self) -> bool:
        """The numbers are drawn now, and the charts are older than they. Returns whether they are a run's first."""
        begins, self._begin_undrawn = self._begin_undrawn, False
        self._numbers_at = self._clock()
        self._stale = self._stale & ~Draw.NUMBERS | Draw.CHARTS
        return begins

    def charts_drawn(self) -> None:
        """The charts are drawn now."""
        self._charts_at = self._clock()
        self._stale &= ~Draw.CHARTS

    def charts_changed(self) -> None:
        """There is something new to draw in the charts."""
        self._stale |= Draw.CHARTS

    def hurry(self) -> None:
        """A key was pressed: the next frame is wanted now."""
        self._wake.set()

    async def wait(self, since: float) -> None:
        """Wait until the next picture is due, `since` the clock said this, or a key wants it now."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self.interval - (self._clock() - since))
        self._wake.clear()

    @property
    def _patience(self) -> int:
        return COMPARING_PATIENCE if self.comparing else 1
