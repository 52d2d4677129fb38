"""For Keras 3 on PyTorch or JAX: model.fit(..., callbacks=[vgtui.watching.integrations.keras.Watch()])."""

import logging
import os
from collections.abc import Callable
from math import prod
from typing import Any

import keras
import numpy as np

from vgtui.watching.guarded import Guarded
from vgtui.watching.integrations.parameters import Rows, find_rows
from vgtui.watching.integrations.reports import Reports, check_steps

log = logging.getLogger("vgtui")

BACKENDS = ("jax", "torch")
NORMS = "vgtui"
"""The name of the norms beside the loss in what a compiled step returns."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Watches what fit() trains: the gradients that the optimizer is given, the weights and their updates.

    The loss of a step is worked out from the mean over the epoch, which is all that Keras gives. That of an epoch's
    last batch, which may be smaller, is unknown.
    """

    def __init__(
        self, *, name: str | None = None, every: int = 25, record: str | os.PathLike[str] | None = None
    ) -> None:
        """Prepare to watch.

        Args:
            name: The name for `vgtui attach`, else the model's.
            every: The number of steps from one report to the next.
            record: A new file that keeps every frame, for `vgtui replay`.

        Raises:
            ArgumentError: An argument is plainly wrong.
        """
        super().__init__()
        check_steps(every)
        self._options = (name, every, record)
        self._reports: Reports | None = None
        self._undo: Callable[[], None] = _nothing
        self._step = 0
        self._mean: tuple[Any, int] | None = None
        """The newest mean over the epoch, and its batch."""
        self._norms: dict[int, tuple[Rows, Any, tuple[Any, ...]]] = {}
        """Those of the present step, by its number."""
        self._traced: tuple[Any, Rows, tuple[Any, ...]] = (None, Rows((), ()), ())
        """What the step that is compiled now measures."""
        self._rows = Rows((), ())
        self._about: tuple[Any, ...] = ()

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin to watch."""
        self.on_train_end()
        backend = keras.backend.backend()
        if backend not in BACKENDS:
            log.warning("vgtui watches nothing: Keras computes with %s; it takes %s", backend, " or ".join(BACKENDS))
            return
        name, _, record = self._options
        self._reports = Reports(name or self.model.name, f"Keras on {backend}", 1, record)
        Guarded(self._begin, self)(self.model.optimizer, _TorchNorms if backend == "torch" else _JaxNorms)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin another mean of the loss."""
        self._mean = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the loss of a step."""
        if self._reports:
            Guarded(self._end_batch, self)(batch, (logs or {}).get("loss"))

    def on_train_end(self, logs: Any = None) -> None:
        """Watch no more."""
        undo, self._undo = self._undo, _nothing
        undo()
        reports, self._reports = self._reports, None
        if reports:
            self.model.train_function = None  # one that is compiled would call us on
            reports.close()
        self._norms.clear()

    def spend(self, seconds: float) -> None:
        """Take no notice: the number of steps from one report to the next is the user's own decision."""

    def give_up(self) -> None:
        """Watch no more after a fault of ours, which is not the training's, and say so once."""
        if self._reports:
            self._reports.give_up()
        self.on_train_end()

    def _begin(self, optimizer: Any, kind: "type[_Norms]") -> None:
        self._step = int(optimizer.iterations)
        apply, make = optimizer.apply, Guarded(self._make_norms, self)

        def apply_and_measure(grads: Any, trainable_variables: Any = None) -> Any:
            norms = make(kind, optimizer, grads, trainable_variables)
            result = apply(grads, trainable_variables)
            if norms is not None:
                self._take(norms)
            return result

        optimizer.apply = apply_and_measure
        self._undo = lambda: optimizer.__dict__.pop("apply", None)
        if kind is _JaxNorms:
            self._bring_norms_out(optimizer)
        self.model.make_train_function(force=True)  # one that was compiled before does not measure
        if kind is _JaxNorms:
            self.model.train_function = self._take_norms_out(self.model.train_function)

    def _take(self, norms: "_Norms") -> None:
        measured = Guarded(norms.measure, self)()
        if isinstance(norms, _JaxNorms):
            self._traced = measured, norms.rows, norms.about
        elif measured is not None:
            self._norms[self._step] = norms.rows, measured, norms.about

    def _bring_norms_out(self, optimizer: Any) -> None:
        """Have a compiled step return its norms with the loss."""
        train_step, undo = self.model.train_step, self._undo

        def train_step_with_norms(state: Any, data: Any) -> Any:
            self._traced = None, Rows((), ()), ()
            logs, after = train_step(state, data)
            measured, self._rows, self._about = self._traced
            return (logs if measured is None else {**logs, NORMS: measured}), after

        def undo_both() -> None:
            undo()
            self.model.__dict__.pop("train_step", None)

        self.model.train_step = train_step_with_norms
        self._undo = undo_both

    def _take_norms_out(self, train_function: Callable[..., Any]) -> Callable[..., Any]:
        """Keep the norms for us alone: other callbacks print what they find beside the loss."""

        def train_function_without_norms(state: Any, iterator: Any) -> Any:
            logs, after = train_function(state, iterator)
            norms = logs.pop(NORMS, None)
            if norms is not None:
                self._norms[self._step] = self._rows, norms, self._about
            return logs, after

        return train_function_without_norms

    def _make_norms(self, kind: "type[_Norms]", optimizer: Any, grads: Any, variables: Any) -> "_Norms | None":
        if kind is _TorchNorms and not self._is_due(self._step):
            return None
        given = list(optimizer._trainable_variables if variables is None else variables)
        pairs = [(gradient, variable) for gradient, variable in zip(grads, given, strict=True) if gradient is not None]
        paths = [tuple(variable.path.split("/")) for _, variable in pairs]
        if len({path[0] for path in paths}) == 1 and all(len(path) > 2 for path in paths):  # the model's own name
            paths = [path[1:] for path in paths]
        rows = find_rows(paths, [tuple(variable.shape) for _, variable in pairs])
        if not rows.places:
            return None
        about = (
            sum(prod(variable.shape) for variable in given),
            type(optimizer).__name__,
            "",
            str(given[0].dtype),
        )
        return kind([pairs[place] for place in rows.places], rows, about, optimizer, self._options[1])

    def _is_due(self, step: int) -> bool:
        return bool(step % self._options[1] == 0 and self._reports and self._reports.is_due(step))

    def _end_batch(self, batch: int, mean: Any) -> None:
        step, self._step = self._step, self._step + 1
        before, self._mean = self._mean, None if mean is None else (mean, batch)
        found = self._norms.pop(step, None)
        self._norms.clear()
        if found and self._reports and self._is_due(step):
            rows, norms, about = found
            is_last = batch + 1 == (self.params or {}).get("steps")
            loss = None if is_last else _last_of_mean(mean, batch, before)
            self._reports.report(step, rows.infos, np.asarray(norms, np.float64), loss=loss, about=about)


class _Norms:
    """The norms of one step: of the gradients, of the weights before the update, and of the update."""

    def __init__(
        self, pairs: list[tuple[Any, Any]], rows: Rows, about: tuple[Any, ...], optimizer: Any, every: int
    ) -> None:
        self.rows, self.about, self.every = rows, about, every
        self.count = optimizer._iterations.value
        self.variables = [variable for _, variable in pairs]
        scale = optimizer.scale_loss(1.0)
        is_scaled = not (isinstance(scale, float) and scale == 1.0)
        self.gradients = [gradient / scale if is_scaled else gradient for gradient, _ in pairs]
        self.weights = [self.keep(variable.value) for variable in self.variables]

    def keep(self, weight: Any) -> Any:
        """Keep a weight as it is before the update."""
        return weight

    def measure(self) -> Any:
        """Return the norms after the update, (3, layers)."""
        raise NotImplementedError


class _TorchNorms(_Norms):
    def keep(self, weight: Any) -> Any:
        return weight.detach().clone()

    def measure(self) -> Any:
        import torch

        moved = [variable.value.detach() - old for variable, old in zip(self.variables, self.weights, strict=True)]
        norms = [
            torch.stack([torch.linalg.vector_norm(values, dtype=torch.float64) for values in group])
            for group in (self.gradients, self.weights, moved)
        ]
        return torch.stack(norms).cpu().numpy()


class _JaxNorms(_Norms):
    def measure(self) -> Any:
        from vgtui.watching.integrations.jax_norms import norms_when_due

        moved = [variable.value - old for variable, old in zip(self.variables, self.weights, strict=True)]
        return norms_when_due(self.count, self.every, (self.gradients, self.weights, moved))


def _last_of_mean(mean: Any, batch: int, before: tuple[Any, int] | None) -> float | None:
    """Return the last of the numbers of which a mean is; None if more than one were added since the mean before."""
    if mean is None:
        return None
    if batch == 0:
        return float(mean)
    if before is None or before[1] != batch - 1:
        return None
    return float(mean) * (batch + 1) - float(before[0]) * batch


def _is_one(scale: Any) -> bool:
    return isinstance(scale, float) and scale == 1.0


def _nothing() -> None:
    """Undo nothing."""
