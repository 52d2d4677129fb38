"""The live frame source with its real worker process."""

import asyncio
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.probe import probe
from engine.threads import threads_for
from engine.trainer import Trainer
from vgtui.recordings.frames import Event, Frame, Header
from vgtui.training.client import LiveRun
from vgtui.training.differences import differences
from vgtui.training.protocol import Answer, Inspected, Pong, Refused, Silent, Tried
from vgtui.training.settings import RunSettings

SMALL = RunSettings(NetworkConfig(hidden_layers=3, width=8), TrainingConfig(batch_size=16))
StartRun = Callable[[RunSettings], LiveRun]


@pytest.fixture
async def start_run() -> AsyncIterator[StartRun]:
    runs: list[LiveRun] = []

    def start(settings: RunSettings) -> LiveRun:
        runs.append(LiveRun(settings))
        return runs[-1]

    yield start
    for run in runs:
        await run.close()


async def next_answer(run: LiveRun, at: int = 0) -> Answer:
    """The next one, also where a busy machine lets the worker be silent for so long that it is told."""
    while isinstance(answer := await run.next_answer(at), Silent | Pong):
        pass
    return answer


async def next_frame(run: LiveRun, at: int = 0) -> Frame:
    while not isinstance(answer := await next_answer(run, at), Frame):
        assert isinstance(answer, Header)
    return answer


def is_there(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


async def assert_waits(run: LiveRun) -> None:
    """The frame that is asked for does not come before what is asked for after it, twice as it could be on its way."""
    run.ask()
    for _ in range(2):
        run.inspect(0)
        assert isinstance(await next_answer(run), Inspected)


async def test_a_run_begins_with_its_header_and_the_frame_at_initialization(start_run: StartRun) -> None:
    run = start_run(SMALL)
    header = await next_answer(run)
    assert isinstance(header, Header)
    assert header.network == SMALL.network
    assert [layer.name for layer in header.layers] == ["layers.0", "layers.1", "layers.2", "layers.3"]
    frame = await next_frame(run)
    assert frame.step == 0
    assert frame.layers.update_ratio.tolist() == [None] * 4


async def test_frames_are_those_of_the_engine_bit_for_bit(start_run: StartRun) -> None:
    run = start_run(SMALL)
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


async def test_training_goes_on_between_frames_that_nobody_asks_for(start_run: StartRun) -> None:
    run = start_run(SMALL)
    steps = [(await next_frame(run)).step for _ in range(5)]
    assert steps == sorted(set(steps))
    later = await next_frame(run, at=steps[-1] + 500)
    assert later.step == steps[-1] + 500


async def test_a_paused_run_shows_its_step_once_and_single_steps_one_by_one(start_run: StartRun) -> None:
    run = start_run(SMALL)
    run.pause()
    assert (await next_frame(run)).step == 0
    for expected in (1, 2):
        await assert_waits(run)
        run.step_once()
        assert (await next_frame(run)).step == expected
    await assert_waits(run)
    run.train()
    assert (await next_frame(run)).step >= 3


async def test_a_restart_while_paused_waits_at_step_0(start_run: StartRun) -> None:
    run = start_run(SMALL)
    run.pause()
    assert (await next_frame(run)).step == 0
    for expected in (1, 2, 3):
        run.step_once()
        assert (await next_frame(run)).step == expected
    run.restart(SMALL)
    assert (await next_frame(run)).step == 0
    await assert_waits(run)


async def test_a_single_step_pauses_also_beyond_the_death_of_the_worker(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    run.step_once()
    await next_frame(run)
    assert run.process_id
    os.kill(run.process_id, signal.SIGKILL)
    while not isinstance(await next_answer(run), Event):
        pass
    run.restart(SMALL)
    assert (await next_frame(run)).step == 0
    await assert_waits(run)


async def test_a_change_gives_a_new_header_and_no_frame_of_the_old_run_after_it(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run, at=50)
    changed = RunSettings(NetworkConfig(hidden_layers=5, width=8), SMALL.training)
    run.restart(changed)
    header = await next_answer(run)
    assert isinstance(header, Header)
    assert header.network == changed.network
    frame = await next_frame(run)
    assert frame.step == 0
    assert len(frame.layers.grad_norm) == 6


async def test_every_restart_shows_the_initialization_first(start_run: StartRun) -> None:
    run = start_run(SMALL)
    for _ in range(40):
        assert (await next_frame(run)).step == 0
        await next_frame(run, at=3)
        run.restart(SMALL)


async def test_of_changes_in_a_row_the_last_one_holds(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    for depth in (4, 5, 6, 7):
        run.restart(RunSettings(NetworkConfig(hidden_layers=depth, width=8), SMALL.training))
    assert len((await next_frame(run)).layers.grad_norm) == 8


async def test_a_refused_change_names_the_setting_and_the_old_run_goes_on(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    run.restart(RunSettings(NetworkConfig(hidden_layers=10_000, width=65_536)))
    refused = await next_answer(run)
    assert isinstance(refused, Refused)
    assert refused.setting == "hidden_layers"
    assert "GiB" in refused.problem
    assert len((await next_frame(run, at=10)).layers.grad_norm) == 4


async def test_a_killed_worker_is_a_fault_and_restart_begins_anew(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run, at=20)
    assert run.process_id
    os.kill(run.process_id, signal.SIGKILL)
    answer = await next_answer(run)
    while isinstance(answer, Frame):  # what the socket still held
        answer = await next_answer(run)
    assert isinstance(answer, Event)
    assert answer.kind == "fault"
    assert "killed by SIGKILL" in answer.message
    run.restart(SMALL)
    assert (await next_frame(run)).step == 0


async def test_the_last_words_of_a_worker_explain_its_end(start_run: StartRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    answer = await next_answer(start_run(SMALL))
    assert isinstance(answer, Event)
    assert "ended with code 1: " in answer.message
    assert "\n" not in answer.message


@pytest.mark.parametrize("paused", [False, True])
async def test_a_look_inside_is_the_engines_and_comes_also_while_paused(start_run: StartRun, paused: bool) -> None:
    run = start_run(SMALL)
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


async def test_a_layer_that_is_not_there_any_more_is_not_looked_into(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    run.inspect(99)
    run.inspect(0)
    while not isinstance(answer := await next_answer(run), Inspected):
        assert isinstance(answer, Frame)
    assert answer.inspection.layer == 0


@pytest.mark.parametrize("paused", [False, True])
async def test_every_single_change_is_tried_between_steps(start_run: StartRun, paused: bool) -> None:
    run = start_run(SMALL)
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


async def test_a_restart_ends_the_trials(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    run.try_changes()
    run.restart(replace(SMALL, network=replace(SMALL.network, activation="relu")))
    while not isinstance(answer := await next_answer(run), Header):
        assert isinstance(answer, Tried)
    for _ in range(5):
        assert isinstance(await next_answer(run), Frame)


async def test_closing_ends_the_worker(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    pid = run.process_id
    assert pid
    await run.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_worker_imports_no_screen() -> None:
    script = "import sys, vgtui.training.worker; print(sorted({'textual', 'plotext', 'rich'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize(
    ("width", "batch", "one"), [(64, 128, True), (128, 256, True), (256, 256, False), (1024, 256, False)]
)
def test_small_products_get_one_thread(width: int, batch: int, one: bool) -> None:
    threads = threads_for(NetworkConfig(width=width), TrainingConfig(batch_size=batch))
    assert threads == (1 if one else len(os.sched_getaffinity(0)))


SetSilence = Callable[[float], None]


@pytest.fixture
def set_silence(monkeypatch: pytest.MonkeyPatch) -> SetSilence:
    """From now on, a worker is silent after so many seconds."""
    return lambda seconds: monkeypatch.setattr("vgtui.training.client.SILENCE_SECONDS", seconds)


async def test_a_worker_that_hangs_is_silent_once_and_left_behind_by_a_restart(
    start_run: StartRun, set_silence: SetSilence
) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    hung = run.process_id
    assert hung
    os.kill(hung, signal.SIGSTOP)
    set_silence(0.2)
    while not isinstance(answer := await run.next_answer(), Silent):
        pass
    assert answer.seconds == 0.2
    question = asyncio.create_task(run.next_answer())
    done, _ = await asyncio.wait([question], timeout=1)
    assert not done
    set_silence(math.inf)  # the next one may begin as slowly as the machine lets it
    run.restart(SMALL)
    assert isinstance(await question, Header)
    assert (await next_frame(run)).step == 0
    assert run.process_id != hung


async def test_a_worker_that_answers_again_goes_on(start_run: StartRun, set_silence: SetSilence) -> None:
    run = start_run(SMALL)
    run.pause()
    assert (await next_frame(run)).step == 0
    assert run.process_id
    os.kill(run.process_id, signal.SIGSTOP)
    set_silence(0.2)
    assert isinstance(await run.next_answer(), Silent)
    os.kill(run.process_id, signal.SIGCONT)
    assert isinstance(await run.next_answer(), Pong)
    set_silence(math.inf)
    run.step_once()
    assert (await next_frame(run)).step == 1


@pytest.mark.timing
async def test_a_run_that_waits_or_takes_long_for_its_frame_is_not_silent(
    start_run: StartRun, set_silence: SetSilence
) -> None:
    run = start_run(SMALL)
    assert (await next_frame(run)).step == 0
    set_silence(1.0)
    far = asyncio.create_task(run.next_answer(at=10**9))
    done, _ = await asyncio.wait([far], timeout=3)
    assert not done
    run.pause()
    done, _ = await asyncio.wait([far], timeout=2)
    assert not done
    far.cancel()


async def test_a_closed_run_starts_no_other_worker(start_run: StartRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    far = asyncio.create_task(run.next_answer(at=10**9))
    await asyncio.sleep(0)  # it waits for its line
    monkeypatch.setattr("asyncio.create_subprocess_exec", None)  # whoever starts one now fails
    await run.close()
    with pytest.raises(asyncio.CancelledError):
        await far


async def test_a_run_that_is_closed_while_its_worker_starts_leaves_none() -> None:
    run = LiveRun(SMALL)
    question = asyncio.create_task(run.next_answer())
    await asyncio.sleep(0)  # it begins to start it
    await run.close()
    with pytest.raises(asyncio.CancelledError):
        await question
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
    assert "vgtui.training.worker" not in children


async def test_a_change_that_keeps_the_weights_goes_on_at_its_step(start_run: StartRun) -> None:
    run = start_run(SMALL)
    run.train(until=30)
    before = await next_frame(run, at=30)
    run.restart(replace(SMALL, network=replace(SMALL.network, activation="tanh")), keep=True)
    after = await next_frame(run)
    assert after.step == 30
    assert after.layers.weight_norm.tolist() == before.layers.weight_norm.tolist()
    assert after.loss != before.loss
    run.train(until=31)
    assert (await next_frame(run)).step == 31


async def test_closing_a_run_whose_process_has_just_gone_raises_nothing(
    start_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    process = run.process_id
    assert process
    os.kill(process, signal.SIGKILL)
    while is_there(process):  # until asyncio has seen it off
        await asyncio.sleep(0.01)
    # as on a busy machine, where the process leaves between the end of the patience and the kill
    monkeypatch.setattr("vgtui.training.client.PATIENCE_SECONDS", 0)
    await run.close()


async def test_a_process_that_cannot_be_started_is_a_fault_and_can_be_tried_again(start_run: StartRun) -> None:
    run = start_run(SMALL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
    try:
        answer = await run.next_answer()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(answer, Event) and answer.kind == "fault"
    assert answer.message == "the training process cannot be started: Too many open files"
    run.restart(SMALL)
    assert (await next_frame(run)).step == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_restart_gives_the_memory_of_the_old_run_back_first(start_run: StartRun) -> None:
    settings = RunSettings(NetworkConfig(hidden_layers=4, width=2048), TrainingConfig(batch_size=16))
    run = start_run(settings)
    run.pause()
    await next_frame(run)
    assert run.process_id
    before = peak_memory(run.process_id)
    run.restart(settings)
    await next_frame(run)
    assert peak_memory(run.process_id) < 1.2 * before


def peak_memory(process: int) -> int:
    """Of a process so far, in kB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


async def test_a_change_that_is_refused_leaves_the_run_as_it_was(start_run: StartRun) -> None:
    run = start_run(SMALL)
    run.pause()
    await next_frame(run)
    run.restart(replace(SMALL, network=NetworkConfig(10_000, 65_536)))
    refused = await run.next_answer()
    assert isinstance(refused, Refused) and "need about" in refused.problem
    run.step_once()
    assert (await next_frame(run)).step == 1


async def test_what_two_files_of_one_name_hold_is_told_apart(start_run: StartRun, tmp_path: Path) -> None:
    runs = []
    for name, classes in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        rows = "".join(f"{n},{n % classes}\n" for n in range(60))
        (tmp_path / name / "x.csv").write_text(f"size,label\n{rows}")
        runs.append(replace(SMALL, dataset=str(tmp_path / name / "x.csv")))
    run = start_run(runs[0])
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


async def test_no_answer_of_a_run_that_was_left_is_given(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    other = replace(SMALL, network=replace(SMALL.network, hidden_layers=5))
    run.inspect(1)
    run.try_changes()
    run.restart(other)
    answers: list[Answer] = []
    while not (answers and isinstance(answers[-1], Frame)):
        answers.append(await run.next_answer())
    assert [type(answer) for answer in answers] == [Header, Frame]
