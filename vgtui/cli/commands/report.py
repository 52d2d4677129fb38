"""`vgtui report`: one HTML page of a run, a recording or a sweep, to be read without a network."""

import argparse
import sys
from pathlib import Path

from engine.errors import UsageError
from vgtui.cli.arguments import add_overwrite_option, add_run_options, check_least, settings_from_arguments, whole
from vgtui.cli.commands.plot import add_chart_options, metric_of, names_of
from vgtui.cli.output.plan import Plan
from vgtui.cli.output.sink import STDOUT
from vgtui.cli.output.training import train_into
from vgtui.cli.recorded import add_tag_option, open_recorded
from vgtui.cli.unused_options import (
    tell_unused,
    unused,
    unused_chart_options,
    unused_in_run,
    unused_run_options,
)
from vgtui.files.outputs import check_free, check_other, is_regular, telling_faults, writing_whole
from vgtui.reports.page import check_installed, run_page, sweep_page
from vgtui.reports.summary import RunSummary, read_summaries
from vgtui.sweeps.rows import is_sweep, read_sweep
from vgtui.sweeps.table import make_table
from vgtui.terminal.capabilities import tell
from vgtui.wire.frames import Frame, Header

DESCRIPTION = "Write one HTML page of a recording, a sweep, or a run that is trained for it."
EXAMPLES = """\
examples:
  vgtui report run.jsonl                                   a page beside it, run.html
  vgtui report sweep.jsonl --metric depth_scale -o sweep.html
  vgtui report --steps 500 --activation relu --init he_normal -o relu.html

A page needs matplotlib and Jinja2: pip install 'vgtui[report]'."""
DEFAULT_NAME = "vgtui-report.html"
FRAMES = 200
"""Of a run that is trained for its page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file, the page, and the options of a sweep and of a run."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a recording, a run of TensorBoard or a sweep, - is standard input; without one, a run is trained",
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="the page (default: FILE.html beside it); - is stdout")
    add_overwrite_option(parser)
    parser.add_argument("--steps", type=whole, metavar="N", help="of a run that is trained for it (default: 500)")
    add_tag_option(parser)
    add_chart_options(parser.add_argument_group("of a sweep"))
    add_run_options(parser)


def call(chosen: argparse.Namespace) -> int:
    """Write the page of a recording or a sweep, or train a run and write its page."""
    check_least("steps", chosen.steps, 0)
    check_installed()  # told before anything is trained
    metric, by = metric_of(chosen), names_of(chosen)
    output = chosen.output or _beside(chosen.file)
    if chosen.file is None:
        _check_free(output, chosen.overwrite)
        summary = RunSummary()
        steps = 500 if chosen.steps is None else chosen.steps
        settings = settings_from_arguments(chosen)
        tell_unused(unused_in_run(chosen, settings))
        tell_unused(unused_chart_options(chosen, "here: it is for a sweep"))
        if chosen.tag:
            tell_unused([unused("--tag", "without event files to read")])
        code = train_into(_Teller(summary), settings, Plan(steps, every=max(1, steps // FRAMES)))
        if code:
            return code
        page = run_page(summary)
    elif chosen.steps is not None:
        raise UsageError("steps", f"is of a run that is trained for its page, and {chosen.file} has its own")
    else:
        with open_recorded(chosen) as file:
            swept = is_sweep(file)
            if chosen.output:
                _check_free(output, chosen.overwrite)
            tell_unused(unused_run_options(chosen, f"here: {file.path} was trained already"))
            if swept:
                sweep, rows = read_sweep(file)
                page = sweep_page(sweep, rows, make_table(sweep, rows, metric, by))
            else:
                tell_unused(unused_chart_options(chosen, f"here: it is for a sweep, and {file.path} is not one"))
                page = run_page(*read_summaries(file))
            check_other("output", output, chosen.file, "reported")
    _write(page, output, chosen.overwrite)
    return 0


def _check_free(output: str, overwrite: bool) -> None:
    """Tell what cannot be replaced before anything is trained, or read to its end. Raises UsageError."""
    if output != STDOUT:
        check_free("output", output, overwrite)
    elif overwrite:
        tell_unused([unused("--overwrite", "without a file to write")])


class _Teller:
    """A frame writer that gives everything to a summary."""

    def __init__(self, summary: RunSummary) -> None:
        self._summary = summary

    def header(self, header: Header, begun: bool = False) -> None:
        self._summary.take(header)

    def frame(self, frame: Frame) -> None:
        self._summary.take(frame)

    def close(self) -> None:
        pass


def _beside(file: str | None) -> str:
    """Where a page goes without --output: beside the file, if that is a regular one."""
    if file is None or not is_regular(file):
        return DEFAULT_NAME
    path = Path(file)
    return str((path.with_suffix("") if path.suffix == ".gz" else path).with_suffix(".html"))


def _write(page: str, output: str, overwrite: bool) -> None:
    if output == STDOUT:
        with telling_faults("output", STDOUT):
            sys.stdout.write(page)
            sys.stdout.flush()
        return
    with writing_whole("output", output, overwrite) as file:
        file.write(page.encode())
    tell(f"the page is {output}")
