"""The numbers of a sampled step on their way to the host, and what they add to what was seen of the step."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.observations import Observations, Targets, Tie
from vgtui.watching.finite import LOSSES, SUMS
from vgtui.watching.norms import grouped

SINGLE = (
    "loss", "accuracy", "scale", "scale_left", "input_rms", "sample_spread", "zero_share", "padding_share", "kept",
    "target_least", "target_greatest", "target_mean_square", "target_variance",
)  # fmt: skip
"""What is gathered as one number a step."""
THROUGH_TIME = "through time"
"""The field that has several numbers for a layer: the norm of the error signal at each step of time."""


class Arrival:
    """Numbers on their way from the devices; the training does not wait for a device that computes on its own."""

    def __init__(self, step: int, layers: int, values: dict[tuple[str, int], Tensor], turn: range) -> None:
        """Begin the copy to the host, one for each device and dtype.

        Args:
            step: The number of updates before the step.
            layers: The number of layers.
            values: A number by field and index of its layer, 0 for the fields in SINGLE.
            turn: The layers that were measured.
        """
        self.turn = turn
        self.step = step
        self.seconds: float | None = None
        """The time of the step."""
        self.own_seconds: float | None = None
        """The time of the step until backpropagation began."""
        self._layers = layers
        self._parts: list[tuple[list[tuple[tuple[str, int], int]], Tensor]] = []
        self._events: list[torch.cuda.Event] = []
        self.many: dict[str, NDArray[np.float64]] = {}
        """The numbers of the fields that have many a step, once numbers() was called."""
        for (device, _), keys in grouped(values).items():
            packed = torch.cat([values[key].reshape(-1) for key in keys])
            if device.type == "cuda":
                host = torch.empty(len(packed), dtype=packed.dtype, pin_memory=True)
                packed = host.copy_(packed, non_blocking=True)
                event = torch.cuda.Event()
                event.record(torch.cuda.current_stream(device))
                self._events.append(event)
            self._parts.append(([(key, values[key].numel()) for key in keys], packed))

    def is_here(self) -> bool:
        """Return whether the copy is done."""
        return all(event.query() for event in self._events)

    def wait(self) -> None:
        """Wait until the copy is done."""
        for event in self._events:
            event.synchronize()

    def numbers(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, float], dict[int, NDArray[np.float64]]]:
        """Return what has arrived.

        Returns:
            An array of a number for each layer by field, masked where unknown; the fields in SINGLE; and the profile
            over time of each layer that has one.
        """
        known: dict[str, dict[int, float]] = defaultdict(dict)
        through_time: dict[int, NDArray[np.float64]] = {}
        for keys, values in self._parts:
            numbers = iter(values.tolist())
            for (name, index), length in keys:
                if name in (SUMS, LOSSES):
                    self.many[name] = np.array([next(numbers) for _ in range(length)], np.float64)
                elif name == THROUGH_TIME:
                    through_time[index] = np.array([next(numbers) for _ in range(length)], np.float64)
                else:
                    known[name][index] = next(numbers)
        single = {name: known.pop(name)[0] for name in SINGLE if name in known}
        return {name: self._row(entries) for name, entries in known.items()}, single, through_time

    def _row(self, entries: dict[int, float]) -> NDArray[np.float64]:
        places = np.fromiter(entries.keys(), np.intp, len(entries))
        values = np.zeros(self._layers)
        values[places] = np.fromiter(entries.values(), np.float64, len(entries))
        if len(entries) == self._layers:
            return values
        mask = np.ones(self._layers, np.bool_)
        mask[places] = False
        return np.ma.MaskedArray(values, mask=mask)


def completed(
    seen: Observations,
    fields: dict[str, NDArray[np.float64]],
    single: dict[str, float],
    first_norms: NDArray[np.float64],
) -> Observations:
    """Add the numbers of a step to what was seen of it.

    Args:
        seen: What was seen.
        fields: A number for each layer by field, of which `equal` is removed.
        single: The fields in SINGLE.
        first_norms: The norms of the weights in the first sampled step, NaN where unknown.
    """
    norms = np.ma.filled(fields["weight_norm"], np.nan)
    # what no known optimizer has, and changes all the same, is trained by another one
    ties: tuple[Tie, ...] = tuple(
        "trained" if tie == "forgotten" and now != first else tie
        for tie, now, first in zip(seen.ties, norms, first_norms, strict=True)
    )
    targets = None
    if "target_least" in single and seen.loss_function:
        targets = Targets(
            single["target_least"],
            single["target_greatest"],
            single["target_mean_square"],
            single.get("target_variance", np.nan),
        )
    equal = np.ma.filled(fields.pop("equal", np.ma.MaskedArray(np.zeros(len(norms)))), 0.0)
    return replace(
        seen,
        ties=ties,
        accumulates=single.get("kept", 0.0) > 0,
        zero_share=single.get("zero_share", np.nan),
        input_rms=single.get("input_rms", np.nan),
        sample_spread=single.get("sample_spread", np.nan),
        padding_share=single.get("padding_share", np.nan),
        equal_weights=tuple(np.flatnonzero(equal).tolist()),
        targets=targets,
    )
