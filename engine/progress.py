"""Is anything being learned? The losses of a run so far, in bounded memory, and what they say."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 256
"""Points of the curve that are kept; when they are full, pairs of neighbours become one."""
FIRST = 3
"""The measurements whose mean is the loss at the beginning."""
MIN_STEPS = 50
"""Updates before a loss that has not fallen means anything."""
MIN_MEASUREMENTS = 4
"""Measurements before a trend means anything."""
GAIN = 0.1
"""The share of the loss of guessing by which a loss must be lower, for anything to have been learned."""

PATIENCE = 20
"""How many times the steps so far a loss that falls may take to get somewhere."""
SIGNIFICANT = 2.5
"""The standard errors by which a slope must differ from 0."""

Trend = Literal[
    "unknown",  # no loss is known
    "starting",  # too early to say
    "falling",  # not better than guessing yet, but on its way
    "learning",  # better than guessing
    "converged",  # better than guessing by far, and steady
    "flat",  # no better than guessing, or than at the beginning
    "oscillating",  # no better, with swings as large as the loss
    "diverging",  # far worse than at the beginning
]


@dataclass(frozen=True, slots=True)
class Learning:
    """What the losses of a run say.

    Attributes:
        trend: The summary.
        step: The updates so far.
        initial: The loss at the beginning.
        now: The loss now, the mean over a window.
        guess: The loss of guessing; the initial one where that is unknown.
        knows_guess: Whether `guess` is that of guessing.
        gained: The share of `guess` by which the loss is lower now; negative if it is higher.
        swing: The standard deviation from one measurement to the next, over `now`.
        doubt: Twice the standard error of `now`, over `guess`.
        accuracy: The accuracy now, the mean over the window; NaN if unknown.
        validation_lost: By how much the validation accuracy is below its best; 0 if unknown.
    """

    trend: Trend
    step: int = 0
    initial: float = math.nan
    now: float = math.nan
    guess: float = math.nan
    knows_guess: bool = False
    gained: float = math.nan
    swing: float = math.nan
    doubt: float = math.nan
    accuracy: float = math.nan
    validation_lost: float = 0.0

    @property
    def is_learning(self) -> bool:
        """Whether something was learned."""
        return self.trend in ("learning", "converged")

    @property
    def has_failed(self) -> bool:
        """Whether nothing was learned in the time that it takes."""
        return self.trend in ("flat", "oscillating", "diverging")


class Progress:
    """The losses of a run so far."""

    def __init__(self, guess: float = math.nan) -> None:
        """Begin without any.

        Args:
            guess: The loss of the best answer that does not look at the inputs; NaN if unknown.
        """
        self.guess = guess
        self._first: list[float] = []
        self._size = 1
        self._count = 0
        self._points = np.zeros((MAX_POINTS, 5))
        """Each: measurements, step of the last, sums of losses, of accuracies, and of squared differences in it."""
        self._last = math.nan
        self._best_validation = math.nan
        self._validation = math.nan

    def add(
        self, step: int, loss: float | None, accuracy: float | None = None, validation_accuracy: float | None = None
    ) -> None:
        """Take in a measurement.

        Args:
            step: The updates before it.
            loss: The loss of its batch; None if unknown.
            accuracy: The accuracy on its batch.
            validation_accuracy: The accuracy on the validation part.
        """
        if validation_accuracy is not None and math.isfinite(validation_accuracy):
            self._validation = float(validation_accuracy)
            self._best_validation = float(np.fmax(self._best_validation, self._validation))
        if loss is None:
            return
        loss = float(loss)
        if len(self._first) < FIRST:
            self._first.append(loss)
        moved = 0.0 if math.isnan(self._last) else (loss - self._last) ** 2
        self._last = loss
        point = [1.0, float(step), loss, math.nan if accuracy is None else float(accuracy), moved]
        if self._count and self._points[self._count - 1, 0] < self._size:
            self._points[self._count - 1] = _merged(self._points[self._count - 1], np.array(point))
            return
        if self._count == MAX_POINTS:
            half = MAX_POINTS // 2
            self._points[:half] = _merged(self._points[::2], self._points[1::2])
            self._count, self._size = half, 2 * self._size
        self._points[self._count] = point
        self._count += 1

    def judge(self) -> Learning:
        """Say what the losses so far mean."""
        if not self._count:
            return Learning("unknown")
        table = self._points[: self._count]
        counts, steps, sums = table[:, 0], table[:, 1], table[:, 2]
        step, total = int(steps[-1]), counts.sum()
        # the last quarter, of MIN_MEASUREMENTS at least
        behind = np.cumsum(counts[::-1])
        window = len(counts) - int(np.searchsorted(behind, max(MIN_MEASUREMENTS, total / 4))) - 1
        recent = slice(max(0, window), None)
        size = counts[recent].sum()
        with np.errstate(all="ignore"):
            now = float(sums[recent].sum() / size)
            swing = math.sqrt(table[recent, 4].sum() / 2 / size)
            accuracy = float(table[recent, 3].sum() / size)
            initial = float(np.mean(self._first))
        guess = self.guess if math.isfinite(self.guess) else initial
        scale = abs(guess) or 1.0
        gained = (guess - now) / scale
        lost = self._best_validation - self._validation
        return Learning(
            trend=self._trend(table, recent, initial, now, guess, swing),
            step=step,
            initial=initial,
            now=now,
            guess=guess,
            knows_guess=math.isfinite(self.guess),
            gained=gained,
            swing=swing / abs(now) if now else math.nan,
            doubt=2 * swing / math.sqrt(size) / scale,
            accuracy=accuracy,
            validation_lost=lost if math.isfinite(lost) else 0.0,
        )

    def _trend(
        self, table: NDArray[np.float64], recent: slice, initial: float, now: float, guess: float, swing: float
    ) -> Trend:
        steps, losses = table[:, 1], table[:, 2] / table[:, 0]
        total, size = table[:, 0].sum(), table[recent, 0].sum()
        if not math.isfinite(now):
            return "diverging"
        doubt = 2 * swing / math.sqrt(size)
        scale = abs(guess) or 1.0
        if now < guess - max(GAIN * scale, doubt):
            steady = abs(losses[recent][0] - losses[-1]) < max(0.02 * scale, doubt)
            if steps[-1] >= 5 * MIN_STEPS and steady and now < guess - 0.95 * scale:
                return "converged"
            return "learning"
        if steps[-1] < MIN_STEPS or total < MIN_MEASUREMENTS:
            return "starting"
        if now > 3 * max(abs(initial), abs(guess)) + doubt:
            return "diverging"
        if swing > 0.5 * abs(now):
            return "oscillating"
        return "falling" if self._is_falling(table, now, guess, doubt) else "flat"

    def _is_falling(self, table: NDArray[np.float64], now: float, guess: float, doubt: float) -> bool:
        """Return whether the loss falls fast enough to get somewhere in PATIENCE times the steps so far."""
        scale = abs(guess) or 1.0
        if now > guess + GAIN * scale:  # on its way down to guessing
            return _fall_per_step(table) * PATIENCE * float(table[-1, 1]) > now - guess
        if not now < guess - max(doubt, 0.002 * scale):
            return False
        return _fall_per_step(table[len(table) // 2 :]) * PATIENCE * float(table[-1, 1]) > GAIN * scale

    def state(self) -> NDArray[np.float64]:
        """Return everything as one array, (MAX_POINTS + 2, 5), for `restore`."""
        state = np.zeros((MAX_POINTS + 2, 5))
        state[0] = self.guess, self._size, self._last, self._best_validation, self._validation
        state[1, 4] = self._count
        state[1, :FIRST] = (self._first + [math.nan] * FIRST)[:FIRST]
        state[2:] = self._points
        return state

    def restore(self, state: NDArray[np.float64]) -> None:
        """Go on from what `state` returned.

        Raises:
            ValueError: It is not what `state` returns.
        """
        size, count = state[0, 1], state[1, 4]
        if not (size >= 1 and 0 <= count <= MAX_POINTS and count == int(count)):
            raise ValueError("the curve of the loss has no such length")
        self.guess, _, self._last, self._best_validation, self._validation = state[0].tolist()
        self._size, self._count = int(size), int(count)
        self._first = [loss for loss in state[1, :FIRST].tolist() if not math.isnan(loss)]
        self._points[:] = state[2:]


def _fall_per_step(table: NDArray[np.float64]) -> float:
    """Return by how much the losses of some points fall in a step; 0 if that is within their noise."""
    steps, losses = table[:, 1], table[:, 2] / table[:, 0]
    if len(table) < MIN_MEASUREMENTS or not np.isfinite(losses).all():
        return 0.0
    centred = steps - steps.mean()
    slope = float(centred @ losses / (centred @ centred))
    rest = losses - losses.mean() - slope * centred
    error = math.sqrt(float(rest @ rest) / (len(table) - 2) / float(centred @ centred))
    return -slope if -slope > SIGNIFICANT * error else 0.0


def _merged(points: NDArray[np.float64], later: NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge points with later ones: the step is the last, all else is a sum."""
    merged = points + later
    merged[..., 1] = later[..., 1]
    return merged
