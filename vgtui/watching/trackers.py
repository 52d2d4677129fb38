"""The numbers of a frame for an experiment tracker: W&B, MLflow, TensorBoard, or any function of a dict and a step."""

import logging
import re
from collections.abc import Callable

import numpy as np

from engine.health import reference_norm
from engine.telemetry import LAYER_FIELDS
from vgtui.recordings.moments import global_norm
from vgtui.watching.errors import ArgumentError
from vgtui.wire.frames import Frame, Header

logger = logging.getLogger("vgtui")

Log = Callable[[dict[str, float], int], object]
"""What is given the numbers of a frame, and its step."""
_STRANGE = re.compile(r"[^\w\-. /]", re.ASCII)
"""What MLflow takes in no name."""


class Tracker:
    """Calls a function with the numbers of each frame, until it fails: that is a warning, and the training goes on."""

    def __init__(self, log: Log, log_layers: bool) -> None:
        """Note what is called.

        Args:
            log: log(numbers, step) is called for each frame.
            log_layers: Whether each layer's numbers are among them.

        Raises:
            ArgumentError: It cannot be called.
        """
        if not callable(log):
            raise ArgumentError("log", f"{log!r} cannot be called; it takes a function such as wandb.log")
        self._log: Log | None = log
        self._has_layers = bool(log_layers)

    @property
    def is_wanted(self) -> bool:
        """Whether the function is still called."""
        return self._log is not None

    def track(self, header: Header, frame: Frame) -> None:
        """Call the function with the numbers of a frame."""
        if self._log is None:
            return
        numbers = summary(header, frame) | (layer_numbers(header, frame) if self._has_layers else {})
        try:
            self._log(numbers, frame.step)
        except Exception:
            self._log = None
            logger.warning("vgtui: log failed and is not called any more, the training goes on", exc_info=True)


def summary(header: Header, frame: Frame) -> dict[str, float]:
    """Return a few numbers on a frame by name. What is unknown is left out."""
    ties = frame.ties or ("trained",) * len(header.layers)
    matrices = [layer.is_matrix and tie == "trained" for layer, tie in zip(header.layers, ties, strict=True)]
    norms = frame.layers.grad_norm
    numbers = {"vgtui/calm": float(frame.verdict.is_calm)}
    if not np.ma.getmaskarray(norms).all():
        numbers["vgtui/gradient_norm"] = global_norm(frame)
    known = np.ma.getdata(norms)[~np.ma.getmaskarray(norms) & np.array(matrices, dtype=bool)]
    reference = reference_norm(norms, matrices)
    if len(known) > 1 and reference > 0:
        with np.errstate(all="ignore"):
            numbers["vgtui/worst_ratio"] = float(np.min(known / reference))
    if frame.loss is not None:
        numbers["vgtui/loss"] = float(frame.loss)
    return numbers


def layer_numbers(header: Header, frame: Frame) -> dict[str, float]:
    """Return every known number of every layer, by the name of its field and of the layer."""
    numbers = {}
    for name in LAYER_FIELDS:
        for layer, value in zip(header.layers, getattr(frame.layers, name).tolist(), strict=True):
            if value is not None:
                numbers[f"vgtui/{name}/{_STRANGE.sub('_', layer.name)}"] = value
    return numbers
