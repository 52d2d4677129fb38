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
MAX_WAITING = 64
"""Steps whose norms and losses wait for each other; of more, the newest are kept."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Watches what fit() trains: the gradients that the optimizer is given, the weights and their updates.

    The loss of a step is worked out from the mean over the epoch, which is all that Keras gives. That of an epoch's
    last batch, which may be smaller, is unknown.
    """

    def __init__(
        self, *, name: str | None = None, every: int = 10, record: str | os.PathLike[str] | None = None
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
        self._losses: dict[int, float | None] = {}

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
        if self._reports and keras.backend.backend() == "jax":
            import jax

            Guarded(jax.effects_barrier, self)()  # norms of the last steps may be on their way
        reports, self._reports = self._reports, None
        if reports:
            self.model.train_function = None  # one that is compiled would call us on
            reports.close()
        self._norms.clear()
        self._losses.clear()

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
                Guarded(norms.tell, self)(self._note_norms)
            return result

        optimizer.apply = apply_and_measure
        self._undo = lambda: optimizer.__dict__.pop("apply", None)
        self.model.make_train_function(force=True)  # one that was compiled before does not call us

    def _make_norms(self, kind: "type[_Norms]", optimizer: Any, grads: Any, variables: Any) -> "_Norms | None":
        _, every, _ = self._options
        if kind.sees_the_step and not self._is_due(self._step):
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
            keras.backend.backend(),
            str(given[0].dtype),
        )
        step = self._step if kind.sees_the_step else optimizer._iterations.value
        return kind(step, every, rows, [pairs[place] for place in rows.places], optimizer, about)

    def _is_due(self, step: int) -> bool:
        return bool(step % self._options[1] == 0 and self._reports and self._reports.is_due(step))

    def _note_norms(self, step: int, rows: Rows, norms: Any, about: tuple[Any, ...]) -> None:
        if self._reports:
            self._norms[step] = rows, norms, about
            self._tell()

    def _end_batch(self, batch: int, mean: Any) -> None:
        step, self._step = self._step, self._step + 1
        before, self._mean = self._mean, None if mean is None else (mean, batch)
        if self._is_due(step):
            is_last = batch + 1 == (self.params or {}).get("steps")
            self._losses[step] = None if is_last else _last_of_mean(mean, batch, before)
            self._tell()

    def _tell(self) -> None:
        """Give the frames whose norms and loss are known: in a compiled step the norms may come later."""
        for step in sorted(self._norms.keys() & self._losses.keys()):
            rows, norms, about = self._norms.pop(step)
            loss = self._losses.pop(step)
            if self._reports:
                self._reports.report(step, rows.infos, np.asarray(norms, np.float64), loss=loss, about=about)
        for waiting in (self._norms, self._losses):
            for step in sorted(waiting)[:-MAX_WAITING]:
                del waiting[step]


class _Norms:
    """The norms of one step: of the gradients, and of the weights before and after the update."""

    sees_the_step = True
    """Whether the step is run, and not compiled."""

    def __init__(
        self, step: Any, every: int, rows: Rows, pairs: list[tuple[Any, Any]], optimizer: Any, about: tuple[Any, ...]
    ) -> None:
        self.step, self.every, self.rows, self.about = step, every, rows, about
        self.variables = [variable for _, variable in pairs]
        scale = optimizer.scale_loss(1.0)
        self.gradients = [gradient if _is_one(scale) else gradient / scale for gradient, _ in pairs]
        self.weights = [self.keep(variable.value) for variable in self.variables]

    def keep(self, weight: Any) -> Any:
        """Keep a weight as it is before the update."""
        return weight

    def tell(self, note: Callable[[int, Rows, Any, tuple[Any, ...]], None]) -> None:
        """Call a function with the step, the rows, the norms and the rest, when they are known."""
        raise NotImplementedError


class _TorchNorms(_Norms):
    def keep(self, weight: Any) -> Any:
        return weight.detach().clone()

    def tell(self, note: Callable[[int, Rows, Any, tuple[Any, ...]], None]) -> None:
        import torch

        moved = [variable.value.detach() - old for variable, old in zip(self.variables, self.weights, strict=True)]
        norms = [
            [torch.linalg.vector_norm(values, dtype=torch.float64) for values in group]
            for group in (self.gradients, self.weights, moved)
        ]
        note(self.step, self.rows, torch.stack([torch.stack(group) for group in norms]).cpu().numpy(), self.about)


class _JaxNorms(_Norms):
    sees_the_step = False

    def tell(self, note: Callable[[int, Rows, Any, tuple[Any, ...]], None]) -> None:
        from vgtui.watching.integrations.optax import report_norms

        moved = [variable.value - old for variable, old in zip(self.variables, self.weights, strict=True)]
        rows, about = self.rows, self.about
        report_norms(
            self.step,
            self.every,
            (self.gradients, self.weights, moved),
            lambda step, norms: note(int(step), rows, norms, about),
        )


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
