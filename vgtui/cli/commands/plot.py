"""`vgtui plot`: the chart of a sweep, as characters for a terminal or a pipe."""

import argparse
import shutil
import sys

from engine.errors import UsageError
from vgtui.cli.arguments import offer, value_of
from vgtui.sweeps.rows import read_sweep
from vgtui.sweeps.table import METRICS, Metric, Table, find_metric, make_table
from vgtui.terminal.capabilities import has_colour, tell

DESCRIPTION = "Show a sweep, also one that is still running: a heat map over two options, a line over one."
EXAMPLES = """\
examples:
  vgtui plot sweep.jsonl
  vgtui plot sweep.jsonl --metric gradient_ratio_start
  vgtui plot sweep.jsonl --by width,activation
  vgtui plot sweep.jsonl --metric activation_rms        a line for each layer, over the first option that varies

The names from grad_norm on are numbers of every layer at the last step. A coordinate check looks whether they keep
their size over the width: docs/coordinate_check.md."""
DEFAULT_METRIC = "validation_accuracy"
MAX_COLUMNS = 120
MAX_VALUES = 400
DEFAULT_THEME = "dark"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file of the sweep and the options of its chart."""
    parser.add_argument("file", metavar="FILE", help="what vgtui sweep --output wrote; - is standard input")
    add_chart_options(parser)


def add_chart_options(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add --metric and --by, which say what the chart of a sweep shows."""
    action = parser.add_argument(
        "--metric",
        metavar="NAME",
        help=f"what to show: {', '.join(METRICS)} (default: {DEFAULT_METRIC})",
    )
    offer(action, lambda: METRICS)
    parser.add_argument("--by", metavar="X[,Y]", help="over these of the options that vary (default: the first two)")


def metric_of(chosen: argparse.Namespace) -> Metric:
    """The metric that --metric names.

    Raises:
        UsageError: There is no such metric.
    """
    return find_metric(DEFAULT_METRIC if chosen.metric is None else chosen.metric)


def names_of(chosen: argparse.Namespace) -> list[str]:
    """The options that --by names.

    Raises:
        UsageError: They are not one or two different ones.
    """
    names = [name for name in (chosen.by or "").split(",") if name]
    if len(names) > 2 or len(set(names)) < len(names):
        raise UsageError("by", f'"{chosen.by}" is not one or two different options, as in --by width,activation')
    return names


def call(chosen: argparse.Namespace) -> int:
    """Print the chart of the sweep, and say how many of its runs are there if not all are."""
    metric, by = metric_of(chosen), names_of(chosen)
    sweep, rows = read_sweep(chosen.file)
    table = make_table(sweep, rows, metric, by)
    print_table(table, value_of(chosen, "theme"))
    if len(rows) < sweep.size:
        tell(f"{len(rows)} of {sweep.size} runs are there")
    return 0


def print_table(table: Table | None, theme: str | None) -> None:
    """Print the chart, in the theme's colours where stdout is a terminal that wants them."""
    if table is None:
        print("nothing varies, so there is no chart: see vgtui sweep --vary")
        return
    if max(table.values.shape) > MAX_VALUES:
        print(
            f"a terminal shows {MAX_VALUES} values of an option at most: vgtui export FILE -o chart.png draws them all"
        )
        return
    from rich.console import Console
    from rich.text import Text

    from vgtui.charts.sweep_chart import LINE, sweep_chart
    from vgtui.user.themes import find_palette

    palette = find_palette(theme or DEFAULT_THEME)

    def colour(style: str) -> str:
        if style in ("", LINE):
            return palette.series.measured if style else ""
        return palette.levels[round(float(style) * (len(palette.levels) - 1))]

    console = Console(
        no_color=not has_colour(), color_system="auto" if sys.stdout.isatty() else None, highlight=False, soft_wrap=True
    )
    columns = min(shutil.get_terminal_size((80, 24)).columns, MAX_COLUMNS)
    for row in sweep_chart(table, columns):
        text = Text()
        for cell in row:
            text.append(cell.character, style=colour(cell.style))
        text.rstrip()
        console.print(text, end="\n")
