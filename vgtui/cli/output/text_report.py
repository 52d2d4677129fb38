"""How frames are written for people: a table as they come, and the report of the last one."""

import math
from typing import IO

from vgtui.charts.line_chart import Line, draw_lines, logarithms, tick_rows
from vgtui.cli.output.columns import Columns
from vgtui.model.cure_options import advice_of, options_of
from vgtui.model.description import model_words
from vgtui.model.health import health_of
from vgtui.terminal.text import UNKNOWN, column_number, layer_name, plain
from vgtui.wire.frames import Frame, Header

CHART_SIZE = (64, 12)
FRAME_COLUMNS = Columns(">7", *[">10"] * 6, "")
"""Of the table: a row for each frame."""


class ReportWriter:
    """For people: the run, the profile of the gradient as a chart, every layer, the verdict and what would help."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._header: Header | None = None
        self._last: Frame | None = None

    def header(self, header: Header, begun: bool = False) -> None:
        """Keep the header, and say what is trained unless the output has begun already."""
        self._header = header
        if not begun:
            self._print(plain(f"{what_is_trained(header)}; {header.backend.name} {header.backend.dtype}"))

    def frame(self, frame: Frame) -> None:
        """Keep the frame: close reports the last one."""
        self._last = frame

    def close(self) -> None:
        """Print the report of the last frame."""
        frame = self._last
        assert frame
        self._print(f"\nGradient by layer at step {frame.step}, log10 ‖∂E/∂W‖ from the input to the output\n")
        for line in _chart(frame):
            self._print(line)
        labels = self._labels(len(frame.layers.grad_norm))
        room = max(5, *map(len, labels))
        table = Columns(f">{room}", ">9", ">9", ">7", ">11", ">8", "")
        self._print("\n" + table.row("layer", "‖∂E/∂W‖", "‖∂E/∂z‖", "φ′ rms", "output mean", "std", "health"))
        layers = frame.layers
        columns = [
            getattr(layers, name).tolist()
            for name in ("grad_norm", "delta_norm", "derivative_rms", "activation_mean", "activation_std")
        ]
        rows = zip(labels, *columns, health_of(frame, self._header), strict=True)
        for label, norm, signal, slope, mean, spread, health in reversed(list(rows)):
            cells = _norm(norm), _norm(signal), _number(slope, ".3f"), _norm(mean), _norm(spread)
            self._print(table.row(label, *cells, health))
        self._print(
            f"\nloss {_number(frame.loss, '.4g')}, accuracy {_number(frame.accuracy, '.3f')}, "
            f"validation accuracy {_number(frame.validation_accuracy, '.3f')}"
        )
        for profile in frame.through_time or ():
            first, last = profile.norm[[0, -1]].tolist()
            name = self._labels(len(frame.layers.grad_norm))[profile.layer]
            ends = f"{_norm(first)} at the first of {len(profile.norm)} steps, {_norm(last)} at the last"
            self._print(f"through time, {name}: an error signal of {ends}")
        self._print(plain(verdict_sentence(frame)))

    def _labels(self, count: int) -> list[str]:
        """What the rows are called: the layers of your own model by their names."""
        if self._header and self._header.model:
            return [plain(info.name) for info in self._header.layers]
        return [layer_name(layer, count) for layer in range(count)]

    def _print(self, line: str) -> None:
        self._file.write(line + "\n")


class TableWriter(ReportWriter):
    """A row a frame as it comes, and the report of the last one."""

    def header(self, header: Header, begun: bool = False) -> None:
        """Say what is trained, and print the head of the table, unless the output has begun already."""
        super().header(header, begun)
        if begun:
            return
        if header.backend.fallback_reason:
            self._print(f"no GPU: {header.backend.fallback_reason}")
        heads = ("step", "loss", "accuracy", "validation", "layer 1", "output", "steps/s", "verdict")
        self._print("\n" + FRAME_COLUMNS.row(*heads))

    def frame(self, frame: Frame) -> None:
        """Print the row of the frame, and keep the frame for the report."""
        super().frame(frame)
        norms = frame.layers.grad_norm
        self._print(
            FRAME_COLUMNS.row(
                frame.step,
                column_number(frame.loss, 4),
                _number(frame.accuracy, ".3f"),
                _number(frame.validation_accuracy, ".3f"),
                _norm(norms[0]),
                _norm(norms[-1]),
                f"{frame.steps_per_second:.0f}",
                frame.verdict.kind,
            )
        )
        self._file.flush()


def verdict_sentence(frame: Frame) -> str:
    """The verdict, and the options that would help."""
    flags = [options_of(cure) or cure.text for cure in frame.verdict.cures]
    choice = " or ".join(filter(None, [", ".join(flags[:-1]), *flags[-1:]]))
    return f"{frame.verdict.message}; {advice_of(choice)}" if choice else frame.verdict.message


def what_is_trained(header: Header) -> str:
    """The settings of a run, or the name of a watched model, in a sentence."""
    if header.own is None:
        return model_words(header)
    network, training, dataset = header.own
    return (
        f"{network.activation}, {network.hidden_layers} hidden layers of {network.width}, "
        f"{network.initialization}, "
        f"BatchNorm {'on' if network.batch_norm else 'off'}, skip {'on' if network.skip_connections else 'off'}; "
        f"{training.optimizer} {training.learning_rate}, batch {training.batch_size}, seed {training.seed}; "
        f"{dataset.name}"
    )


def _norm(value: float | None) -> str:
    return "0" if value == 0 else _number(value, ".2e")


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else f"{value:{form}}"


def _chart(frame: Frame) -> list[str]:
    """The profile of the gradient with ticks at the left; no escape codes."""
    logs = logarithms(frame.layers.grad_norm)
    finite = [log for log in logs if math.isfinite(log)]
    if not finite:
        return ["(no layer has a finite gradient above 0)"]
    low, high = math.floor(min(finite)), math.ceil(max(finite) + 1e-9)
    columns, rows = CHART_SIZE
    picture = draw_lines([Line("line", range(len(logs)), logs)], (0, max(len(logs) - 1, 1)), (low, high), columns, rows)
    ticks = tick_rows((low, high), rows, most=4)
    return [
        f"{ticks.get(number, ''):>6} {''.join(cell.character for cell in cells)}".rstrip()
        for number, cells in enumerate(picture)
    ]
