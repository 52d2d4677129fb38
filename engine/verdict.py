"""What a diagnosis says: a kind with its evidence, the bound that was exceeded, and what would help."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Health = Literal["learning", "reached", "frozen", "weak", "vanished", "zero", "exploding", "NaN", "infinite", "unknown"]
CalmKind = Literal["healthy", "starting", "converged", "frozen-on-purpose"]
FaultKind = Literal[
    "vanishing",
    "vanished",
    "exploding",
    "non-finite",
    "dead",
    "saturated",
    "frozen",
    "rate-too-small",
    "rate-too-large",
    "clipped-too-hard",
    "weight-decay-dominates",
    "oscillating",
    "diverging",
    "not-learning",
    "overfitting",
    "not-connected",
    "not-in-optimizer",
    "unregistered",
    "output-mismatch",
    "inputs-out-of-scale",
    "targets-out-of-scale",
    "shapes-broadcast",
    "underflow",
    "gradients-tiny",
    "zero-weights",
    "gradients-accumulate",
    "batch-too-small",
    "collapsed",
    "vanishing-in-time",
    "exploding-in-time",
]
VerdictKind = CalmKind | FaultKind
CALM: frozenset[str] = frozenset(get_args(CalmKind))
"""The kinds that ask for nothing."""
VERDICT_KINDS: tuple[VerdictKind, ...] = (*get_args(CalmKind), *get_args(FaultKind))


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit for a measured value, and the reason for it."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Change:
    """A setting, and the value that it should take."""

    setting: str
    value: bool | str | float | None


@dataclass(frozen=True, slots=True)
class Cure:
    """What would help: one change, or several that help only together.

    Attributes:
        setting: The field of the configuration to change; None for a model that has no configuration.
        value: The value that the field should take.
        text: The cure in words.
        also: Further changes that belong to it. Of a watched model, all of them; none where only a person can.
    """

    setting: str | None
    value: bool | str | float | None
    text: str
    also: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The measurement on which a verdict rests.

    Attributes:
        layers: The weight layers concerned, counted from 0 at the input.
        field: The field of `LayerMeasurements`, or another quantity.
        value: Its worst value, or the ratio of that value to the reference.
        bound: The bound that was exceeded; None where the value speaks for itself.
    """

    layers: tuple[int, ...]
    field: str
    value: np.float64
    bound: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a network, if anything.

    Attributes:
        kind: The kind of problem, or one of CALM.
        message: One sentence, which begins with the kind.
        cures: What would help, best first.
        evidence: The measurements behind the verdict.
    """

    kind: VerdictKind
    message: str
    cures: tuple[Cure, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def is_calm(self) -> bool:
        """Whether nothing needs to be done."""
        return self.kind in CALM


USUAL_UPDATE = 1e-3
"""The usual ratio of an update to the weights (Karpathy, CS231n: "around 1e-3")."""

BOUNDS = {
    "vanishing": Bound(1e-3, "a layer with this share of the reference's gradient learns a thousand times slower"),
    "vanished": Bound(1e-8, "below float32's unit roundoff, 6e-8: moves that large are lost beside the reference's"),
    "exploding": Bound(1e3, "as vanishing, the other way round"),
    "exploding norm": Bound(1e3, "64×64 weights of Xavier have the norm 8; 0.1 of this replaces them ten times over"),
    "saturated": Bound(
        0.5, "most of a layer's units pass less than 5 % of the largest slope (Glorot & Bengio 2010, §3)"
    ),
    "dead": Bound(0.9, "less than a tenth of a layer's units carry a signal (Lu et al. 2020, dying ReLU)"),
    "frozen": Bound(1e-7, "about float32's spacing at 1, 1.2e-7: the update is lost in the rounding of the weight"),
    "rate-too-small": Bound(1e-5, "a hundredth of the usual update, 1e-3 of the weights (CS231n, Karpathy)"),
    "rate-too-large": Bound(0.2, "two hundred times the usual update: five such updates replace the weights"),
    "clipped-too-hard": Bound(0.05, "the update is a twentieth of what the rate was chosen for, or less"),
    "weight-decay-dominates": Bound(1.0, "the decay moves the weights further than the gradient does"),
    "batch-too-small": Bound(2.0, "of two values BatchNorm leaves their order alone: +1 and -1 (Wu & He 2018)"),
    "inputs-out-of-scale": Bound(10.0, "initializations assume inputs of mean square 1 (LeCun et al. 1998, §4.3)"),
    "targets-out-of-scale": Bound(100.0, "an output layer of usual weights gives outputs of about 1"),
    "collapsed": Bound(0.02, "the samples differ by a fiftieth of what they have in common"),
    "gradients-tiny": Bound(1e-3, "even a rate of 1 would move the weights by no more than is usual"),
    "underflow": Bound(0.5, "most of the error signal is 0 in float16, whose smallest number is 6e-8"),
    "overfitting": Bound(0.05, "one sample in twenty more is wrong than at the best step (Prechelt 1998)"),
}
"""The bounds of all verdicts."""
PERSISTENCE = 3
"""Consecutive measurements for which saturated, dead and frozen must hold; one batch may show them by chance."""
