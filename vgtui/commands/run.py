"""`vgtui run`: the same training process as the dashboard's, written to a file or a pipe."""

import argparse
import asyncio
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from engine.errors import DISK_FAULTS, UsageError, unknown_name
from vgtui.arguments import add_overwrite_option, add_run_options, check_least, settings_of, whole
from vgtui.commands.progress import Advance, is_pipe, showing_progress
from vgtui.commands.text_report import ReportWriter, TableWriter
from vgtui.commands.until import NAMES, Bound
from vgtui.commands.writers import CsvWriter, FrameWriter, JsonLinesWriter
from vgtui.output_files import OutputFile, check_free, is_regular, open_output
from vgtui.recordings.frames import Event, Frame, Header
from vgtui.terminal import tell
from vgtui.training.client import LiveRun
from vgtui.training.protocol import Refused, Resumed, Save, Saved, Silent
from vgtui.training.settings import RunSettings
from vgtui.unused_options import tell_unused, unused, unused_in_run

DESCRIPTION = "Train without a screen and write frames."
EXAMPLES = """\
examples:
  vgtui run --steps 500                                     a table, then the report
  vgtui run --steps 1000 --every 10 --output run.jsonl      every tenth step to a file
  vgtui run --steps 200 --activation relu --format csv > relu.csv
  vgtui run --steps 100 --format jsonl | tail -1 | jq .verdict.message
  vgtui run --steps 2000 --batch-norm --until accuracy=0.95 || echo "it does not learn"
  vgtui run --steps 100000 --output long.jsonl --checkpoint long.npz --resume
                                                            stopped and called again, it goes on

exit codes: 0; 1 a fault of the run; 2 wrong usage; 3 --until was not reached; 128 + n a signal."""
FORMATS = ("table", "jsonl", "csv")
REPORT_STEPS = 200
FAULT_EXIT = 1
UNMET_EXIT = 3
STDOUT = "-"

_WRITERS: dict[str, type[FrameWriter]] = {
    "table": TableWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    "report": ReportWriter,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How far to train, with a frame each `every` steps, and a checkpoint each `save_every` where there is a file.

    until: ends it sooner, at the first frame that meets all of them. resume: go on from the checkpoint, if it is there.
    """

    steps: int
    every: int
    until: tuple[Bound, ...] = ()
    checkpoint: str | None = None
    save_every: int = 0
    resume: bool = False

    def stops(self, begin: int) -> Iterator[int]:
        """The steps at which there is something to do, from `begin` on."""
        step = begin
        yield step
        while step < self.steps:
            step = min(self.steps, *(step - step % each + each for each in (self.every, self.save_every) if each))
            yield step

    def shows(self, step: int) -> bool:
        return step == self.steps or step % self.every == 0

    def next_frame(self, step: int) -> int:
        """The first step from this one on with a frame."""
        return next(later for later in self.stops(step) if self.shows(later))

    def saves(self, step: int) -> bool:
        return bool(self.save_every) and (step == self.steps or step % self.save_every == 0)


class _Fault(Exception):
    """The training process is gone; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--steps", type=whole, required=True, metavar="N", help="train N steps")
    group.add_argument("--every", type=whole, metavar="K", help="a frame at the steps 0, K, 2K … N (default: N/10)")
    group.add_argument(
        "--output", "-o", default="-", metavar="FILE", help="where to; - is standard output (default: -)"
    )
    group.add_argument(
        "--format", metavar="NAME", help=f"{', '.join(FORMATS)} (default: by the ending of FILE, else table)"
    )
    add_overwrite_option(group)
    group = parser.add_argument_group("ending and going on")
    group.add_argument(
        "--until",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"end at the first frame with it, else exit with 3: {', '.join(NAMES)}; several: all of them",
    )
    group.add_argument("--checkpoint", metavar="FILE", help="keep the state of the run in this .npz")
    group.add_argument("--checkpoint-every", type=whole, metavar="K", help="each K steps (default: N/10)")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from --checkpoint where it is there, bit for bit as if never stopped",
    )
    add_run_options(parser)


def call(chosen: argparse.Namespace) -> int:
    check_least("steps", chosen.steps, 0)
    check_least("every", chosen.every, 1)
    check_least("checkpoint_every", chosen.checkpoint_every, 1)
    for name in ("resume", "checkpoint_every"):
        if getattr(chosen, name) and chosen.checkpoint is None:
            raise UsageError(name, "needs --checkpoint FILE, which says where")
    if chosen.checkpoint is not None:
        _check_checkpoint(chosen)
    if chosen.output.endswith(".gz"):
        problem = f"{chosen.output} would not be compressed; take --format jsonl --output - | gzip > {chosen.output}"
        raise UsageError("output", problem)
    name = chosen.format or next((f for f in FORMATS if chosen.output.endswith(f".{f}")), "table")
    if name not in FORMATS:
        raise unknown_name("format", "format", name, FORMATS)
    tenth = max(1, chosen.steps // 10)
    plan = Plan(
        steps=chosen.steps,
        every=chosen.every or tenth,
        until=Bound.all_of(chosen.until),
        checkpoint=chosen.checkpoint,
        save_every=(chosen.checkpoint_every or tenth) if chosen.checkpoint else 0,
        resume=chosen.resume,
    )
    settings = settings_of(chosen)
    tell_unused(unused_in_run(chosen, settings))
    tell_unused(_unused(chosen))
    return run(settings, plan, chosen.output, name, chosen.overwrite)


def _unused(chosen: argparse.Namespace) -> Iterator[UsageError]:
    if chosen.every is not None and chosen.every > chosen.steps:
        yield unused("--every", f"above --steps {chosen.steps}: there are frames of the first and the last step")
    if chosen.checkpoint_every is not None and chosen.checkpoint_every > chosen.steps:
        yield unused("--checkpoint-every", f"above --steps {chosen.steps}: there is a checkpoint at the end")
    if chosen.overwrite and chosen.output == STDOUT and not chosen.checkpoint:
        yield unused("--overwrite", "without a file to write")


def _check_checkpoint(chosen: argparse.Namespace) -> None:
    """Raises UsageError for a checkpoint that would take the place of something else."""
    path = chosen.checkpoint
    for name in (path, chosen.output):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            problem = f"{name!r} is not the name of a file in UTF-8, which a checkpoint can hold; rename the file"
            raise UsageError("checkpoint", problem) from error
    if not os.access(Path(path).parent, os.W_OK):
        raise UsageError("checkpoint", f"{path} cannot be written: its folder is not there, or takes no file")
    if os.path.exists(path) and not is_regular(path):
        raise UsageError("checkpoint", f"{path} is not a regular file, which is what a checkpoint takes")
    if chosen.output != STDOUT and os.path.realpath(path) == os.path.realpath(chosen.output):
        raise UsageError("checkpoint", f"{path} is the output too; it takes a file of its own")
    if not chosen.resume:
        check_free("checkpoint", path, chosen.overwrite)


def run(settings: RunSettings, plan: Plan, output: str, format_name: str, overwrite: bool = False) -> int:
    """Train as planned and write the frames. Returns the exit code.

    Raises UsageError for an output that cannot be written or settings that cannot be had.
    """
    begun = plan.checkpoint if plan.resume and plan.checkpoint and os.path.exists(plan.checkpoint) else None
    source = LiveRun(settings, validate=True, checkpoint=begun)
    try:
        with (
            _opened(output, format_name, plan, overwrite, begun is not None) as sink,
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
    """Train as planned, without checkpoints, and give the frames to a writer that needs no file. Returns the exit code.

    Raises UsageError for settings that cannot be had.
    """
    with showing_progress("training", plan.steps, "steps", quiet=False) as advance:
        sink = _Sink(sys.stdout)
        return asyncio.run(_run(LiveRun(settings, validate=True), plan, False, writer, sink, advance))


@dataclass(slots=True)
class _Sink:
    """Where the frames go. opened: the file, where it is one. kept: so many of its bytes stay, the header too."""

    file: IO[str]
    opened: OutputFile | None = None
    overwrite: bool = False
    kept: int = 0

    @property
    def name(self) -> str:
        return self.opened.path if self.opened else STDOUT

    @property
    def size(self) -> int:
        """In bytes, all that was written; 0 where nobody can go back."""
        return self.opened.size if self.opened else 0

    def keep(self, begun: Resumed) -> None:
        """Of a file that a checkpoint was written for, what was there by then stays. Raises UsageError if it is not."""
        if not self.opened or self.opened.target is None or self.opened.is_new:
            return
        if os.path.realpath(begun.output) != os.path.realpath(self.name):
            self.opened.check_free("output", self.overwrite)
        elif self.size >= begun.output_bytes:
            self.kept = begun.output_bytes
        elif not self.overwrite:
            raise UsageError(
                "output",
                f"{self.name} has {self.size} bytes, and had {begun.output_bytes} when the checkpoint was written; "
                "name a new file for the frames from there on, or replace it by --overwrite",
            )

    def begin(self) -> None:
        """Take away what is not kept: not before the run is there, so that a wrong word costs no file."""
        if self.opened:
            self.opened.cut(self.kept)


async def _run(source: LiveRun, plan: Plan, resuming: bool, writer: FrameWriter, sink: _Sink, advance: Advance) -> int:
    received = _cancel_on_signals()
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
                _tell_problem(await _next(source, plan.next_frame(step), Saved))
            if plan.shows(step):
                source.train(until=step)
                frame = await _next(source, step, Frame)
                writer.frame(frame)
                if plan.until and all(bound.is_met(frame) for bound in plan.until):
                    break
            advance(step)
        writer.close()
    except _Fault as fault:
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


async def _begin(source: LiveRun, plan: Plan, sink: _Sink) -> tuple[int, Header]:
    """Step 0 and the header. There is a checkpoint of it ahead of the first line: the two always belong together."""
    source.pause()
    if not plan.checkpoint:
        return 0, await _next(source, 0, Header)
    header = await _next(source, plan.steps + 1, Header)
    source.save(Save(plan.checkpoint, 0, sink.name, 0))
    _tell_problem(await _next(source, plan.steps + 1, Saved))
    source.ask(0)
    return 0, header


async def _resume(source: LiveRun, plan: Plan, sink: _Sink) -> tuple[int, Header]:
    """The step at which the run goes on, with its first frame asked for, and the header.

    The worker alone reads the checkpoint, once: another process may be writing a later one just now.
    """
    source.pause()
    begun = await _next(source, plan.steps, Resumed)
    if begun.step > plan.steps:
        raise UsageError(
            "steps", f"{plan.steps} is before step {begun.step}, where {plan.checkpoint} is; it takes more"
        )
    sink.keep(begun)
    source.ask(plan.next_frame(begun.step))
    return begun.step, await _next(source, plan.next_frame(begun.step), Header)


def _tell_problem(saved: Saved) -> None:
    if saved.problem:
        tell(f"--checkpoint: {saved.problem}; the training goes on")


Wanted = TypeVar("Wanted", Header, Frame, Saved, Resumed)


async def _next(source: LiveRun, at: int, wanted: type[Wanted]) -> Wanted:
    """The next answer of this kind; the frame that is asked for meanwhile is that of step `at`."""
    while not isinstance(answer := await source.next_answer(at), wanted):
        match answer:
            case Refused():
                raise UsageError(answer.setting, answer.problem)
            case Event(kind="fault"):
                raise _Fault(answer.message)
            case Silent(seconds):
                tell(f"no answer from the training process for {seconds:.0f} s; it is waited for")
    return answer


def _cancel_on_signals() -> list[int]:
    """Let the signals that end a program cancel the running task; the list returned tells which came."""
    task = asyncio.current_task()
    assert task
    received: list[int] = []

    def cancel(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in ending_signals():
        asyncio.get_running_loop().add_signal_handler(number, cancel, number)
    return received


def ending_signals() -> list[signal.Signals]:
    """The signals that end a program, but for those that are ignored, as nohup has it."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in ending if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def _opened(output: str, format_name: str, plan: Plan, overwrite: bool, resuming: bool) -> Iterator[_Sink]:
    """The output, with nothing taken away that is there."""
    if output == STDOUT:
        if format_name in ("jsonl", "csv") and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file format, whatever the locale
        yield _Sink(sys.stdout)
        sys.stdout.flush()
        return
    opened = open_output("output", output, overwrite, resumes=resuming)
    try:
        with open(opened.descriptor, "w", encoding="utf-8", newline="\n", closefd=False) as file:
            yield _Sink(file, opened, overwrite)
    finally:
        opened.close()
