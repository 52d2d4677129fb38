"""From measurements to a verdict: what is wrong, which value exceeds which bound, and what would help."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.changes import USUAL_RATES
from engine.config import NetworkConfig, TrainingConfig
from engine.health import output_norm
from engine.progress import GAIN, MIN_STEPS, Learning
from engine.telemetry import LayerMeasurements
from engine.verdict import BOUNDS, PERSISTENCE, USUAL_UPDATE, Change, Cure, Evidence, Verdict, VerdictKind

NON_SATURATING = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "linear")
"""Activations whose derivative is about 1 over at least a half-line."""
LARGE_INITIALIZATIONS = ("standard_normal", "gaussian")
"""Initializations whose variance can be far above 1/fan_in."""

DEEP = 20
"""Hidden layers beyond which BatchNorm alone is not enough."""
SLOW = 5
"""How many times smaller than the usual rate one is slow."""
FEW_ERRORS = 0.7
"""The root mean square error of the answers, per sample, below which a network does not guess: that of guessing is 0.71
with two classes, 0.95 with ten."""
SURE = 0.85
"""The share of right answers at which a network answers, however large its updates are."""
SOME = 0.1
"""The share of the way from guessing to certainty that shows that something was learned."""
PATIENCE = 100
"""Updates before a loss that has not fallen is a fault by itself, without a cause."""
LATE = 200
"""Updates after which a network that is better than guessing has learned, however few answers are right."""
LARGE_UPDATE = 0.02
"""Updates relative to the weights, twenty times the usual, that are too large where nothing is learned."""
SMALL_UPDATE = 1e-4
"""Updates relative to the weights, a tenth of the usual, that are too small where nothing is learned."""


def layer_label(layer: int, layers: int) -> str:
    """Name a weight layer for people.

    Args:
        layer: The weight layer, counted from 0 at the input.
        layers: The number of weight layers.

    Returns:
        "layer 1" for the first hidden layer and so on; "the output layer" for the last.
    """
    return "the output layer" if layer == layers - 1 else f"layer {layer + 1}"


class _Case:
    """A network to diagnose: its last measurements, the newest last, and what its losses say.

    `norms` are the gradient norms.
    """

    def __init__(
        self,
        network: NetworkConfig,
        training: TrainingConfig,
        recent: Sequence[LayerMeasurements],
        learning: Learning | None,
    ) -> None:
        self.training = training
        self.recent = recent[-PERSISTENCE:]
        self.layers = recent[-1]
        self.output = output_norm(self.layers.grad_norm)
        self.norms = self.layers.grad_norm
        self.learning = learning or Learning("unknown")
        known = self.layers.update_ratio.compressed()
        self.update = float(np.median(known)) if len(known) else math.nan
        self.error = float(self.layers.delta_norm[-1]) * math.sqrt(training.batch_size)
        """The root mean square error of the answers, per sample; about 0.95 where ten classes are guessed."""
        self.remedies = _Remedies(network, training, self.update)

    @property
    def has_learned(self) -> bool:
        """Whether the network answers, by its accuracy, or else by its error."""
        learning = self.learning
        if learning.trend == "unknown":
            return self.error < FEW_ERRORS
        if not math.isfinite(learning.now):
            return False
        if learning.accuracy >= (1 + self.chance) / 2:
            return self.is_settled
        return learning.is_learning and learning.step >= LATE

    @property
    def is_settled(self) -> bool:
        """Whether the loss agrees with the accuracy, and the updates are not so large that all may be lost again."""
        learning = self.learning
        if learning.accuracy >= SURE or learning.step < MIN_STEPS:
            return True
        is_low = not learning.knows_guess or learning.now < (1 - GAIN) * learning.guess
        return is_low and not self.update > LARGE_UPDATE

    @property
    def chance(self) -> float:
        """The accuracy of guessing, where classes are equally frequent; 0 if unknown."""
        return math.exp(-self.learning.guess) if self.learning.knows_guess else 0.0

    @property
    def is_undecided(self) -> bool:
        """Whether it may still learn, as far as its losses and its accuracy say."""
        learning = self.learning
        if learning.trend == "flat" and learning.accuracy > self.chance + SOME * (1 - self.chance):
            return True
        return learning.trend in ("starting", "falling", "learning", "converged")

    @property
    def fact(self) -> str:
        """What the losses say, as the end of a sentence."""
        learning = self.learning
        if learning.trend in ("unknown", "starting"):
            return ""
        return f"; after {learning.step} steps the loss is {learning.now:.3g}, that of guessing {learning.guess:.3g}"

    def label(self, layer: int) -> str:
        """Name a layer."""
        return layer_label(layer, len(self.norms))

    def verdict(
        self,
        kind: VerdictKind,
        words: str,
        cures: Iterator[Cure],
        field: str,
        where: NDArray[np.bool_],
        value: float,
        bound: float | None = None,
    ) -> Verdict:
        """Make a verdict whose message begins with its kind."""
        layers = tuple(np.flatnonzero(where).tolist())
        evidence = Evidence(layers, field, np.float64(value), bound)
        return Verdict(kind, f"{kind}: {words}{self.fact}", _different(cures), (evidence,))


def diagnose(
    network: NetworkConfig,
    training: TrainingConfig,
    recent: Sequence[LayerMeasurements],
    learning: Learning | None = None,
) -> Verdict:
    """Diagnose a network: does the gradient reach every layer, and is anything learned?

    Args:
        network: Its configuration.
        training: The configuration of its training.
        recent: Its last measurements, the newest last; at least one.
        learning: What its losses say. Without it, the error of its answers says whether it has learned.

    Returns:
        The verdict.
    """
    case = _Case(network, training, list(recent), learning)
    with np.errstate(all="ignore"):  # a ratio may be ∞, or of two zeros NaN
        return next(verdict for check in _CHECKS if (verdict := check(case)))


def _non_finite(case: _Case) -> Verdict | None:
    # the extremes include the steps between two measurements
    extremes = (np.ma.filled(norms, 0.0) for norms in (case.layers.grad_norm_min, case.layers.grad_norm_max))
    broken = ~np.all([np.isfinite(norms) for norms in extremes], axis=0)
    if not broken.any():
        return None
    first = int(np.argmax(broken))
    words = f"the gradient of {case.label(first)} is NaN or ∞"
    cures = case.remedies.against_explosion(first)
    return case.verdict("non-finite", words, cures, "grad_norm_max", broken, np.nan)


def _exploding(case: _Case) -> Verdict | None:
    norms, bound = case.norms, BOUNDS["exploding norm"].value
    largest = int(np.argmax(norms))
    cures = case.remedies.against_explosion(largest)
    if norms[largest] > bound:
        words = f"the gradient norm of {case.label(largest)} is {norms[largest]:.0e}"
        return case.verdict("exploding", words, cures, "grad_norm", norms > bound, norms[largest], bound)
    bound = BOUNDS["exploding"].value
    if norms[largest] > bound * case.output > 0:
        ratio = norms[largest] / case.output
        words = f"{case.label(largest)} gets {ratio:.0e} times what the output layer gets"
        return case.verdict("exploding", words, cures, "grad_norm", norms > bound * case.output, ratio, bound)
    return None


def _dead(case: _Case) -> Verdict | None:
    return _lasting_share(case, "dead", "of its units are 0 for the whole batch", case.remedies.against_dead_units)


def _saturated(case: _Case) -> Verdict | None:
    return _lasting_share(case, "saturated", "of its units are on the flat ends of φ", case.remedies.against_saturation)


def _lasting_share(
    case: _Case, kind: Literal["dead", "saturated"], words: str, cures: Callable[[int], Iterator[Cure]]
) -> Verdict | None:
    """Find a share of units that exceeds its bound in all of the last measurements."""
    bound = BOUNDS[kind].value
    least = np.min([np.ma.filled(getattr(layers, kind), 0.0) for layers in case.recent], axis=0)
    if len(case.recent) < PERSISTENCE or not (least > bound).any():
        return None
    worst = int(np.argmax(least))
    sentence = f"in {case.label(worst)}, {100 * least[worst]:.0f} % {words}"
    return case.verdict(kind, sentence, cures(worst), kind, least > bound, least[worst], bound)


def _vanished(case: _Case) -> Verdict | None:
    zero = case.norms == 0
    if not zero.any():
        return None
    first = int(np.argmax(zero))
    if zero[-1]:
        words = "not even the output layer gets a gradient"
    elif zero.sum() == 1:
        words = f"{case.label(first)} gets a gradient of exactly 0"
    else:
        words = f"{zero.sum()} layers, {case.label(first)} the first, get a gradient of exactly 0"
    return case.verdict("vanished", words, case.remedies.against_vanishing(first), "grad_norm", zero, 0.0)


def _vanishing(case: _Case) -> Verdict | None:
    bound, ratios = BOUNDS["vanishing"].value, case.norms / case.output
    weakest = int(np.argmin(ratios))
    if not ratios[weakest] < bound:
        return None
    words = f"{case.label(weakest)} gets {ratios[weakest]:.0e} of what the output layer gets"
    cures = case.remedies.against_vanishing(weakest)
    return case.verdict("vanishing", words, cures, "grad_norm", ratios < bound, ratios[weakest], bound)


def _frozen(case: _Case) -> Verdict | None:
    bound = BOUNDS["frozen"].value
    largest = np.max([np.ma.filled(layers.update_ratio, np.inf) for layers in case.recent], axis=0)
    frozen = largest < bound
    if len(case.recent) < PERSISTENCE or not frozen.any():
        return None
    slowest = int(np.argmin(largest))
    words = f"an update moves the weights of {case.label(slowest)} by {largest[slowest]:.0e} of their size"
    cures = case.remedies.against_frozen_weights(slowest)
    return case.verdict("frozen", words, cures, "update_ratio", frozen, largest[slowest], bound)


def _learned(case: _Case) -> Verdict | None:
    learning = case.learning
    if not case.has_learned:
        return None
    lost, bound = learning.validation_lost, BOUNDS["overfitting"].value
    if lost > bound and learning.step >= LATE:
        words = (
            f"the validation accuracy is {100 * lost:.0f} points below its best, while the loss is {learning.now:.3g}: "
            "what is learned now does not carry over"
        )
        nowhere = np.zeros(len(case.norms), dtype=bool)
        return case.verdict("overfitting", words, iter(()), "validation_accuracy", nowhere, lost, bound)
    if learning.trend == "converged":
        return Verdict("converged", f"converged: the loss went from {learning.initial:.3g} to {learning.now:.3g}")
    words = "the network answers better than by guessing"
    if learning.trend != "unknown":
        words = f"the loss went from {learning.initial:.3g} to {learning.now:.3g}"
    return Verdict("healthy", f"healthy: {words}{_least(case)}")


def _least(case: _Case) -> str:
    """Say which layer gets the least gradient."""
    ratios = case.norms[:-1] / case.output
    weakest = int(np.argmin(ratios))
    return f"; {case.label(weakest)} gets the least gradient, {ratios[weakest]:.2g} of what the output layer gets"


def _on_its_way(case: _Case) -> Verdict | None:
    """Hold an alarm back while the loss falls."""
    return _undecided(case) if case.learning.trend in ("falling", "learning") else None


def _undecided(case: _Case) -> Verdict | None:
    learning = case.learning
    if not case.is_undecided:
        return None
    now, guess, right = learning.now, learning.guess, learning.accuracy
    if learning.trend == "starting":
        words = f"{learning.step} steps are too few to say whether anything is learned"
    elif learning.trend == "flat":
        words = f"{100 * right:.0f} % of the answers are right, and the loss hardly falls: it is {now:.3g}"
    else:
        words = f"the loss falls, and is {now:.3g} after {learning.step} steps; guessing gives {guess:.3g}"
    watch = _least(case)
    if (case.norms[:-1] < BOUNDS["vanishing"].value * case.output).any():
        watch = f"; watch {case.label(int(np.argmin(case.norms)))}, which gets the least gradient"
    cures = () if learning.trend == "starting" else _different(case.remedies.against_slowness())
    return Verdict("starting", f"starting: {words}{watch}", cures)


def _decays(case: _Case) -> Verdict | None:
    decay, bound = case.training.weight_decay, BOUNDS["weight-decay-dominates"].value
    if not decay or case.learning.trend == "unknown":
        return None
    decoupled = case.training.optimizer == "adamw"
    pull = decay * case.layers.weight_norm
    push = case.layers.update_ratio.filled(np.nan) * case.layers.weight_norm / case.training.learning_rate
    share = float(np.median(pull / push if decoupled else pull / case.norms))
    if not share > bound:
        return None
    words = f"weight decay of {decay:g} pulls the weights to 0 {share:.2g} times as hard as the gradient moves them"
    cure = Cure("weight_decay", decay / 100, f"weight decay {decay / 100:g}")
    everywhere = np.ones(len(case.norms), dtype=bool)
    return case.verdict("weight-decay-dominates", words, iter([cure]), "weight_norm", everywhere, share, bound)


def _rate(case: _Case) -> Verdict | None:
    """Find a rate of the wrong size, where nothing is learned and the gradient is sound."""
    update, trend = case.update, case.learning.trend
    everywhere = np.ones(len(case.norms), dtype=bool)
    if trend == "unknown":
        return None
    if update > LARGE_UPDATE or (trend in ("oscillating", "diverging") and update > 5 * USUAL_UPDATE):
        words = (
            f"an update moves the weights by {update:.2g} of their size, {update / USUAL_UPDATE:.0f} times the usual"
        )
        cures = case.remedies.against_large_rate()
        return case.verdict("rate-too-large", words, cures, "update_ratio", everywhere, update, LARGE_UPDATE)
    if update < SMALL_UPDATE:
        times = USUAL_UPDATE / update if update else math.inf
        words = f"an update moves the weights by {update:.0e} of their size, {times:.0f} times less than usual"
        cures = case.remedies.against_small_rate()
        return case.verdict("rate-too-small", words, cures, "update_ratio", everywhere, update, SMALL_UPDATE)
    return None


def _unsteady(case: _Case) -> Verdict | None:
    learning = case.learning
    if learning.trend not in ("oscillating", "diverging"):
        return None
    everywhere = np.ones(len(case.norms), dtype=bool)
    words = "the loss grows" if learning.trend == "diverging" else "the loss jumps from step to step"
    cures = case.remedies.against_large_rate()
    return case.verdict(learning.trend, words, cures, "loss", everywhere, learning.swing)


def _not_learning(case: _Case) -> Verdict | None:
    if not case.learning.has_failed or case.learning.step < PATIENCE:
        return None
    everywhere = np.ones(len(case.norms), dtype=bool)
    words = "the gradient reaches every layer, but nothing is learned"
    cures = case.remedies.against_nothing()
    return case.verdict("not-learning", words, cures, "loss", everywhere, case.learning.now)


def _unknown(case: _Case) -> Verdict:
    """The last answer, where no loss is known, or too few steps are done: the error is that of guessing."""
    words = f"the gradient reaches every layer, and nothing is learned yet{_least(case)}"
    cures = _different(case.remedies.against_slowness()) if math.isfinite(case.update) else ()
    return Verdict("starting", f"starting: {words}", cures)


_CHECKS: tuple[Callable[[_Case], Verdict | None], ...] = (
    _non_finite,
    _learned,
    _on_its_way,
    _exploding,
    # causes of a vanishing gradient come before the gradient itself
    _dead,
    _saturated,
    _vanished,
    _vanishing,
    _decays,
    _undecided,
    # from here on nothing was learned in the time that it takes
    _rate,
    _frozen,
    _unsteady,
    _not_learning,
    _unknown,
)


@dataclass(frozen=True, slots=True)
class _Remedies:
    """Changes of the settings that would help, best first."""

    network: NetworkConfig
    training: TrainingConfig
    update: float

    def against_vanishing(self, layer: int) -> Iterator[Cure]:
        """Yield what makes the gradients of the first layers larger."""
        network = self.network
        yield from self._first()
        if not network.skip_connections:
            yield Cure("skip_connections", True, "skip connections on")
        if network.activation not in NON_SATURATING:
            yield Cure("activation", "relu", "activation relu")
        elif network.initialization not in ("he_normal", "he_uniform", "standard_normal"):
            yield Cure("initialization", "he_normal", "initialization he_normal")

    def against_explosion(self, layer: int) -> Iterator[Cure]:
        """Yield what makes gradients smaller."""
        yield from self._first()
        yield from self._calmer_initialization()
        yield from self._learning_rate(0.1, "a smaller learning rate")

    def against_saturation(self, layer: int) -> Iterator[Cure]:
        """Yield what moves units off the flat ends of their activation."""
        yield from self._first()
        yield from self._calmer_initialization()
        yield Cure("activation", "relu", "activation relu")

    def against_dead_units(self, layer: int) -> Iterator[Cure]:
        """Yield what makes units active again."""
        yield from self._first()
        if self.network.activation == "relu":
            yield Cure("activation", "leaky_relu", "activation leaky_relu")
        yield from self._learning_rate(0.1, "a smaller learning rate")

    def against_frozen_weights(self, layer: int) -> Iterator[Cure]:
        """Yield what makes updates larger."""
        yield from self._learning_rate(10, "a larger learning rate")
        yield from self.against_vanishing(layer)

    def against_large_rate(self) -> Iterator[Cure]:
        """Yield what makes updates smaller."""
        if self.network.batch_norm:
            yield from self._usual_rate()
        yield from self._first()
        yield from self._learning_rate(0.1, "a smaller learning rate")

    def against_small_rate(self) -> Iterator[Cure]:
        """Yield what makes all updates larger."""
        yield from self._first()
        yield from self._learning_rate(10, "a larger learning rate")

    def against_slowness(self) -> Iterator[Cure]:
        """Yield what speeds a start up."""
        yield from self._first()

    def against_nothing(self) -> Iterator[Cure]:
        """Yield what helps where no cause was found."""
        yield from self._first()
        yield from self._learning_rate(10 if self.update < USUAL_UPDATE else 0.1, "another learning rate")

    def _first(self) -> Iterator[Cure]:
        """Yield what helps most networks, whatever is wrong.

        BatchNorm helps wherever it is missing; very deep, or with a small rate, together with skip connections. Where
        it is there, the rate is wrong, or the depth, whose gently exploding gradient skip connections calm (Yang et al.
        2019).
        """
        network, training = self.network, self.training
        is_slow = training.learning_rate < USUAL_RATES[training.optimizer] / SLOW
        is_deep = network.hidden_layers > DEEP
        skip = (Change("skip_connections", True),) if not network.skip_connections and (is_deep or is_slow) else ()
        rate = USUAL_RATES[training.optimizer]
        if not network.batch_norm:
            faster = (Change("learning_rate", rate),) if is_slow else ()
            words = "BatchNorm and skip connections on" if skip else "BatchNorm on"
            yield Cure("batch_norm", True, f"{words}, learning rate {rate:g}" if faster else words, skip + faster)
        elif is_slow:
            yield from self._usual_rate(skip if is_deep else ())
        elif not network.skip_connections and not self.update > LARGE_UPDATE:
            yield Cure("skip_connections", True, "skip connections on")
        else:
            yield from self._usual_rate(skip)

    def _usual_rate(self, also: tuple[Change, ...] = ()) -> Iterator[Cure]:
        rate = USUAL_RATES[self.training.optimizer]
        if rate != self.training.learning_rate:
            words = f"learning rate {rate:g}"
            yield Cure("learning_rate", rate, f"{words} and skip connections on" if also else words, also)

    def _learning_rate(self, factor: float, text: str) -> Iterator[Cure]:
        """Yield a multiple of the current rate, rounded to six digits, unless it is 0 or not finite."""
        rate = float(f"{self.training.learning_rate * factor:.6g}")
        if 0 < rate < math.inf:
            yield Cure("learning_rate", rate, text)

    def _calmer_initialization(self) -> Iterator[Cure]:
        if self.network.initialization in LARGE_INITIALIZATIONS:
            calm = "he_normal" if self.network.activation in ("relu", "leaky_relu") else "xavier_normal"
            yield Cure("initialization", calm, f"initialization {calm}")


def _different(cures: Iterable[Cure]) -> tuple[Cure, ...]:
    """Return the cures, of each setting the first."""
    found: dict[str | None, Cure] = {}
    for cure in cures:
        if cure.setting not in found and not any(
            cure.setting == one.setting for kept in found.values() for one in kept.also
        ):
            found[cure.setting] = cure
    return tuple(found.values())
