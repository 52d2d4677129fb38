"""How frames are written for people: a table as they come, and the report of the last one."""

import math
from typing import IO

from engine.diagnosis import layer_health
from vgtui.charts.line_chart import Line, draw_lines, logarithms, tick_rows
from vgtui.options import words_for
from vgtui.recordings.frames import Frame, Header

CHART_SIZE = (64, 12)


class ReportWriter:
    """For people: the run, the profile of the gradient as a chart, every layer, the verdict and what would help."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._last: Frame | None = None

    def header(self, header: Header, begun: bool = False) -> None:
        if begun:
            return
        network, training = header.network, header.training
        self._print(
            f"{network.activation}, {network.hidden_layers} hidden layers of {network.width}, "
            f"{network.initialization}, "
            f"BatchNorm {'on' if network.batch_norm else 'off'}, skip {'on' if network.skip_connections else 'off'}; "
            f"{training.optimizer} {training.learning_rate:g}, batch {training.batch_size}, seed {training.seed}; "
            f"{header.dataset.name}; {header.backend.name} {header.backend.dtype}"
        )

    def frame(self, frame: Frame) -> None:
        self._last = frame

    def close(self) -> None:
        frame = self._last
        assert frame
        self._print(f"\nGradient by layer at step {frame.step}, log10 ‖∂E/∂W‖ from the input to the output\n")
        for line in _chart(frame):
            self._print(line)
        self._print(
            f"\n{'layer':>5}  {'‖∂E/∂W‖':>9}  {'‖∂E/∂z‖':>9}  {'φ′ rms':>7}  {'output mean':>11}  {'std':>8}  health"
        )
        layers = frame.layers
        for layer, health in reversed(list(enumerate(layer_health(layers.grad_norm)))):
            label = "out" if layer == len(layers.grad_norm) - 1 else str(layer + 1)
            self._print(
                f"{label:>5}  {_norm(layers.grad_norm[layer]):>9}  {_norm(layers.delta_norm[layer]):>9}  "
                f"{layers.derivative_rms[layer]:>7.3f}  {layers.activation_mean[layer]:>11.3g}  "
                f"{layers.activation_std[layer]:>8.3g}  {health}"
            )
        self._print(
            f"\nloss {frame.loss:.4g}, accuracy {frame.accuracy:.3f}, "
            f"validation accuracy {frame.validation_accuracy:.3f}"
        )
        self._print(verdict_sentence(frame))

    def _print(self, line: str) -> None:
        self._file.write(line + "\n")


class TableWriter(ReportWriter):
    """A row a frame as it comes, and the report of the last one."""

    def header(self, header: Header, begun: bool = False) -> None:
        super().header(header, begun)
        if begun:
            return
        if header.backend.fallback_reason:
            self._print(f"no GPU: {header.backend.fallback_reason}")
        columns = ("loss", "accuracy", "validation", "layer 1", "output", "steps/s")
        self._print(f"\n{'step':>7}  " + "  ".join(f"{name:>10}" for name in columns) + "  verdict")

    def frame(self, frame: Frame) -> None:
        super().frame(frame)
        norms = frame.layers.grad_norm
        self._print(
            f"{frame.step:>7}  {frame.loss:>10.4g}  {frame.accuracy:>10.3f}  {frame.validation_accuracy:>10.3f}  "
            f"{_norm(norms[0]):>10}  {_norm(norms[-1]):>10}  {frame.steps_per_second:>10.0f}  {frame.verdict.kind}"
        )
        self._file.flush()


def verdict_sentence(frame: Frame) -> str:
    """The verdict, and the options that would help."""
    flags = [" ".join(words_for(cure.setting, cure.value)) for cure in frame.verdict.cures]
    choice = " or ".join(filter(None, [", ".join(flags[:-1]), *flags[-1:]]))
    return f"{frame.verdict.message}; try {choice}" if choice else frame.verdict.message


def _norm(value: float) -> str:
    return "0" if value == 0 else f"{value:.2e}"


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
