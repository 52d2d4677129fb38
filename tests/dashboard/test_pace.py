"""Two runs in step, with simulated and with real workers."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.config import NetworkConfig, TrainingConfig
from vgtui.dashboard.session.pace import NEVER, InStep, Paced
from vgtui.sources.live import LiveRun
from vgtui.wire.frames import Frame
from vgtui.wire.run_settings import RunSettings


@dataclass(eq=False)
class Simulated:
    """A run that trains `speed` steps per tick, up to its bound, and answers requests for frames."""

    speed: int = 5
    step: int = 0
    asked: int = 0
    until: int = 0
    answered: int = -1
    frames: list[int] = field(default_factory=list)

    def ask(self, at: int = 0) -> None:
        self.asked = at

    def train(self, until: int | None = None) -> None:
        assert until is not None
        self.until = until

    def restart(self) -> None:
        self.step, self.until, self.answered = 0, 0, -1

    def tick(self) -> list[int]:
        """Train for one tick; returns the steps of the frames given."""
        answers = []
        for left in range(self.speed, -1, -1):
            if self.step >= self.asked and self.step != self.answered:
                self.answered = self.step
                self.asked = NEVER
                answers.append(self.step)
            if left and self.step < self.until:
                self.step += 1
        self.frames += answers
        return answers


class Pair:
    def __init__(self, *speeds: int, begin: int = 0) -> None:
        self.runs = [Simulated(speeds[0]), Simulated(speeds[1], step=begin, answered=begin)]
        self.paced = [Paced(self.runs[0]), Paced(self.runs[1], begin, bound=begin)]  # type: ignore[arg-type]
        self.pace = InStep(self.paced, paused=False)

    def tick(self, times: int = 1, stride: int = 10) -> None:
        for _ in range(times):
            for run, paced in zip(self.runs, self.paced, strict=True):
                for step in run.tick():
                    self.pace.arrived(paced, step, stride)


@pytest.mark.parametrize("speeds", [(5, 5), (5, 50), (50, 5), (1, 7)])
def test_frames_are_of_the_same_steps_and_the_slower_sets_the_pace(speeds: tuple[int, int]) -> None:
    pair = Pair(*speeds)
    pair.tick(200)
    one, other = (run.frames for run in pair.runs)
    common = min(len(one), len(other))
    assert one[1:common] == other[: common - 1] or one[:common] == other[:common]
    assert common > 15
    assert abs(pair.runs[0].step - pair.runs[1].step) <= 20
    assert min(run.step for run in pair.runs) >= 0.9 * min(speeds) * 200 - 10  # it never waits


def test_a_run_that_began_later_catches_up_while_the_other_waits() -> None:
    pair = Pair(5, 5, begin=100)
    pair.tick(10)
    assert pair.runs[1].step == 100
    pair.tick(60)
    assert 100 in pair.runs[0].frames  # it lands on the step where the other waited
    later = [step for step in pair.runs[0].frames if step > 100]
    assert later and later[:5] == [step for step in pair.runs[1].frames if step > 100][:5]


def test_a_restarted_run_catches_up_again() -> None:
    pair = Pair(5, 5)
    pair.tick(50)
    pair.runs[1].restart()
    pair.pace.restarted(pair.paced[1])
    pair.tick(1)
    assert pair.runs[1].frames[-1] == 0
    pair.tick(100)
    assert pair.runs[0].frames[-1] == pair.runs[1].frames[-1] > 300


def test_a_pause_ends_at_one_step_and_single_steps_are_together() -> None:
    pair = Pair(3, 11)
    pair.tick(30)
    pair.pace.pause()
    pair.tick(30)
    stopped = [run.frames[-1] for run in pair.runs]
    assert stopped[0] == stopped[1] == pair.runs[0].step == pair.runs[1].step
    for number in (1, 2, 3):
        pair.pace.step_once()
        pair.tick(2)
        assert [run.frames[-1] for run in pair.runs] == [stopped[0] + number] * 2
    pair.pace.go_on()
    pair.tick(30)
    assert pair.runs[0].frames[-1] > stopped[0] + 20


def test_an_ended_run_is_not_waited_for_until_it_restarts() -> None:
    pair = Pair(5, 5)
    pair.tick(20)
    pair.runs[1].speed = 0
    pair.pace.drop_out(pair.paced[1])
    pair.tick(50)
    assert pair.runs[0].step > 250
    pair.runs[1] = Simulated(20)
    pair.paced[1].source = pair.runs[1]  # type: ignore[assignment]
    pair.pace.restarted(pair.paced[1])
    pair.tick(60)
    assert pair.runs[0].frames[-1] in pair.runs[1].frames
    assert pair.runs[0].frames[-1] > 300


def test_with_both_runs_ended_keys_do_nothing() -> None:
    pair = Pair(5, 5)
    pair.tick(20)
    for paced in pair.paced:
        pair.pace.drop_out(paced)
    pair.pace.step_once()
    pair.pace.go_on()
    pair.pace.pause()
    assert all(paced.lost for paced in pair.paced)


def test_a_run_whose_restart_was_refused_goes_on_from_where_it_was() -> None:
    pair = Pair(5, 5)
    pair.tick(50)
    step = pair.runs[1].frames[-1]
    pair.pace.restarted(pair.paced[1])
    pair.tick(5)
    pair.pace.arrived(pair.paced[1], step, 10)  # as after a refusal
    pair.tick(60)
    assert pair.runs[1].frames[-1] > step + 100
    assert abs(pair.runs[0].step - pair.runs[1].step) <= 20


async def test_two_real_runs_of_the_same_settings_see_the_same_batches_at_the_same_steps() -> None:
    settings = RunSettings(NetworkConfig(hidden_layers=3, width=16), TrainingConfig(batch_size=32))
    first = LiveRun(settings)
    second = first.another(settings)
    paced = [Paced(first), Paced(second)]
    for run in (first, second):
        run.share_cores(2)
    pace = InStep(paced, paused=False)
    frames: dict[int, dict[int, Frame]] = {0: {}, 1: {}}

    async def follow(number: int) -> None:
        while len(frames[number]) < 15:
            answer = await paced[number].source.next_answer(paced[number].target)
            if isinstance(answer, Frame):
                frames[number][answer.step] = answer
                pace.arrived(paced[number], answer.step, 7)

    await asyncio.gather(follow(0), follow(1))
    assert list(frames[0]) == list(frames[1]) == list(range(0, 15 * 7, 7))
    for step, frame in frames[0].items():
        other = frames[1][step]
        assert frame.loss == other.loss
        assert np.array_equal(frame.layers.grad_norm, other.layers.grad_norm)
    await first.close()
    await second.close()
