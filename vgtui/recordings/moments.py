"""The moments of a training that a flight recorder keeps whole: spikes, numbers that are not finite, new verdicts."""

import math
from dataclasses import dataclass

import numpy as np

from engine.spikes import Spikes
from engine.verdict import CALM
from vgtui.wire.frames import Frame

AROUND = 50
"""The frames before and after a moment that are kept with it."""
SPIKE, VERDICT, NON_FINITE = range(3)
"""How much a moment matters, the least first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame at which something happened.

    Attributes:
        frame: The number of the frame, counted from 0.
        at: Its time in seconds.
        rank: SPIKE, VERDICT or NON_FINITE.
        size: How large a spike was, in standard deviations.
        message: What happened, in words.
    """

    frame: int
    at: float
    rank: int
    size: float
    message: str


class Moments:
    """Finds the moments among frames that come one by one."""

    def __init__(self) -> None:
        self._losses = Spikes()
        self._norms = Spikes(is_logarithmic=True)
        self._verdict: str | None = None
        self._last: dict[str, int] = {}
        """The last frame of each kind of moment."""

    def take(self, frame: Frame, number: int, at: float) -> Moment | None:
        """Take in a frame.

        Args:
            frame: The frame.
            number: How many frames came before it.
            at: Its time in seconds.

        Returns:
            What happened at it; None if nothing did, or if it is within AROUND frames of a moment of the same kind,
            which is kept whole anyway.
        """
        norm = global_norm(frame)
        loss = math.nan if frame.loss is None else float(frame.loss)
        rank, words = SPIKE, []
        raised = {"loss": self._losses.add(loss), "gradient norm": self._norms.add(norm)}
        for name, value in (("loss", loss), ("gradient norm", norm)):
            if raised[name] and self._begins(name, number):
                words.append(f"{name} {value:.3g}, {raised[name]:.0f} σ above the last ones")
        if frame.verdict.kind != self._verdict:
            if self._verdict is not None and not {self._verdict, frame.verdict.kind} <= CALM:
                rank = VERDICT
                words.append(f"verdict: {self._verdict} → {frame.verdict.kind}")
            self._verdict = frame.verdict.kind
        is_broken = math.isinf(norm) or math.isnan(norm) or (frame.loss is not None and not math.isfinite(loss))
        if is_broken and self._begins("non-finite", number):
            rank = NON_FINITE
            words.insert(0, "the loss or a gradient is NaN or ∞")
        return Moment(number, at, rank, max(raised.values()), "; ".join(words)) if words else None

    def _begins(self, kind: str, number: int) -> bool:
        """Note that a kind of moment goes on, and return whether it begins."""
        last = self._last.get(kind)
        self._last[kind] = number
        return last is None or number - last > AROUND


def global_norm(frame: Frame) -> float:
    """Return the norm of the gradients of all layers that are known; 0 if none is, NaN or ∞ if one is."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(np.ma.compressed(frame.layers.grad_norm)))
