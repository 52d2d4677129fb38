"""One HTML file of a run or a sweep: everything is inside of it, so that it opens anywhere, without a network."""

import html
import itertools
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import vgtui
from engine.config import BACKEND_NAMES
from engine.diagnosis import layer_health, layer_label
from engine.theory import Prediction
from vgtui.model.description import model_words
from vgtui.model.differences import settings_of, switch_text
from vgtui.model.options import flags_of, option_of, values_of, words_for
from vgtui.model.quantities import entry
from vgtui.reports.figures import as_svg, draw, gradient_by_layer, heat_map, loss, sweep_chart
from vgtui.reports.story import Story
from vgtui.sweeps.grid import Sweep
from vgtui.sweeps.rows import RESULTS, Row
from vgtui.sweeps.table import METRICS, Table, make_table
from vgtui.terminal.text import plain, short_number
from vgtui.user.defaults import read_defaults

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fff; --quiet: #5a6776; --line: #d5dbe2; --panel: #f4f6f8 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe5ee; --paper: #11151c; --quiet: #9aa7ba; --line: #45536b; --panel: #1a202b }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
       margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.quiet { color: var(--quiet) } figure { margin: 1rem 0; background: #fff; border-radius: 6px; padding: .5rem }
figure svg { width: 100%; height: auto; display: block }
.verdict { background: var(--panel); border-left: 5px solid #c77700; padding: .6rem 1rem; border-radius: 4px }
.verdict.healthy { border-color: #3d8a4e }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .15rem .8rem; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child, .words td:last-child, .words th:last-child { text-align: left }
code { background: var(--panel); padding: .1rem .35rem; white-space: pre-wrap }
"""
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
MOST_ROWS = 1000
"""Of a sweep, in the page; all of them are in its file."""
NO_REASON = "for a reason that is not known"
SWEEP_METRICS = ("gradient_ratio_start", "depth_scale")
"""What is shown of a sweep beside the metric that was asked for."""


def run_page(*stories: Story) -> str:
    """The page of a run, or of the lanes that were compared. Raises UsageError where matplotlib is not installed."""
    return _page(" beside ".join(map(_title, stories)), itertools.chain.from_iterable(map(_parts, stories)))


def _parts(story: Story) -> list[str]:
    """What a page says of a run."""
    header, last = story.header, story.last
    verdict = last.verdict
    cures = _items(
        f"{_escape(cure.text)}: <code>{_escape(shlex.join(words_for(cure.setting, cure.value)))}</code>"
        if cure.setting
        else _escape(cure.text)
        for cure in verdict.cures
    )
    evidence = _items(
        _escape(
            f"{entry.field}: {float(entry.value):.3g}"
            + (f" against the bound {entry.bound:g}" if entry.bound is not None else "")
            + f", in {len(entry.layers)} of {len(header.layers)} layers"
        )
        for entry in verdict.evidence
    )
    return [
        f"<h1>{f'Lane {story.lane}: ' if story.lane else ''}{_escape(_title(story))}</h1>",
        f"<p class=quiet>{_escape(_subtitle(story))}</p>",
        f'<div class="verdict {_escape(verdict.kind)}"><strong>{_escape(verdict.message)}</strong></div>',
        f"<p>What it rests on:</p>{evidence}" if evidence else "",
        f"<p>What would help:</p>{cures}" if cures else "",
        f"<p>Loss {short_number(last.loss)}, accuracy of the batch {short_number(last.accuracy)}, "
        f"validation accuracy {short_number(last.validation_accuracy)}.</p>",
        "<h2>Gradient by layer</h2>",
        f"<p>{_escape(_theory_words(story))}</p>",
        _figure(as_svg(draw([gradient_by_layer(story)])), "The gradient norm of every layer, input on the left"),
        "<h2>The whole run</h2>",
        _figure(as_svg(draw([heat_map(story)])), "Layers by time, the gradient norm as colour"),
        _figure(as_svg(draw([loss(story)])), "Loss and accuracy over the steps"),
        "<h2>Every layer</h2>",
        _layers(story),
        *_again(story),
        f"<p class=quiet>{_escape(story.summary)}</p>" if story.summary else "",
    ]


def sweep_page(sweep: Sweep, rows: Sequence[Row], table: Table | None) -> str:
    """The page of a sweep. Raises UsageError where matplotlib is not installed."""
    varied = ", ".join(axis.name for axis in sweep.vary) or "nothing"
    title = f"Sweep over {varied}"
    kinds = Counter(row.verdict for row in rows if row.verdict)
    reasons = Counter(row.error or NO_REASON for row in rows if row.failed)
    tables: list[Table | None] = [table]
    if table:
        by = [axis.name for axis in (table.x, table.y) if axis]
        others = (METRICS[name] for name in SWEEP_METRICS)
        tables += [make_table(sweep, rows, metric, by) for metric in others if metric is not table.metric]
    shown = [entry for entry in tables if entry and entry.span is not None]
    base = {**values_of(sweep.settings), **{axis.field: "varies" for axis in sweep.vary}}
    if sweep.seeds > 1:
        base["seed"] = f"{sweep.settings.training.seed} and {sweep.seeds - 1} more"
    parts = [
        f"<h1>{_escape(title)}</h1>",
        f"<p class=quiet>{len(rows)} of {sweep.size} runs, {sweep.steps} steps each</p>",
        f"<p>Verdicts at the end: {_escape(', '.join(f'{count} {kind}' for kind, count in kinds.most_common()))}.</p>"
        if kinds
        else "",
        f"<p>Without a result:</p>{_items(_escape(f'{count} runs: {why}') for why, count in reasons.most_common())}"
        if reasons
        else "",
        *(
            f"<h2>{_escape(entry.metric.title)}</h2>"
            + _figure(as_svg(draw([sweep_chart(entry)], height=4.2)), entry.metric.title)
            for entry in shown
        ),
        "<h2>Configuration</h2>",
        _configuration(base.items()),
        "<h2>Every run</h2>",
        _rows(sweep, rows),
    ]
    return _page(title, parts)


def _escape(words: str) -> str:
    """Outside words as text of a page: no element, no attribute, nothing that turns the line around."""
    return html.escape(plain(words))


def _page(title: str, parts: Iterable[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        f"<p class=quiet>vgtui {_escape(vgtui.__version__)}</p>\n</body>\n</html>\n"
    )


def _again(story: Story) -> Iterator[str]:
    """The configuration of a run of ours, and the command that repeats it."""
    if story.header.own:
        settings = settings_of(story.header)
        if story.header.backend.name in BACKEND_NAMES:  # where it was computed, wherever auto would compute it
            settings = replace(settings, backend=story.header.backend.name)
        elsewhere = [field for field, default in read_defaults().items() if not default.is_built_in]
        command = shlex.join(["vgtui", "run", "--steps", str(story.last.step), *flags_of(settings, elsewhere)])
        yield "<h2>Configuration</h2>"
        yield _configuration(values_of(settings).items())
        if story.first:  # otherwise it went on with the weights of another
            yield f"<p>Again, with the same numbers: <code>{_escape(command)}</code></p>"


def _title(story: Story) -> str:
    if (own := story.header.own) is None:
        return model_words(story.header)
    network = own.network
    return f"{network.activation}, {network.hidden_layers} hidden layers of {network.width}, {network.initialization}"


def _subtitle(story: Story) -> str:
    header, words = story.header, []
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
        f"{story.last.step} steps",
    ]
    if story.changes:
        words.append(f"the last of {story.changes + 1} runs in this recording")
    if story.compared_until is not None:
        words.append(f"compared until step {story.compared_until} with another run, which is not shown here")
    return " · ".join(words)


def _theory_words(story: Story) -> str:
    theory, fitted = story.theory(), story.depth_scale()
    measured = "" if math.isnan(fitted) else f" Fitted to the error signal at step 0: {fitted:.3g} layers."
    if not isinstance(theory, Prediction):
        return f"There is {theory}.{measured}"
    scale = theory.depth_scale
    change = f"changes by e over {scale:.3g} layers" if scale < FLAT else "does not change from layer to layer"
    return (
        f"By mean-field theory, for wide layers and one sample, a gradient norm at initialization {change}.{measured}"
    )


def _layers(story: Story) -> str:
    layers, first, theory = story.last.layers, story.first, story.theory()
    count = len(layers.grad_norm)
    heads = ["layer", f"‖∂E/∂W‖, step {story.last.step}", *list(FIELDS.values())[1:], "health"]
    if first is not None:
        heads.insert(1, "‖∂E/∂W‖, step 0")
    profile = None
    if first is not None and isinstance(theory, Prediction):
        heads.insert(2, "theory, step 0")
        profile = theory.gradient_profile * first.layers.grad_norm[-1]
    rows = []
    for layer, health in reversed(list(enumerate(layer_health(layers.grad_norm)))):
        info = story.header.layers[layer]
        cells = [" ".join(filter(None, [info.name, info.kind])) if story.header.model else layer_label(layer, count)]
        if first is not None:
            cells.append(_number(entry(first.layers.grad_norm, layer)))
        if profile is not None:
            cells.append(_number(profile[layer]))
        rows.append([*cells, *(_number(entry(getattr(layers, field), layer)) for field in FIELDS), health])
    return _table(heads, rows)


def _configuration(values: Iterable[tuple[str, Any]]) -> str:
    rows = []
    for field, value in values:
        option = option_of(field)
        varies = isinstance(value, str)
        rows.append([option.name, value if varies else option.show(value), option.help])
    return f'<div class="words">{_table(["option", "value", "what it is"], rows)}</div>'


def _rows(sweep: Sweep, rows: Sequence[Row]) -> str:
    fields = [axis.field for axis in sweep.vary] + (["seed"] if sweep.seeds > 1 else [])
    heads = [option_of(field).name for field in fields] + [name for name in RESULTS if name != "error"]
    cells = [
        [option_of(f).show(row.values[f]) for f in fields]
        + [_number(getattr(row, name)) for name in RESULTS if name != "error"]
        for row in rows[:MOST_ROWS]
    ]
    more = f"<p class=quiet>The first {MOST_ROWS} of {len(rows)}.</p>" if len(rows) > MOST_ROWS else ""
    return f"<details><summary>{len(rows)} runs</summary>{_table(heads, cells)}{more}</details>"


def _number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return "0" if value == 0 else f"{float(value):.4g}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_escape(word)}</th>" for word in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{_escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _items(words: Iterable[str]) -> str:
    """A list of what is HTML already; nothing for none."""
    items = "".join(f"<li>{word}</li>" for word in words)
    return f"<ul>{items}</ul>" if items else ""


def _figure(svg: str, words: str) -> str:
    return f'<figure role="img" aria-label="{_escape(words)}">{svg}</figure>'
