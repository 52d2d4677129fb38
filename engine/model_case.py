"""A step of a watched model to be judged: what was measured and observed, what is remembered, and how to say it."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.health import reference_norm
from engine.model_cures import Advice, ModelLayer
from engine.observations import Observations
from engine.progress import Learning
from engine.telemetry import LayerMeasurements
from engine.verdict import PERSISTENCE, Cure, Evidence, Verdict, VerdictKind

EARLY = 5
"""Measurements that are early: the size of their updates shows the rate, before it has done its harm."""
MAX_NAMES = 3
"""Names of layers in a message."""


@dataclass(slots=True)
class Past:
    """What is remembered of the steps before.

    Attributes:
        recent: The last measurements, the newest last, with what was observed.
        early_updates: The median update ratio of the matrices in each early measurement.
        first_norm: The first known norm of all gradients.
        first_layer: The layer whose gradient was the largest of those.
        largest_norm: The largest finite one.
        first_loss: The first loss.
        largest_loss: The largest finite size of a loss.
        broken: The verdict at the first number that was not finite: later ones say nothing of its cause.
        broken_at: The step of that measurement.
        is_traced: Whether that verdict says where the number came from.
        last_finite: The step of the last measurement before it.
        time_growth: The largest growth of an error signal from the last time step to the first, and its layer.
        highest_rate: The largest learning rate so far.
        equal_weights: The layers whose weights were all the same number at the start.
        target_variance: The sum and the number of variances of targets.
    """

    recent: deque[tuple[LayerMeasurements, Observations]] = field(default_factory=lambda: deque(maxlen=PERSISTENCE))
    early_updates: list[float] = field(default_factory=list)
    first_norm: float = math.nan
    first_layer: int = 0
    largest_norm: float = 0.0
    first_loss: float = math.nan
    largest_loss: float = 0.0
    broken: Verdict | None = None
    broken_at: int = 0
    is_traced: bool = False
    last_finite: int | None = None
    time_growth: tuple[float, int] = (0.0, 0)
    highest_rate: float = 0.0
    equal_weights: tuple[int, ...] = ()
    target_variance: tuple[float, int] = (0.0, 0)


class Case:
    """One step of a model to be judged, with what is remembered."""

    def __init__(self, layers: Sequence[ModelLayer], framework: str, past: Past, step: int) -> None:
        self.layers = layers
        self.past = past
        self.learning = Learning("unknown")
        self.step = step
        self.measured, self.seen = past.recent[-1]
        ties = self.seen.ties or ("trained",) * len(layers)
        self.ties = ties
        self.is_trained = np.array([tie == "trained" for tie in ties], dtype=bool)
        self.matrices = np.array([layer.is_matrix for layer in layers], dtype=bool) & self.is_trained
        if not self.matrices.any():
            self.matrices = self.is_trained
        self.is_known = ~np.ma.getmaskarray(self.measured.grad_norm) & self.is_trained
        grad_norm = np.ma.MaskedArray(np.ma.getdata(self.measured.grad_norm), mask=~self.is_known)
        self.reference = reference_norm(grad_norm, self.matrices.tolist())
        self.norms = np.where(self.is_known, np.ma.getdata(self.measured.grad_norm), self.reference)
        self.updates = self._median(self.measured.update_ratio)
        self.advice = Advice(layers, framework, self.seen, self.matrices)

    def remember(self, loss: float | None) -> None:
        """Keep what later steps need of this one."""
        past = self.past
        norm = float(np.linalg.norm(self.norms[self.is_known])) if self.is_known.any() else math.nan
        if math.isfinite(norm):
            past.largest_norm = max(past.largest_norm, norm)
            if math.isnan(past.first_norm):
                past.first_norm, past.first_layer = norm, int(np.argmax(np.where(self.is_known, self.norms, 0.0)))
        for layer, profile in self.seen.through_time.items():
            growth = float(profile[0]) / last_signal(profile)
            if math.isfinite(growth):
                past.time_growth = max(past.time_growth, (growth, layer))
        past.highest_rate = float(np.fmax(past.highest_rate, self.seen.learning_rate))
        if loss is not None and math.isfinite(loss):
            past.first_loss = float(loss) if math.isnan(past.first_loss) else past.first_loss
            past.largest_loss = max(past.largest_loss, abs(float(loss)))
        if len(past.early_updates) < EARLY and math.isfinite(self.updates):
            past.early_updates.append(self.updates)

    @property
    def early_update(self) -> float:
        """The largest of the early updates, relative to the weights; NaN if unknown."""
        return max(self.past.early_updates, default=math.nan)

    @property
    def first_update(self) -> float:
        """The first update, relative to the weights; NaN if unknown."""
        return self.past.early_updates[0] if self.past.early_updates else math.nan

    @property
    def output_rms(self) -> float:
        """The root mean square of the last layer's outputs; NaN if unknown."""
        mean, std = (
            np.ma.filled(getattr(self.measured, f"activation_{name}")[-1:], np.nan) for name in ("mean", "std")
        )
        return float(np.hypot(mean, std)[0])

    @property
    def weakest(self) -> tuple[int, float] | None:
        """The matrix with the least gradient, and its share of the reference; None without a comparison."""
        where = np.flatnonzero(self.matrices & self.is_known)
        if len(where) < 2 or not self.reference > 0:
            return None
        ratios = self.norms[where] / self.reference
        weakest = int(np.argmin(ratios))
        return int(where[weakest]), float(ratios[weakest])

    def _median(self, values: NDArray[np.float64]) -> float:
        """Return the median over the trained matrices for which a value is known; NaN without any."""
        known = self.matrices & ~np.ma.getmaskarray(values)
        numbers = np.ma.getdata(values)[known]
        numbers = numbers[np.isfinite(numbers)]
        return float(np.median(numbers)) if len(numbers) else math.nan

    def verdict(
        self,
        kind: VerdictKind,
        words: str,
        cures: Iterable[Cure] = (),
        *,
        field: str = "grad_norm",
        where: NDArray[np.bool_] | None = None,
        value: float = math.nan,
        bound: float | None = None,
    ) -> Verdict:
        """Make a verdict whose message begins with its kind."""
        if where is None:
            where = np.zeros(len(self.layers), dtype=bool)
        evidence = Evidence(tuple(np.flatnonzero(where).tolist()), field, np.float64(value), bound)
        return Verdict(kind, f"{kind}: {words}", tuple(cures), (evidence,))

    def label(self, layer: int) -> str:
        """Name a layer."""
        return self.layers[layer].label

    def names(self, where: NDArray[np.bool_]) -> str:
        """Name the first few of some layers."""
        found = [self.layers[index].name for index in np.flatnonzero(where).tolist()]
        more = len(found) - MAX_NAMES
        return ", ".join(found[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")

    def lasting(self, condition: Callable[[LayerMeasurements, Observations], bool]) -> bool:
        """Whether something holds in all of the last measurements, as many as must agree."""
        recent = self.past.recent
        return len(recent) >= PERSISTENCE and all(condition(*entry) for entry in recent)

    def lasting_values(self, name: str, fill: float) -> NDArray[np.float64] | None:
        """Return a field of the last measurements, (measurements, layers), with `fill` where it is unknown."""
        if len(self.past.recent) < PERSISTENCE:
            return None
        rows = [np.ma.filled(getattr(measured, name), fill) for measured, _ in self.past.recent]
        return np.where(self.is_trained, np.array(rows), fill)

    @property
    def is_failing(self) -> bool:
        """Whether nothing was learned in the time that it takes, or nobody tells the loss."""
        return self.learning.has_failed or self.learning.trend == "unknown"

    @property
    def fact(self) -> str:
        """What the losses say, as the end of a sentence."""
        learning = self.learning
        if learning.trend == "unknown":
            return ""
        if learning.trend == "diverging":
            return f"; the loss went from {learning.initial:.3g} to {learning.now:.3g}"
        if learning.knows_guess:
            return (
                f"; after {learning.step} steps the loss is {learning.now:.3g}, that of guessing {learning.guess:.3g}"
            )
        return f"; after {learning.step} steps the loss is {learning.now:.3g}, at the beginning {learning.initial:.3g}"


def last_signal(profile: NDArray[np.float64]) -> float:
    """Return the error signal of the last step of time that has any, of the norms over time; NaN if none has."""
    known = profile[profile > 0]
    return float(known[-1]) if len(known) else math.nan
