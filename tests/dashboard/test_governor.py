"""The pace of redraws follows their cost, and a terminal that does not read gets none."""

import os
import pty
from contextlib import suppress

import pytest

from vgtui.dashboard.view.governor import MAX_INTERVAL_SECONDS, MAX_SHARE, Governor, takes_bytes


class Machine:
    """Simulates redraws at the governor's pace, each with a cost."""

    def __init__(self, fps: float) -> None:
        self.now = self.processor = 0.0
        self.governor = Governor(fps, lambda: self.now, lambda: self.processor)

    def run(self, seconds: float, cost: float) -> float:
        """Redraw for a while; returns the share of a core used in the second half."""
        end, half, used = self.now + seconds, self.now + seconds / 2, 0.0
        while self.now < end:
            self.now += max(self.governor.interval, cost)
            self.processor += cost
            used += cost * (self.now > half)
            self.governor.count_redraw()
        return used / (seconds / 2)


def test_cheap_redraws_come_at_the_requested_pace() -> None:
    machine = Machine(fps=30)
    assert machine.run(20, cost=0.002) == pytest.approx(0.06, rel=0.1)
    assert machine.governor.interval == pytest.approx(1 / 30)
    assert machine.governor.redraws_per_second == pytest.approx(30, rel=0.1)


@pytest.mark.parametrize("cost", [0.01, 0.03, 0.08, 0.15])
def test_costly_redraws_come_less_often_to_keep_the_share(cost: float) -> None:
    assert Machine(fps=30).run(60, cost) <= 1.1 * MAX_SHARE


def test_the_pace_recovers_when_redraws_are_cheap_again() -> None:
    machine = Machine(fps=10)
    machine.run(30, cost=0.1)
    assert machine.governor.interval > 0.3
    machine.run(30, cost=0.002)
    assert machine.governor.interval == pytest.approx(0.1)


def test_redraws_never_stop() -> None:
    machine = Machine(fps=10)
    machine.run(60, cost=5.0)
    assert machine.governor.interval <= MAX_INTERVAL_SECONDS


def test_the_user_may_request_a_pace_below_the_minimum() -> None:
    machine = Machine(fps=0.1)
    machine.run(100, cost=9.0)
    assert machine.governor.interval == 10


def test_a_terminal_that_is_not_read_takes_no_more_bytes_until_it_is() -> None:
    ours, theirs = pty.openpty()
    try:
        os.set_blocking(theirs, False)
        assert takes_bytes(theirs)
        while takes_bytes(theirs):
            with suppress(BlockingIOError):
                os.write(theirs, b"x" * 4096)
        while not takes_bytes(theirs):
            os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
