"""`vgtui report`: one HTML page of a run, a recording or a sweep, to be read without a network."""

import argparse
import sys
from pathlib import Path

from engine.errors import UsageError, unwritable
from vgtui.arguments import add_run_options, check_least, settings_of, whole
from vgtui.commands.plot import add_chart_options, names_of
from vgtui.commands.run import STDOUT, Plan, train_into
from vgtui.recordings.frames import Frame, Header
from vgtui.reports.figures import check_installed
from vgtui.reports.page import run_page, sweep_page
from vgtui.reports.story import Story, read_stories
from vgtui.sweeps.rows import is_sweep, read_sweep
from vgtui.sweeps.table import find_metric, make_table
from vgtui.terminal import tell

DESCRIPTION = "Write one HTML page of a recording, a sweep, or a run that is trained for it."
EXAMPLES = """\
examples:
  vgtui report run.jsonl                                   a page beside it, run.html
  vgtui report sweep.jsonl --metric depth_scale -o sweep.html
  vgtui report --steps 500 --activation relu --init he_normal -o relu.html

The pictures need matplotlib: pip install 'vgtui[report]'."""
DEFAULT_NAME = "vgtui-report.html"
FRAMES = 200
"""Of a run that is trained for its page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="a recording or a sweep; without one, a run is trained")
    parser.add_argument("--output", "-o", metavar="FILE", help="the page (default: FILE.html beside it); - is stdout")
    parser.add_argument("--steps", type=whole, metavar="N", help="of a run that is trained for it (default: 500)")
    add_chart_options(parser.add_argument_group("of a sweep"))
    add_run_options(parser)


def call(chosen: argparse.Namespace) -> int:
    check_least("steps", chosen.steps, 0)
    check_installed()  # told before anything is trained
    metric, by = find_metric(chosen.metric), names_of(chosen)
    if chosen.file is None:
        story = Story()
        steps = 500 if chosen.steps is None else chosen.steps
        code = train_into(_Teller(story), settings_of(chosen), Plan(steps, every=max(1, steps // FRAMES)))
        if code:
            return code
        page = run_page(story)
    elif chosen.steps is not None:
        raise UsageError("steps", f"is of a run that is trained for its page, and {chosen.file} has its own")
    elif is_sweep(chosen.file):
        sweep, rows = read_sweep(chosen.file)
        page = sweep_page(sweep, rows, make_table(sweep, rows, metric, by))
    else:
        page = run_page(*read_stories(chosen.file))
    _write(page, chosen.output or _beside(chosen.file))
    return 0


class _Teller:
    """A frame writer that gives everything to a story."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def header(self, header: Header, begun: bool = False) -> None:
        self._story.take(header)

    def frame(self, frame: Frame) -> None:
        self._story.take(frame)

    def close(self) -> None:
        pass


def _beside(file: str | None) -> str:
    if file is None:
        return DEFAULT_NAME
    path = Path(file)
    return str((path.with_suffix("") if path.suffix == ".gz" else path).with_suffix(".html"))


def _write(page: str, output: str) -> None:
    if output == STDOUT:
        sys.stdout.write(page)
        return
    try:
        Path(output).write_text(page, encoding="utf-8")
    except OSError as error:
        raise unwritable("output", output, error) from error
    tell(f"the page is {output}")
