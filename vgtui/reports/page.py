"""One HTML file of a run or a sweep: everything is inside it, so that it opens anywhere, without a network.

This module says what is in a page; `page.html.j2` says how it is put there. Jinja2 escapes every value.
"""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import vgtui
from engine.config import BACKEND_NAMES
from engine.diagnosis import layer_label
from engine.theory import Prediction
from engine.verdict import Verdict
from vgtui.model.cure_options import options_of
from vgtui.model.description import model_words
from vgtui.model.differences import settings_from_header, switch_text
from vgtui.model.health import health_of
from vgtui.model.options import flags_of, option_of, values_of
from vgtui.model.quantities import entry
from vgtui.reports import figures
from vgtui.reports.figures import as_svg, draw, gradient_by_layer, heat_map, loss, sweep_chart
from vgtui.reports.summary import RunSummary
from vgtui.sweeps.grid import Sweep
from vgtui.sweeps.rows import RESULTS, Row
from vgtui.sweeps.table import METRICS, Table, make_table
from vgtui.terminal.text import plain, short_number
from vgtui.user.defaults import read_defaults
from vgtui.user.extras import is_installed, missing

if TYPE_CHECKING:
    from jinja2 import Template

FIELDS = {
    "grad_norm": "‖∂E/∂W‖",
    "delta_norm": "‖∂E/∂z‖",
    "derivative_rms": "φ′ rms",
    "activation_mean": "output mean",
    "activation_std": "output sd",
}
"""What the table of layers has, and how it is headed."""
FLAT = 1e6
"""A depth scale from here on is that of a gradient which does not change."""
MAX_ROWS = 1000
"""Of a sweep, in the page; all of them are in its file."""
NO_REASON = "for an unknown reason"
SWEEP_METRICS = ("gradient_ratio_start", "depth_scale")
"""What is shown of a sweep beside the metric that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunPart:
    """What the page says of a run. Figures are SVG elements; "" and an empty list are left out.

    Attributes:
        cures: What would help, with the options that do it or "".
        options: The name, value and meaning of each option.
        command: What repeats the run.
    """

    lane: str
    title: str
    subtitle: str
    verdict: Verdict
    evidence: list[str]
    cures: list[tuple[str, str]]
    scores: str
    theory: str
    gradient_figure: str
    time_figure: str
    loss_figure: str
    layer_heads: list[str]
    layer_rows: list[list[str]]
    options: list[list[str]]
    command: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _SweepPart:
    """What the page says of a sweep.

    Attributes:
        figures: A title and an SVG element each.
        rows: The first MAX_ROWS runs.
    """

    title: str
    subtitle: str
    verdicts: str
    failures: list[str]
    figures: list[tuple[str, str]]
    options: list[list[str]]
    count: int
    heads: list[str]
    rows: list[list[str]]


def check_installed() -> None:
    """Check that what a page needs is installed, without importing it.

    Raises:
        UsageError: Something is missing.
    """
    figures.check_installed()
    if not is_installed("jinja2"):
        raise missing("a page needs", "jinja2")


def run_page(*summaries: RunSummary) -> str:
    """The page of a run, or of the lanes that were compared.

    Raises:
        UsageError: matplotlib or Jinja2 is not installed.
    """
    return _render(" beside ".join(map(_title, summaries)), runs=[_run_part(summary) for summary in summaries])


def sweep_page(sweep: Sweep, rows: Sequence[Row], table: Table | None) -> str:
    """The page of a sweep.

    Raises:
        UsageError: matplotlib or Jinja2 is not installed.
    """
    part = _sweep_part(sweep, rows, table)
    return _render(part.title, sweep=part)


def _render(title: str, runs: Sequence[_RunPart] = (), sweep: _SweepPart | None = None) -> str:
    check_installed()
    return _template().render(title=title, runs=runs, sweep=sweep, version=vgtui.__version__)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vgtui", "reports"),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2")


def _printable(value: Any) -> Any:
    """A value without what could turn the line around; what is HTML already stays as it is."""
    return value if hasattr(value, "__html__") else plain(str(value))


def _run_part(summary: RunSummary) -> _RunPart:
    header, last = summary.header, summary.last
    heads, rows = _layers(summary)
    options, command = _again(summary)
    return _RunPart(
        lane=summary.lane,
        title=_title(summary),
        subtitle=_subtitle(summary),
        verdict=last.verdict,
        evidence=[
            f"{piece.field}: {float(piece.value):.3g}"
            + (f" against the bound {piece.bound:g}" if piece.bound is not None else "")
            + f", in {len(piece.layers)} of {len(header.layers)} layers"
            for piece in last.verdict.evidence
        ],
        cures=[(cure.text, options_of(cure)) for cure in last.verdict.cures],
        scores=f"Loss {short_number(last.loss)}, accuracy of the batch {short_number(last.accuracy)}, "
        f"validation accuracy {short_number(last.validation_accuracy)}.",
        theory=_theory_words(summary),
        gradient_figure=as_svg(draw([gradient_by_layer(summary)])),
        time_figure=as_svg(draw([heat_map(summary)])),
        loss_figure=as_svg(draw([loss(summary)])),
        layer_heads=heads,
        layer_rows=rows,
        options=options,
        command=command,
        note=summary.note,
    )


def _sweep_part(sweep: Sweep, rows: Sequence[Row], table: Table | None) -> _SweepPart:
    kinds = Counter(row.verdict for row in rows if row.verdict)
    reasons = Counter(row.error or NO_REASON for row in rows if row.failed)
    base = {**values_of(sweep.settings), **{axis.field: "varies" for axis in sweep.vary}}
    if sweep.seeds > 1:
        base["seed"] = f"{sweep.settings.training.seed} and {sweep.seeds - 1} more"
    fields = [axis.field for axis in sweep.vary] + (["seed"] if sweep.seeds > 1 else [])
    results = [name for name in RESULTS if name != "error"]
    return _SweepPart(
        title=f"Sweep over {', '.join(axis.name for axis in sweep.vary) or 'nothing'}",
        subtitle=f"{len(rows)} of {sweep.size} runs, {sweep.steps} steps each",
        verdicts=", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
        failures=[f"{count} runs: {why}" for why, count in reasons.most_common()],
        figures=[
            (shown.metric.title, as_svg(draw([sweep_chart(shown)], height=4.2)))
            for shown in _tables(sweep, rows, table)
            if shown.span is not None
        ],
        options=_options(base.items()),
        count=len(rows),
        heads=[option_of(field).name for field in fields] + results,
        rows=[
            [option_of(field).show(row.values[field]) for field in fields]
            + [_number(getattr(row, name)) for name in results]
            for row in rows[:MAX_ROWS]
        ],
    )


def _tables(sweep: Sweep, rows: Sequence[Row], table: Table | None) -> list[Table]:
    """The table that was asked for, and the same of SWEEP_METRICS."""
    if table is None:
        return []
    by = [axis.name for axis in (table.x, table.y) if axis]
    others = (METRICS[name] for name in SWEEP_METRICS)
    made = (make_table(sweep, rows, metric, by) for metric in others if metric is not table.metric)
    return [table, *(one for one in made if one)]


def _again(summary: RunSummary) -> tuple[list[list[str]], str]:
    """The options of one of vgtui's own runs, and the command that repeats it, where there is one."""
    if not summary.header.own:
        return [], ""
    settings = settings_from_header(summary.header)
    if summary.header.backend.name in BACKEND_NAMES:  # where it was computed, wherever auto would compute it
        settings = replace(settings, backend=summary.header.backend.name)
    elsewhere = [field for field, default in read_defaults().items() if not default.is_built_in]
    command = shlex.join(["vgtui", "run", "--steps", str(summary.last.step), *flags_of(settings, elsewhere)])
    # a run that was not seen at step 0 went on with the weights of another
    return _options(values_of(settings).items()), command if summary.first else ""


def _title(summary: RunSummary) -> str:
    if (own := summary.header.own) is None:
        return model_words(summary.header)
    network = own.network
    return f"{network.activation}, {network.hidden_layers} hidden layers of {network.width}, {network.initialization}"


def _subtitle(summary: RunSummary) -> str:
    header, words = summary.header, []
    if header.own:
        network, training, dataset = header.own
        words = [
            switch_text("BatchNorm", network.batch_norm),
            switch_text("skip connections", network.skip_connections),
            f"{training.optimizer} {training.learning_rate}",
            f"batch {training.batch_size}",
            dataset.name,
        ]
    words += [
        f"{header.backend.name} {header.backend.dtype} on {header.backend.device}",
        f"{summary.last.step} steps",
    ]
    if summary.changes:
        words.append(f"the last of {summary.changes + 1} runs in this recording")
    if summary.compared_until is not None:
        words.append(f"compared until step {summary.compared_until} with another run, which is not shown here")
    return " · ".join(words)


def _theory_words(summary: RunSummary) -> str:
    theory, fitted = summary.theory(), summary.depth_scale()
    measured = "" if math.isnan(fitted) else f" Fitted to the error signal at step 0: {fitted:.3g} layers."
    if not isinstance(theory, Prediction):
        return f"There is {theory}.{measured}"
    scale = theory.depth_scale
    change = f"changes by e over {scale:.3g} layers" if scale < FLAT else "does not change from layer to layer"
    return (
        f"By mean-field theory, for wide layers and one sample, a gradient norm at initialization {change}.{measured}"
    )


def _layers(summary: RunSummary) -> tuple[list[str], list[list[str]]]:
    """The table of layers: its heads, and its rows from the output to the input."""
    layers, first, theory = summary.last.layers, summary.first, summary.theory()
    count = len(layers.grad_norm)
    heads = ["layer", f"‖∂E/∂W‖, step {summary.last.step}", *list(FIELDS.values())[1:], "health"]
    if first is not None:
        heads.insert(1, "‖∂E/∂W‖, step 0")
    profile = None
    if first is not None and isinstance(theory, Prediction):
        heads.insert(2, "theory, step 0")
        profile = theory.gradient_profile * first.layers.grad_norm[-1]
    rows = []
    for layer, health in reversed(list(enumerate(health_of(summary.last, summary.header)))):
        info = summary.header.layers[layer]
        cells = [" ".join(filter(None, [info.name, info.kind])) if summary.header.model else layer_label(layer, count)]
        if first is not None:
            cells.append(_number(entry(first.layers.grad_norm, layer)))
        if profile is not None:
            cells.append(_number(profile[layer]))
        rows.append([*cells, *(_number(entry(getattr(layers, field), layer)) for field in FIELDS), health])
    return heads, rows


def _options(values: Iterable[tuple[str, Any]]) -> list[list[str]]:
    rows = []
    for field, value in values:
        option = option_of(field)
        rows.append([option.name, value if isinstance(value, str) else option.show(value), option.help])
    return rows


def _number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return "0" if value == 0 else f"{float(value):.4g}"
