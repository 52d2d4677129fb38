"""What is drawn when, by a clock under the test's control."""

import asyncio

import pytest

from vgtui.dashboard.view.scheduler import CHARTS_SECONDS, COMPARING_PATIENCE, NUMBERS_SECONDS, Draw, Scheduler

FPS = 10
INTERVAL = 1 / FPS


class Clock:
    """A clock that moves only when the test says so; redraws cost no processor time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scheduler(clock: Clock) -> Scheduler:
    return Scheduler(FPS, clock, lambda: 0.0)


def draw(scheduler: Scheduler, what: Draw) -> Draw:
    """Draw the requested parts, as a screen does."""
    if Draw.NUMBERS in what:
        scheduler.numbers_drawn()
    return what


def test_the_first_frame_of_a_run_draws_everything_and_says_that_a_run_begins(scheduler: Scheduler) -> None:
    assert scheduler.frame(begins=True) == Draw.SPARKLINES | Draw.NUMBERS
    assert scheduler.begins and scheduler.numbers_drawn()
    assert not scheduler.begins and scheduler.stale == Draw.CHARTS
    scheduler.charts_drawn()
    assert scheduler.stale == Draw.NOTHING


def test_sparklines_follow_every_frame_and_numbers_four_times_a_second(scheduler: Scheduler, clock: Clock) -> None:
    drawn = []
    for _ in range(20):
        drawn.append(draw(scheduler, scheduler.frame(begins=False)))
        clock.now += INTERVAL
    assert all(Draw.SPARKLINES in what for what in drawn)
    assert sum(Draw.NUMBERS in what for what in drawn) == 7  # at 0, 0.3, … 1.8 s


def test_numbers_that_no_frame_drew_are_drawn_by_the_timer(scheduler: Scheduler, clock: Clock) -> None:
    draw(scheduler, scheduler.frame(begins=False))
    clock.now += INTERVAL
    assert Draw.NUMBERS not in scheduler.frame(begins=False)
    assert scheduler.numbers_due() == Draw.NOTHING  # too soon
    clock.now += NUMBERS_SECONDS / 2
    assert scheduler.numbers_due() == Draw.NUMBERS
    draw(scheduler, Draw.NUMBERS)
    clock.now += 10
    assert scheduler.numbers_due() == Draw.NOTHING  # nothing new


def test_charts_wait_for_their_own_time(scheduler: Scheduler, clock: Clock) -> None:
    draw(scheduler, scheduler.frame(begins=False))
    assert scheduler.charts_due() == Draw.CHARTS
    scheduler.charts_drawn()
    scheduler.charts_changed()
    assert scheduler.charts_due() == Draw.NOTHING
    clock.now += CHARTS_SECONDS / 2
    assert scheduler.charts_due() == Draw.CHARTS


def test_frames_of_a_recording_between_redraws_wait_and_the_beginning_of_a_run_is_not_lost(
    scheduler: Scheduler, clock: Clock
) -> None:
    assert draw(scheduler, scheduler.frame(begins=False, played=True)) != Draw.NOTHING
    clock.now += INTERVAL / 2
    assert scheduler.frame(begins=True, played=True) == Draw.NOTHING
    assert scheduler.begins and scheduler.stale & Draw.NUMBERS
    assert scheduler.numbers_due(played=True) == Draw.SPARKLINES
    clock.now += INTERVAL
    assert scheduler.frame(begins=False, played=True, ready=False) == Draw.NOTHING  # the terminal cannot take a redraw
    clock.now += NUMBERS_SECONDS
    assert scheduler.frame(begins=False, played=True) == Draw.SPARKLINES | Draw.NUMBERS
    assert scheduler.numbers_drawn()


def test_two_lanes_are_drawn_together_and_a_third_as_often(scheduler: Scheduler, clock: Clock) -> None:
    scheduler.comparing = True
    draw(scheduler, scheduler.frame(begins=False))
    clock.now += COMPARING_PATIENCE * NUMBERS_SECONDS
    assert scheduler.frame(begins=False, half=True) == Draw.NOTHING
    assert scheduler.frame(begins=False) == Draw.SPARKLINES | Draw.NUMBERS
    assert scheduler.frame(begins=True, half=True) == Draw.SPARKLINES | Draw.NUMBERS
    assert scheduler.stride_seconds == pytest.approx(COMPARING_PATIENCE * INTERVAL)


async def test_a_key_ends_the_wait_for_the_next_redraw() -> None:
    scheduler = Scheduler(fps=1 / 3600)
    scheduler.hurry()
    async with asyncio.timeout(60):
        await scheduler.wait(since=0.0)
