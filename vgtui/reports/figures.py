"""Figures of a run and of a sweep, by matplotlib: for a page, a paper, or a file of their own."""

import io
import logging
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.theory import Prediction
from vgtui.charts.sweep_chart import layer_words, shown_layers
from vgtui.model.options import option_of
from vgtui.model.quantities import GRADIENT
from vgtui.reports.summary import RunSummary
from vgtui.sweeps.border import Border
from vgtui.sweeps.grid import Axis
from vgtui.sweeps.table import Table
from vgtui.user.extras import is_installed, missing

COLOURS = {"measured": "#1b6ca8", "start": "#8f9bb0", "theory": "#c77700", "validation": "#3d8a4e", "zero": "#c0392b"}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in the reader's own font
    "text.parse_math": False,  # a name with $ in it is a name
    "svg.hashsalt": "vgtui",  # the same figure is the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
PIXELS_PER_INCH = 150
MAP = "viridis"
MAX_TICKS = 10
"""More values of an axis have round numbers beside them."""

Draw = Callable[[Any], None]
"""Draws into a matplotlib Axes."""


def as_svg(figure: Any) -> str:
    """A figure as an <svg> element, without what only a file of its own needs."""
    text = save(figure, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def save(figure: Any, kind: str) -> bytes:
    """A figure as svg or png."""
    import matplotlib

    out = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may have characters that the font lacks, or be too long for an axis
        figure.savefig(out, format=kind, dpi=PIXELS_PER_INCH, metadata=metadata)
    return out.getvalue()


def check_installed() -> None:
    """Check that matplotlib is installed, without importing it.

    Raises:
        UsageError: It is not installed.
    """
    if not is_installed("matplotlib"):
        raise missing("pictures need", "matplotlib")


def draw(parts: list[Draw], width: float = 7.2, height: float = 3.0) -> Any:
    """A figure with one part below the other.

    Raises:
        UsageError: matplotlib is not installed.
    """
    check_installed()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of a home that cannot be written
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width, height * len(parts)), layout="constrained")
        for axes, part in zip(figure.subplots(len(parts), squeeze=False)[:, 0], parts, strict=True):
            part(axes)
        return figure


def run_parts(*summaries: RunSummary) -> list[Draw]:
    """Everything that there is to draw of a run, or of the lanes that were compared."""
    return [_of_lane(summary, part(summary)) for summary in summaries for part in (gradient_by_layer, heat_map, loss)]


def _of_lane(summary: RunSummary, part: Draw) -> Draw:
    """The same with the name of the lane above it, where there is one."""

    def paint(axes: Any) -> None:
        part(axes)
        if summary.lane:
            axes.set_title(f"lane {summary.lane}", loc="left")

    return paint


def gradient_by_layer(summary: RunSummary) -> Draw:
    """The gradient norm of every layer: at the last frame, at step 0, and by theory where theory holds."""

    def paint(axes: Any) -> None:
        layers = np.arange(1, len(summary.header.layers) + 1)
        theory = summary.theory()
        if summary.first is not None and summary.first is not summary.last:
            axes.plot(layers, _positive(summary.first.layers.grad_norm), color=COLOURS["start"], label="at step 0")
        axes.plot(
            layers,
            _positive(summary.last.layers.grad_norm),
            color=COLOURS["measured"],
            label=f"at step {summary.last.step}",
        )
        if isinstance(theory, Prediction) and summary.first is not None:
            profile = theory.gradient_profile * summary.first.layers.grad_norm[-1]
            axes.plot(layers, _positive(profile), "--", color=COLOURS["theory"], label="theory at step 0, one sample")
        zero = layers[np.ma.filled(summary.last.layers.grad_norm, 1.0) == 0]
        axes.set_yscale("log")
        if len(zero):
            floor = [axes.get_ylim()[0]] * len(zero)
            axes.plot(zero, floor, "x", color=COLOURS["zero"], clip_on=False, label="an exact 0")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel=f"layer (1 next to the input, {len(layers)} the output)", ylabel="‖∂E/∂W‖")
        axes.legend()

    return paint


def heat_map(summary: RunSummary) -> Draw:
    """Layers by time, the gradient norm as colour; points of the history, each the least of its frames."""

    def paint(axes: Any) -> None:
        history = summary.history
        assert history
        begin = history.begin_of(history.length - 1)
        levels = history.least(GRADIENT)[begin:].T.astype(float)
        steps = history.scalars.step[begin:]
        image = axes.pcolormesh(
            _edges(steps),
            np.arange(levels.shape[0] + 1) + 0.5,
            np.ma.masked_invalid(levels),
            cmap=MAP,
            rasterized=True,
        )
        axes.set_facecolor("#d9d9d9")
        axes.figure.colorbar(image, ax=axes, label="log10 ‖∂E/∂W‖ (grey: 0 or none)")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="step", ylabel="layer")

    return paint


def loss(summary: RunSummary) -> Draw:
    """Loss and accuracies over the steps."""

    def paint(axes: Any) -> None:
        history = summary.history
        assert history
        scalars, begin = history.scalars, history.begin_of(history.length - 1)
        steps, losses, accuracies, validation = (
            values[begin:] for values in (scalars.step, scalars.loss, scalars.accuracy, scalars.validation_accuracy)
        )
        axes.plot(steps, losses, color=COLOURS["measured"], label="loss")
        axes.set(xlabel="step", ylabel="loss")
        right = axes.twinx()
        right.spines.right.set_visible(True)
        right.plot(steps, accuracies, ":", color=COLOURS["start"], label="accuracy of the batch")
        right.plot(steps, validation, color=COLOURS["validation"], label="validation accuracy")
        right.set(ylim=(0, 1.02), ylabel="accuracy")
        axes.legend(handles=[*axes.get_lines(), *right.get_lines()], loc="best")

    return paint


def sweep_chart(table: Table, border: Border | None = None) -> Draw:
    """A sweep's table as a heat map over two options, or as a line over one; with a border, theory's line over it."""
    title = f"{'log10 of ' if table.metric.by_logarithm else ''}{table.metric.title}"
    if table.averaged:
        title += f"\nmean over {' and '.join(table.averaged)}"

    def paint(axes: Any) -> None:
        axes.set_xlabel(table.x.name)
        if table.y is None:
            places, labels = _places(table.x)
            if table.layers:
                _plot_layers(axes, places, table)
            else:
                axes.plot(places, np.ma.masked_invalid(table.values[0]), "o-", color=COLOURS["measured"])
            axes.set_ylabel(title)
            _label(axes.xaxis, places, labels)
            return
        across, down = _places(table.x), _places(table.y)
        image = axes.pcolormesh(
            _edges(across[0]), _edges(down[0]), np.ma.masked_invalid(table.values), cmap=MAP, rasterized=True
        )
        axes.set_facecolor("#d9d9d9")
        axes.figure.colorbar(image, ax=axes, label=title)
        axes.set_ylabel(table.y.name)
        if border:
            words = f"{border.factor:.2g} × depth scale of theory"
            places = np.interp(border.curve[0], np.arange(len(across[0])), across[0])
            axes.plot(places, border.factor * border.curve[1], "w--", linewidth=2, label=words)
            axes.plot(across[0], border.deepest, "o", color="w", markersize=4, label="middle of the measured border")
            axes.set(xlim=_edges(across[0])[[0, -1]], ylim=_edges(down[0])[[0, -1]])
            axes.legend(labelcolor="w", loc="upper right", frameon=True, facecolor="black", framealpha=0.6)
        _label(axes.xaxis, *across)
        _label(axes.yaxis, *down)

    return paint


def _plot_layers(axes: Any, places: NDArray[np.float64], table: Table) -> None:
    """Draw a line for each layer that is shown, over a decade at least, so that flat lines look flat."""
    from matplotlib import colormaps

    shown = shown_layers(len(table.layers))
    for number, layer in enumerate(shown):
        colour = colormaps[MAP](0.9 * number / max(len(shown) - 1, 1))
        values = np.ma.masked_invalid(table.values[layer])
        axes.plot(places, values, "o-", color=colour, label=layer_words(table.layers[layer]))
    low, high = axes.get_ylim()
    if high - low < 1:
        axes.set_ylim((low + high - 1) / 2, (low + high + 1) / 2)
    axes.legend()


def _places(axis: Axis) -> tuple[NDArray[np.float64], list[str] | None]:
    """Where an axis has its values: at themselves, or side by side with their names where they are no even numbers."""
    if option_of(axis.field).kind in ("whole", "number") and None not in axis.values:
        values = np.array(axis.values, dtype=np.float64)
        steps = np.diff(values)
        if len(values) < 2 or (np.all(steps > 0) and np.allclose(steps, steps.mean(), rtol=0.2)):
            return values, None
    return np.arange(len(axis.values), dtype=np.float64), [axis.show(value) for value in axis.values]


def _label(axis: Any, places: NDArray[np.float64], labels: list[str] | None) -> None:
    if labels is not None or len(places) <= MAX_TICKS:
        axis.set_ticks(places, labels)


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """The borders of cells with these centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _positive(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """What has a logarithm; NaN, a gap, elsewhere, where it is unknown too."""
    known = np.ma.filled(norms, math.nan)
    return np.where((known > 0) & np.isfinite(known), known, math.nan)
