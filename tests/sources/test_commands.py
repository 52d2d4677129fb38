"""What a live run answers to each of its commands; a real worker process, one for all of this."""

import math
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from engine.backend import select_backend
from engine.changes import Probe
from engine.config import NetworkConfig
from engine.datasets import load_dataset
from engine.probe import probe, try_changes
from engine.trainer import Trainer
from tests.sources.answers import SMALL, assert_waits, next_answer, next_frame
from vgtui.model.differences import differences
from vgtui.sources.live import LiveRun
from vgtui.wire.frames import Frame, Header
from vgtui.wire.protocol import Answer, Inspected, Refused, Tried
from vgtui.wire.run_settings import RunSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the_run() -> AsyncIterator[LiveRun]:
    run = LiveRun(SMALL)
    yield run
    await run.close()


@pytest_asyncio.fixture(loop_scope="module")
async def run(the_run: LiveRun) -> LiveRun:
    """It begins anew, with nothing on its way of what a test before has asked."""
    the_run.restart(SMALL)
    the_run.train()
    await next_frame(the_run)
    the_run.restart(SMALL)
    return the_run


async def test_frames_are_those_of_the_engine_bit_for_bit(run: LiveRun) -> None:
    trainer = Trainer(SMALL.network, SMALL.training, load_dataset("digits"), select_backend("numpy"))
    for target in (0, 7, 20):
        run.train(until=target)
        frame = await next_frame(run, at=target)
        while trainer.step_count < target:
            trainer.step()
        measurement = trainer.measure()
        assert frame.step == target
        assert (frame.loss, frame.accuracy) == (measurement.loss, measurement.accuracy)
        assert frame.validation_accuracy == measurement.validation_accuracy
        assert frame.layers.grad_norm.tolist() == measurement.layers.grad_norm.tolist()


async def test_training_goes_on_between_frames_that_nobody_asks_for(run: LiveRun) -> None:
    steps = [(await next_frame(run)).step for _ in range(5)]
    assert steps == sorted(set(steps))
    later = await next_frame(run, at=steps[-1] + 500)
    assert later.step == steps[-1] + 500


async def test_a_paused_run_shows_its_step_once_and_single_steps_one_by_one(run: LiveRun) -> None:
    run.pause()
    assert (await next_frame(run)).step == 0
    for expected in (1, 2):
        await assert_waits(run)
        run.step_once()
        assert (await next_frame(run)).step == expected
    await assert_waits(run)
    run.train()
    assert (await next_frame(run)).step >= 3


async def test_a_restart_while_paused_waits_at_step_0(run: LiveRun) -> None:
    run.pause()
    assert (await next_frame(run)).step == 0
    for expected in (1, 2, 3):
        run.step_once()
        assert (await next_frame(run)).step == expected
    run.restart(SMALL)
    assert (await next_frame(run)).step == 0
    await assert_waits(run)


async def test_a_change_gives_a_new_header_and_no_frame_of_the_old_run_after_it(run: LiveRun) -> None:
    await next_frame(run, at=50)
    changed = RunSettings(NetworkConfig(hidden_layers=5, width=8), SMALL.training)
    run.restart(changed)
    header = await next_answer(run)
    assert isinstance(header, Header)
    assert header.network == changed.network
    frame = await next_frame(run)
    assert frame.step == 0
    assert len(frame.layers.grad_norm) == 6


async def test_every_restart_shows_the_initialization_first(run: LiveRun, long_form: bool) -> None:
    for _ in range(40 if long_form else 10):
        assert (await next_frame(run)).step == 0
        await next_frame(run, at=3)
        run.restart(SMALL)


async def test_of_changes_in_a_row_the_last_one_holds(run: LiveRun) -> None:
    await next_frame(run)
    for depth in (4, 5, 6, 7):
        run.restart(RunSettings(NetworkConfig(hidden_layers=depth, width=8), SMALL.training))
    assert len((await next_frame(run)).layers.grad_norm) == 8


async def test_a_refused_change_names_the_setting_and_the_old_run_goes_on(run: LiveRun) -> None:
    await next_frame(run)
    run.restart(RunSettings(NetworkConfig(hidden_layers=10_000, width=65_536)))
    refused = await next_answer(run)
    assert isinstance(refused, Refused)
    assert refused.setting == "hidden_layers"
    assert "GiB" in refused.problem
    assert len((await next_frame(run, at=10)).layers.grad_norm) == 4


@pytest.mark.parametrize("paused", [False, True])
async def test_a_look_inside_is_the_engines_and_comes_also_while_paused(run: LiveRun, paused: bool) -> None:
    await next_frame(run)
    if paused:
        run.pause()
    run.inspect(2)
    while not isinstance(answer := await next_answer(run), Inspected):
        assert isinstance(answer, Frame)
    trainer = Trainer(SMALL.network, SMALL.training, load_dataset("digits"), select_backend("numpy"))
    for _ in range(answer.step):
        trainer.step()
    assert answer.inspection == trainer.inspect(2)


async def test_a_layer_that_is_not_there_any_more_is_not_looked_into(run: LiveRun) -> None:
    await next_frame(run)
    run.inspect(99)
    run.inspect(0)
    while not isinstance(answer := await next_answer(run), Inspected):
        assert isinstance(answer, Frame)
    assert answer.inspection.layer == 0


@pytest.mark.parametrize("paused", [False, True])
async def test_every_single_change_is_tried_between_steps(run: LiveRun, paused: bool) -> None:
    first = await next_frame(run)
    if paused:
        run.pause()
    run.try_changes()
    tried: list[Tried] = []
    last: Frame = first
    while not tried or len(tried) < tried[-1].total:
        answer = await next_answer(run)
        if isinstance(answer, Tried):
            tried.append(answer)
        else:
            assert isinstance(answer, Frame)
            last = answer
    expected = list(probe(SMALL.network, SMALL.training, load_dataset("digits"), select_backend("numpy")))
    assert [entry.probe for entry in tried] == expected
    assert [entry.number for entry in tried] == list(range(1, len(expected) + 1))
    if not paused:
        assert last.step > first.step


async def tried_to_the_end(run: LiveRun) -> tuple[dict[int, Tried], list[Tried], list[Frame]]:
    """The last of each change, all that came, and the frames between them."""
    last: dict[int, Tried] = {}
    came: list[Tried] = []
    frames: list[Frame] = []
    while not last or len(last) < came[0].total or any(entry.steps < entry.of for entry in last.values()):
        answer = await next_answer(run)
        if isinstance(answer, Tried):
            last[answer.number] = answer
            came.append(answer)
        elif isinstance(answer, Frame):
            frames.append(answer)
    return last, came, frames


def engines_trials(steps: int) -> list[Probe]:
    """What the engine finds without a worker, by number."""
    last = {}
    for trial in try_changes(SMALL.network, SMALL.training, load_dataset("digits"), select_backend("numpy"), steps):
        last[trial.number] = trial.probe
    return [last[number] for number in sorted(last)]


@pytest.mark.parametrize("paused", [False, True])
async def test_every_change_is_trained_between_steps_with_the_engines_numbers(run: LiveRun, paused: bool) -> None:
    await next_frame(run)
    if paused:
        run.pause()
    run.try_changes(20)
    last, came, frames = await tried_to_the_end(run)
    assert [last[number].probe for number in sorted(last)] == engines_trials(20)
    assert all(entry.of == 20 for entry in came)
    assert all(entry.probe.loss is None for entry in came if entry.steps < 20)
    if not paused:
        assert frames[-1].step > frames[0].step


async def next_frame_beside_trials(run: LiveRun, at: int = 0) -> Frame:
    while not isinstance(answer := await next_answer(run, at), Frame):
        assert isinstance(answer, Tried)
    return answer


async def test_frames_beside_trials_are_those_of_a_run_alone(run: LiveRun) -> None:
    run.pause()
    await next_frame(run)
    run.try_changes(10)
    run.train(until=40)
    frame = await next_frame_beside_trials(run, at=40)
    trainer = Trainer(SMALL.network, SMALL.training, load_dataset("digits"), select_backend("numpy"))
    while trainer.step_count < 40:
        trainer.step()
    assert frame.step == 40
    assert frame.loss == trainer.measure().loss


async def test_trials_that_are_held_go_on_where_they_were(run: LiveRun) -> None:
    await next_frame(run)
    run.try_changes(60)
    while not (isinstance(answer := await next_answer(run), Tried) and answer.steps):
        pass
    run.hold_trials(True)
    frame = await next_frame_beside_trials(run)
    frame = await next_frame_beside_trials(run, at=frame.step + 1)  # what was on its way has come
    for _ in range(5):
        frame = await next_frame(run, at=frame.step + 50)
    run.hold_trials(False)
    last: dict[int, Tried] = {}
    while sum(entry.steps == 60 for entry in last.values()) < 22:  # one may have been done before
        if isinstance(answer := await next_answer(run), Tried):
            assert answer.steps  # no ratio is measured again
            last[answer.number] = answer
    expected = engines_trials(60)
    assert all(entry.probe == expected[number - 1] for number, entry in last.items() if entry.steps == 60)


@pytest.mark.timing
async def test_a_run_keeps_half_of_its_speed_beside_trials(run: LiveRun) -> None:
    async def steps_a_second() -> float:
        begin = frame = await next_frame_beside_trials(run)
        began = time.monotonic()
        while time.monotonic() < began + 0.3:
            frame = await next_frame_beside_trials(run, at=frame.step + 50)
        return (frame.step - begin.step) / (time.monotonic() - began)

    await next_frame(run)
    run.try_changes(100_000)
    while not (isinstance(answer := await next_answer(run), Tried) and answer.steps):
        pass
    speeds = []
    for _ in range(5):  # whatever else the machine does makes it slower alone
        run.hold_trials(True)
        alone = await steps_a_second()
        run.hold_trials(False)
        speeds.append((alone, await steps_a_second()))
    alone, beside = map(max, zip(*speeds, strict=True))
    assert 0.4 * alone < beside < 0.75 * alone


async def test_a_restart_ends_the_trials(run: LiveRun) -> None:
    await next_frame(run)
    run.try_changes()
    run.restart(replace(SMALL, network=replace(SMALL.network, activation="relu")))
    while not isinstance(answer := await next_answer(run), Header):
        assert isinstance(answer, Tried)
    for _ in range(5):
        assert isinstance(await next_answer(run), Frame)


async def test_a_change_that_keeps_the_weights_goes_on_at_its_step(run: LiveRun) -> None:
    run.train(until=30)
    before = await next_frame(run, at=30)
    run.restart(replace(SMALL, network=replace(SMALL.network, activation="tanh")), keep=True)
    after = await next_frame(run)
    assert after.step == 30
    assert after.layers.weight_norm.tolist() == before.layers.weight_norm.tolist()
    assert after.loss != before.loss
    run.train(until=31)
    assert (await next_frame(run)).step == 31


async def test_a_change_that_is_refused_leaves_the_run_as_it_was(run: LiveRun) -> None:
    run.pause()
    await next_frame(run)
    run.restart(replace(SMALL, network=NetworkConfig(10_000, 65_536)))
    refused = await run.next_answer()
    assert isinstance(refused, Refused) and "need about" in refused.problem
    run.step_once()
    assert (await next_frame(run)).step == 1


async def test_what_two_files_of_one_name_hold_is_told_apart(run: LiveRun, tmp_path: Path) -> None:
    runs = []
    for name, classes in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        rows = "".join(f"{n},{n % classes}\n" for n in range(60))
        (tmp_path / name / "x.csv").write_text(f"size,label\n{rows}")
        runs.append(replace(SMALL, dataset=str(tmp_path / name / "x.csv")))
    await next_frame(run)
    run.restart(runs[0])
    header = await run.next_answer()
    assert isinstance(header, Header) and header.dataset
    assert [entry.after for entry in differences(header, runs[1])] == [runs[1].dataset]
    assert not differences(header, runs[0])
    # one run after the other, faster than they are answered
    for settings in (runs[1], runs[0], runs[1]):
        run.restart(settings)
    while not isinstance(answer := await run.next_answer(), Frame):
        if isinstance(answer, Header):
            header = answer
    assert header.dataset and header.dataset.path == runs[1].dataset and header.dataset.classes == 3
    assert answer.run == header.run
    assert answer.loss == pytest.approx(math.log(3), rel=0.3)


async def test_no_answer_of_a_run_that_was_left_is_given(run: LiveRun) -> None:
    await next_frame(run)
    other = replace(SMALL, network=replace(SMALL.network, hidden_layers=5))
    run.inspect(1)
    run.try_changes()
    run.restart(other)
    answers: list[Answer] = []
    while not (answers and isinstance(answers[-1], Frame)):
        answers.append(await run.next_answer())
    assert [type(answer) for answer in answers] == [Header, Frame]
