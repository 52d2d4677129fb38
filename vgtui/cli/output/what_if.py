"""What if without a screen: each change of a run is tried on its own, and the table of results is written."""

import asyncio
import math
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from engine.changes import AS_IT_IS, Probe, single_changes
from engine.errors import DISK_FAULTS
from engine.progress import GAIN
from vgtui.cli.exit_codes import FAULT_EXIT
from vgtui.cli.output.columns import Columns
from vgtui.cli.output.sink import STDOUT, Sink, opened_sink
from vgtui.cli.output.text_report import what_is_trained
from vgtui.cli.output.training import FaultError, cancel_on_signals, next_of_kind
from vgtui.model.options import words_for
from vgtui.recordings.tables import write_csv
from vgtui.sources.live import LiveRun
from vgtui.terminal.capabilities import tell
from vgtui.terminal.progress import Advance, is_pipe, showing_progress
from vgtui.terminal.text import UNKNOWN, column_number, norm_text, plain
from vgtui.wire.frames import Header, encode_line
from vgtui.wire.protocol import Tried
from vgtui.wire.run_settings import RunSettings

FIELDS = ("setting", "value", "learns", "loss", "accuracy", "gradient_ratio", "update_ratio", "steps")
"""What is written of a change, by name."""
NO_STEP = 1
"""The step whose frame is asked for: a paused run never comes to it."""
LEARNS_WORDS = {True: "yes", False: "no", None: UNKNOWN}

Results = list[Tried]
Writer = Callable[[IO[str], Header, Results], None]


def try_changes(settings: RunSettings, steps: int, output: str, format_name: str, overwrite: bool = False) -> int:
    """Try each change of a run, and write what it does, best first.

    Args:
        settings: The run.
        steps: The updates of each trial.
        output: The path of the output, or - for standard output.
        format_name: A name of WRITERS.
        overwrite: Whether a file may be replaced.

    Returns:
        The exit code.

    Raises:
        UsageError: The output cannot be written, or the settings are not available.
    """
    total = steps * (1 + len(list(single_changes(settings.network, settings.training))))
    try:
        with opened_sink(output, format_name, overwrite, False) as sink:
            return asyncio.run(_run(LiveRun(settings), steps, total, WRITERS[format_name], sink))
    except OSError as error:
        if error.errno not in DISK_FAULTS or output == STDOUT:
            raise
        tell(f"--output: {output} cannot be written: {error.strerror}")
        return FAULT_EXIT


async def _run(source: LiveRun, steps: int, total: int, write: Writer, sink: Sink) -> int:
    """Collect the results, and write what there is of them also when it ends early."""
    received = cancel_on_signals()
    header: Header | None = None
    found: dict[int, Tried] = {}
    code = 0
    try:
        with showing_progress("trying changes", total, "steps", is_pipe(sink.file)) as advance:
            source.pause()
            header = await next_of_kind(source, NO_STEP, Header)
            await _collect(source, steps, found, advance)
    except FaultError as fault:
        tell(str(fault))
        code = FAULT_EXIT
    except asyncio.CancelledError:
        code = 128 + received[0]
    finally:
        await source.close()
    if header and found:
        sink.begin()
        write(sink.file, header, sorted(found.values(), key=lambda tried: tried.probe.rank))
    return code


async def _collect(source: LiveRun, steps: int, found: dict[int, Tried], advance: Advance) -> None:
    """Have the changes tried until there is nothing more to come."""
    source.try_changes(steps)
    done = False
    while not done:
        tried = await next_of_kind(source, NO_STEP, Tried)
        found[tried.number] = tried
        advance(sum(entry.steps for entry in found.values()))
        done = len(found) == tried.total and all(entry.steps == entry.of for entry in found.values())


def _write_table(file: IO[str], header: Header, results: Results) -> None:
    """For people: the run, what the columns mean, and a row a change."""
    guess = _guess(header)
    file.write(plain(f"{what_is_trained(header)}; {header.backend.name} {header.backend.dtype}") + "\n\n")
    file.write(
        f"Each change on its own, from its initialization, after {results[0].of} steps. It learns if its loss is at\n"
        f"least {100 * GAIN:.0f} % below that of guessing, {guess:.3f}. Gradient and update: those of layer 1 over\n"
        "those of the output layer, at initialization.\n\n"
    )
    names = [_change_words(entry.probe) for entry in results]
    table = Columns(f"<{max(map(len, names))}", *["<7", ">9", ">8", ">9"], ">9")
    file.write(table.row("change", "learns?", "loss", "accuracy", "gradient", "update") + "\n")
    for name, entry in zip(names, results, strict=True):
        probe = entry.probe
        cells = (
            LEARNS_WORDS[probe.learns(guess)],
            column_number(probe.loss, 4),
            UNKNOWN if probe.accuracy is None else f"{probe.accuracy:.3f}".replace("nan", "NaN"),
            norm_text(float(probe.gradient_ratio)),
            norm_text(float(probe.update_ratio)),
        )
        file.write(table.row(name, *cells) + "\n")


def _write_json_lines(file: IO[str], header: Header, results: Results) -> None:
    """The header of the run, then a line a change."""
    file.write(encode_line(header).decode())
    for fields in _fields(header, results):
        file.write(encode_line({"type": "tried", **fields}).decode())


def _write_csv(file: IO[str], header: Header, results: Results) -> None:
    """A row a change."""
    cells = ([_plain_number(value) for value in fields.values()] for fields in _fields(header, results))
    write_csv(file, [FIELDS, *cells])


WRITERS: Mapping[str, Writer] = {"table": _write_table, "jsonl": _write_json_lines, "csv": _write_csv}


def _fields(header: Header, results: Results) -> Iterable[dict[str, Any]]:
    """The FIELDS of each change; the run as it is has no setting, and None is unknown."""
    guess = _guess(header)
    for entry in results:
        probe = entry.probe
        learns = probe.learns(guess)
        values = (probe.setting or None, probe.value, learns, probe.loss, probe.accuracy)
        yield dict(zip(FIELDS, (*values, probe.gradient_ratio, probe.update_ratio, entry.steps), strict=True))


def _change_words(probe: Probe) -> str:
    """The option that makes the change."""
    return "as it is" if probe.setting == AS_IT_IS else shlex.join(words_for(probe.setting, probe.value))


def _guess(header: Header) -> float:
    assert header.dataset
    return math.log(header.dataset.classes)


def _plain_number(value: Any) -> Any:
    return float(value) if isinstance(value, float) else value
