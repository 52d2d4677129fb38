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
from pathlib import Path

import pytest

from engine.config import NetworkConfig, TrainingConfig
from engine.threads import threads_for
from tests.sources.answers import SMALL, assert_waits, next_answer, next_frame
from vgtui.sources.live import LiveRun
from vgtui.wire.frames import Event, Frame, Header
from vgtui.wire.protocol import Pong, Silent
from vgtui.wire.run_settings import RunSettings

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


def is_there(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


async def test_a_run_begins_with_its_header_and_the_frame_at_initialization(start_run: StartRun) -> None:
    run = start_run(SMALL)
    header = await next_answer(run)
    assert isinstance(header, Header)
    assert header.network == SMALL.network
    assert [layer.name for layer in header.layers] == ["layers.0", "layers.1", "layers.2", "layers.3"]
    frame = await next_frame(run)
    assert frame.step == 0
    assert frame.layers.update_ratio.tolist() == [None] * 4


async def test_a_killed_worker_is_a_fault_and_restart_begins_anew_and_pauses_where_it_did(start_run: StartRun) -> None:
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
    run.step_once()  # which pauses, also beyond the death of the worker
    await next_frame(run)
    assert run.process_id
    os.kill(run.process_id, signal.SIGKILL)
    while not isinstance(await next_answer(run), Event):
        pass
    run.restart(SMALL)
    assert (await next_frame(run)).step == 0
    await assert_waits(run)


async def test_the_last_words_of_a_worker_explain_its_end(start_run: StartRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    answer = await next_answer(start_run(SMALL))
    assert isinstance(answer, Event)
    assert "ended with code 1: " in answer.message
    assert "\n" not in answer.message


async def test_closing_ends_the_worker(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    pid = run.process_id
    assert pid
    await run.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_worker_imports_no_screen() -> None:
    script = "import sys, vgtui.worker.main; print(sorted({'textual', 'plotext', 'rich'} & set(sys.modules)))"
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
    return lambda seconds: monkeypatch.setattr("vgtui.sources.live.SILENCE_SECONDS", seconds)


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
    done, _ = await asyncio.wait([far], timeout=2)
    assert not done
    run.pause()
    done, _ = await asyncio.wait([far], timeout=1.5)
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


async def test_a_question_that_waits_for_a_restart_ends_with_the_run(start_run: StartRun) -> None:
    run = start_run(SMALL)
    await next_frame(run)
    assert run.process_id
    os.kill(run.process_id, signal.SIGKILL)
    while not isinstance(await next_answer(run), Event):
        pass
    question = asyncio.create_task(run.next_answer())
    await asyncio.sleep(0)  # it waits for a restart
    await run.close()
    with pytest.raises(asyncio.CancelledError):
        await question


async def test_a_run_that_is_closed_while_its_worker_starts_leaves_none() -> None:
    run = LiveRun(SMALL)
    question = asyncio.create_task(run.next_answer())
    await asyncio.sleep(0)  # it begins to start it
    await run.close()
    with pytest.raises(asyncio.CancelledError):
        await question
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
    assert "vgtui.worker.main" not in children


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
    monkeypatch.setattr("vgtui.sources.live.PATIENCE_SECONDS", 0)
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
