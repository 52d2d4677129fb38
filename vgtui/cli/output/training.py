"""Training without a screen: the commands of a plan go to the worker, and its frames to a writer."""

import asyncio
import os
import sys
from typing import TypeVar

from engine.errors import DISK_FAULTS, UsageError
from vgtui.cli.exit_codes import FAULT_EXIT, UNMET_EXIT, ending_signals
from vgtui.cli.output.plan import Plan
from vgtui.cli.output.sink import STDOUT, Sink, opened_sink
from vgtui.cli.output.text_report import ReportWriter, TableWriter
from vgtui.cli.output.writers import CsvWriter, FrameWriter, JsonLinesWriter
from vgtui.sources.live import LiveRun
from vgtui.terminal.capabilities import tell
from vgtui.terminal.progress import Advance, is_pipe, showing_progress
from vgtui.wire.frames import Event, Frame, Header
from vgtui.wire.protocol import Refused, Resumed, Save, Saved, Silent, Tried
from vgtui.wire.run_settings import RunSettings

_WRITERS: dict[str, type[FrameWriter]] = {
    "table": TableWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    "report": ReportWriter,
}


class FaultError(Exception):
    """The training process is gone; the message says why."""


def train(settings: RunSettings, plan: Plan, output: str, format_name: str, overwrite: bool = False) -> int:
    """Train as planned and write the frames.

    Returns:
        The exit code.

    Raises:
        UsageError: The output cannot be written, or the settings are not available.
    """
    begun = plan.checkpoint if plan.resume and plan.checkpoint and os.path.exists(plan.checkpoint) else None
    source = LiveRun(settings, validate=True, checkpoint=begun)
    try:
        with (
            opened_sink(output, format_name, overwrite, begun is not None) as sink,
            showing_progress("training", plan.steps, "steps", sink.file.isatty() or is_pipe(sink.file)) as advance,
        ):
            writer = _WRITERS[format_name](sink.file)
            return asyncio.run(_run(source, plan, begun is not None, writer, sink, advance))
    except OSError as error:
        if error.errno not in DISK_FAULTS or output == STDOUT:
            raise
        tell(f"--output: {output} cannot be written: {error.strerror}")
        return FAULT_EXIT


def train_into(writer: FrameWriter, settings: RunSettings, plan: Plan) -> int:
    """Train as planned, without checkpoints, and give the frames to a writer that needs no file.

    Returns:
        The exit code.

    Raises:
        UsageError: The settings are not available.
    """
    with showing_progress("training", plan.steps, "steps", quiet=False) as advance:
        sink = Sink(sys.stdout)
        return asyncio.run(_run(LiveRun(settings, validate=True), plan, False, writer, sink, advance))


async def _run(source: LiveRun, plan: Plan, resuming: bool, writer: FrameWriter, sink: Sink, advance: Advance) -> int:
    received = cancel_on_signals()
    frame: Frame | None = None
    try:
        begin, header = await (_resume if resuming else _begin)(source, plan, sink)
        sink.begin()
        writer.header(header, begun=sink.kept > 0)
        for step in plan.stops(begin):
            if plan.checkpoint and plan.saves(step) and step > begin:
                # sent ahead of the training, and obeyed ahead of the frame: see training.worker
                source.save(Save(plan.checkpoint, step, sink.name, sink.size))
                source.train(until=step)
                _tell_problem(await next_of_kind(source, plan.next_frame(step), Saved))
            if plan.shows(step):
                source.train(until=step)
                frame = await next_of_kind(source, step, Frame)
                writer.frame(frame)
                if plan.until and all(bound.is_met(frame) for bound in plan.until):
                    break
            advance(step)
        writer.close()
    except FaultError as fault:
        tell(str(fault))
        return FAULT_EXIT
    except asyncio.CancelledError:
        return 128 + received[0]
    finally:
        await source.close()
    assert frame
    short = [bound.shortfall(frame) for bound in plan.until if not bound.is_met(frame)]
    if short:
        tell(f"--until: after {frame.step} steps {' and '.join(short)}")
        return UNMET_EXIT
    return 0


async def _begin(source: LiveRun, plan: Plan, sink: Sink) -> tuple[int, Header]:
    """Step 0 and the header. There is a checkpoint of it ahead of the first line: the two always belong together."""
    source.pause()
    if not plan.checkpoint:
        return 0, await next_of_kind(source, 0, Header)
    header = await next_of_kind(source, plan.steps + 1, Header)
    source.save(Save(plan.checkpoint, 0, sink.name, 0))
    _tell_problem(await next_of_kind(source, plan.steps + 1, Saved))
    source.ask(0)
    return 0, header


async def _resume(source: LiveRun, plan: Plan, sink: Sink) -> tuple[int, Header]:
    """The step at which the run goes on, with its first frame asked for, and the header.

    The worker alone reads the checkpoint, once: another process may be writing a later one just now.
    """
    source.pause()
    begun = await next_of_kind(source, plan.steps, Resumed)
    if begun.step > plan.steps:
        raise UsageError(
            "steps", f"{plan.steps} is before step {begun.step}, where {plan.checkpoint} is; it takes more"
        )
    sink.keep(begun)
    source.ask(plan.next_frame(begun.step))
    return begun.step, await next_of_kind(source, plan.next_frame(begun.step), Header)


def _tell_problem(saved: Saved) -> None:
    if saved.problem:
        tell(f"--checkpoint: {saved.problem}; the training goes on")


Wanted = TypeVar("Wanted", Header, Frame, Saved, Resumed, Tried)


async def next_of_kind(source: LiveRun, at: int, wanted: type[Wanted]) -> Wanted:
    """The next answer of this kind; the frame that is asked for meanwhile is that of step `at`.

    Raises:
        UsageError: The settings were refused.
        FaultError: The training process is gone.
    """
    while not isinstance(answer := await source.next_answer(at), wanted):
        match answer:
            case Refused():
                raise UsageError(answer.setting, answer.problem)
            case Event(kind="fault"):
                raise FaultError(answer.message)
            case Silent(seconds):
                tell(f"no answer from the training process for {seconds:.0f} s; it is waited for")
    return answer


def cancel_on_signals() -> list[int]:
    """Let the first signal that ends a program cancel the running task; the list returned tells which came.

    Further ones change nothing: the worker is being ended, and would be left alone.
    """
    task = asyncio.current_task()
    assert task
    received: list[int] = []

    def cancel(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in ending_signals():
        asyncio.get_running_loop().add_signal_handler(number, cancel, number)
    return received
