"""Frames of a training whose numbers come as arrays of norms, from whatever library."""

import logging
import os
from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from vgtui.watching.emitter import Emitter
from vgtui.watching.errors import ArgumentError
from vgtui.wire.frames import BackendInfo, LayerInfo, ModelInfo

log = logging.getLogger("vgtui")


def check_steps(every: object) -> int:
    """Return a number of steps from one report to the next. Raises ArgumentError if it is none."""
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise ArgumentError("every", f"{every!r} is not a number of steps; a compiled step does not know the time")
    return every


class Reports:
    """Makes frames of norms, and raises nothing into the training."""

    def __init__(self, name: str, framework: str, every: str | int, record: str | os.PathLike[str] | None) -> None:
        """Open a socket for viewers, and a recording if one is wanted. See Emitter."""
        self._emitter: Emitter | None = Emitter(name=name, framework=framework, every=every, record=record)
        self._framework = framework
        self._layers: Sequence[LayerInfo] = ()
        self._step = -1

    def is_due(self, step: int) -> bool:
        """Return whether a frame is due after `step` updates."""
        return self._emitter is not None and self._emitter.is_due_for_verdict(step)

    @property
    def path(self) -> str | None:
        """The socket that viewers attach to; None if there is none."""
        return self._emitter.path if self._emitter else None

    def report(
        self,
        step: int,
        layers: Sequence[LayerInfo],
        norms: NDArray[np.float64],
        *,
        loss: SupportsFloat | None = None,
        about: tuple[int | None, str | None, str, str] = (None, None, "", ""),
    ) -> None:
        """Give a frame, under a new header where the layers are others or the training began again.

        Args:
            step: The number of updates before this one. A step that was told already is left out.
            layers: The layers.
            norms: The norms of the gradients, of the weights before the update, and of the update, (3, layers), NaN
                where a weight or an update is unknown.
            loss: The loss, if it is known.
            about: The number of parameters, the optimizer, the device and the type of the weights.
        """
        if self._emitter is None or step == self._step:
            return
        try:
            if layers != self._layers or step < self._step:
                self._begin(self._emitter, layers, *about)
            self._step = step
            gradients, weights, updates = np.asarray(norms, np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios = updates / weights
            known = ~np.isnan(weights)
            self._emitter.emit(
                step,
                gradients,
                loss=loss if loss is None else float(loss),
                weight_norm=weights,
                update_ratio=np.ma.MaskedArray(ratios, mask=np.isnan(ratios) & ~known),
            )
        except Exception:
            self.give_up()

    def give_up(self) -> None:
        """Watch no more after a fault of ours, which is not the training's, and say so once."""
        if self._emitter:
            log.warning("vgtui watches no more, the training goes on; please report this", exc_info=True)
        self.close()

    def close(self) -> None:
        """Tell viewers that the training has ended, and complete the recording."""
        emitter, self._emitter = self._emitter, None
        if emitter:
            emitter.close()

    def __deepcopy__(self, memo: Any) -> "Reports":
        return self

    def _begin(
        self,
        emitter: Emitter,
        layers: Sequence[LayerInfo],
        parameters: int | None,
        optimizer: str | None,
        device: str,
        dtype: str,
    ) -> None:
        self._layers = layers
        emitter.begin(
            ModelInfo(emitter.name, self._framework, parameters, optimizer),
            BackendInfo(self._framework, device, dtype, None),
            tuple(layers),
        )
