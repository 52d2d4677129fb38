"""For MLX: watcher = vgtui.watching.integrations.mlx.watch(model); watcher.step(gradients, loss) after each update."""

import os
from collections.abc import Sequence
from typing import Any, Self

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

from vgtui.watching.errors import ArgumentError
from vgtui.watching.guarded import Guarded
from vgtui.watching.integrations.parameters import Rows, find_rows
from vgtui.watching.integrations.reports import Reports, check_steps


class Watch:
    """What `watch` returns: a context manager, or a plain object with step() and close()."""

    def __init__(self, model: nn.Module, name: str, every: int, record: str | os.PathLike[str] | None) -> None:
        """Begin to watch; the arguments are those of `watch`."""
        self._model = model
        self._every = every
        self._reports: Reports | None = Reports(name, "MLX", 1, record)
        self._step = 0
        self._weights = dict(tree_flatten(model.trainable_parameters()))
        """The weights before the coming step, if it is to be reported."""

    def step(self, gradients: Any, loss: Any = None) -> None:
        """Say that an update is done.

        Args:
            gradients: The gradients that the optimizer was given.
            loss: The loss of the step.
        """
        if self._reports:
            Guarded(self._take, self)(gradients, loss)

    def close(self) -> None:
        """Tell viewers that the training has ended, and complete the recording."""
        reports, self._reports = self._reports, None
        if reports:
            reports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def spend(self, seconds: float) -> None:
        """Take no notice: the number of steps from one report to the next is the user's own decision."""

    def give_up(self) -> None:
        """Watch no more after a fault of ours, which is not the training's, and say so once."""
        if self._reports:
            self._reports.give_up()
        self.close()

    def _take(self, gradients: Any, loss: Any) -> None:
        step, self._step = self._step, self._step + 1
        before, self._weights = self._weights, {}
        if self._reports and step % self._every == 0 and self._reports.is_due(step):
            found = dict(tree_flatten(gradients))
            rows = _rows(found)
            names = [list(found)[place] for place in rows.places]
            after = dict(tree_flatten(self._model.trainable_parameters()))
            groups = [
                [found[name] for name in names],
                [before.get(name) for name in names],
                [after[name] - before[name] if name in before else None for name in names],
            ]
            norms = mx.stack([mx.stack([_norm(array) for array in group]) for group in groups])
            weights = list(after.values())
            about = (sum(weight.size for weight in weights), None, _device(), _dtype(weights))
            number = None if loss is None else float(np.array(mx.array(loss).astype(mx.float32)).mean())
            self._reports.report(step, rows.infos, np.array(norms, np.float64), loss=number, about=about)
        if self._step % self._every == 0:  # what is kept takes memory
            self._weights = dict(tree_flatten(self._model.trainable_parameters()))


def watch(
    model: nn.Module, *, name: str | None = None, every: int = 25, record: str | os.PathLike[str] | None = None
) -> Watch:
    """Let `vgtui attach` see which layers of an MLX model starve.

    Call watcher.step(gradients, loss) after each update of the optimizer, outside mx.compile.

    Args:
        model: The model.
        name: The name for `vgtui attach`, else the model's class.
        every: The number of steps from one report to the next.
        record: A new file that keeps every frame, for `vgtui replay`.

    Raises:
        TypeError: An argument is plainly wrong.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", f"{type(model).__name__} is not an mlx.nn.Module")
    check_steps(every)
    return Watch(model, name or type(model).__name__, every, record)


def _rows(arrays: dict[str, Any]) -> Rows:
    paths = [tuple(name.split(".")) for name in arrays]
    return find_rows(paths, [tuple(array.shape) for array in arrays.values()])


def _norm(values: Any) -> Any:
    """Return the Euclidean norm, scaled by the largest entry, as squares of starving layers are 0 in float32."""
    if values is None:
        return mx.array(float("nan"))
    sizes = mx.abs(values).astype(mx.float32)
    largest = mx.max(sizes)
    scale = mx.where((largest > 0) & mx.isfinite(largest), largest, 1.0)
    squares = mx.square(sizes / scale)
    while squares.ndim:  # one axis after another: short sums lose fewer digits
        squares = squares.sum(-1)
    return scale * mx.sqrt(squares)


def _device() -> str:
    return "gpu" if mx.default_device().type == mx.DeviceType.gpu else "cpu"


def _dtype(weights: Sequence[Any]) -> str:
    return str(weights[0].dtype).removeprefix("mlx.core.")
