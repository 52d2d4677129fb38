"""`vgtui run`: the same training process as the dashboard's, written to a file or a pipe."""

import asyncio
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from engine.errors import UsageError
from vgtui.commands.progress import Advance, showing_progress
from vgtui.commands.report import ReportWriter, TableWriter
from vgtui.commands.writers import CsvWriter, FrameWriter, JsonLinesWriter
from vgtui.recordings.frames import Event, Frame, Header
from vgtui.training.client import LiveRun
from vgtui.training.protocol import Refused
from vgtui.training.settings import RunSettings

FORMATS = ("table", "jsonl", "csv")
REPORT_STEPS = 200
FAULT_EXIT = 1

_WRITERS: dict[str, type[FrameWriter]] = {
    "table": TableWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    "report": ReportWriter,
}


def run(settings: RunSettings, steps: int, every: int, output: str, format_name: str) -> int:
    """Train `steps` steps and write the frames at 0, every, 2·every … steps. Returns the exit code.

    Raises UsageError for an output that cannot be written or settings that cannot be had.
    """
    with (
        _opened(output, format_name) as file,
        showing_progress(steps, "steps", quiet=output == "-" and sys.stdout.isatty()) as advance,
    ):
        return asyncio.run(_run(settings, steps, every, _WRITERS[format_name](file), advance))


async def _run(settings: RunSettings, steps: int, every: int, writer: FrameWriter, advance: Advance) -> int:
    source = LiveRun(settings, validate=True)
    received = _cancel_on_signals()
    try:
        for target in [*range(0, steps, every), steps]:
            source.train(until=target)
            while not isinstance(answer := await source.next_answer(at=target), Frame):
                match answer:
                    case Header():
                        writer.header(answer)
                    case Refused():
                        raise UsageError(answer.setting, answer.problem)
                    case Event(kind="fault"):
                        sys.stderr.write(f"vgtui: {answer.message}\n")
                        return FAULT_EXIT
            writer.frame(answer)
            advance(answer.step)
        writer.close()
    except asyncio.CancelledError:
        return 128 + received[0]
    finally:
        await source.close()
    return 0


def _cancel_on_signals() -> list[int]:
    """Let the signals that end a program cancel the running task; the list returned tells which came."""
    task = asyncio.current_task()
    assert task
    received: list[int] = []

    def cancel(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, cancel, number)
    return received


@contextmanager
def _opened(output: str, format_name: str) -> Iterator[IO[str]]:
    if output == "-":
        if format_name in ("jsonl", "csv") and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file format, whatever the locale
        yield sys.stdout
        sys.stdout.flush()
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(output, "w", encoding="utf-8", newline="\n"))
        except OSError as error:
            raise UsageError("output", f"{output} cannot be written: {error.strerror}") from error
        yield file
