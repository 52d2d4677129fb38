"""From measurements to one verdict: what is wrong, by which number against which bound, and what would help."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.config import NetworkConfig, TrainingConfig
from engine.telemetry import LayerMeasurements


@dataclass(frozen=True, slots=True)
class Bound:
    """A number that a measurement is held against, and why it is this one."""

    value: float
    source: str


BOUNDS = {
    "vanishing": Bound(1e-3, "a layer with this share of the output layer's gradient learns a thousand times slower"),
    "vanished": Bound(1e-8, "below float32's unit roundoff, 6e-8: moves that large are lost beside the output layer's"),
    "exploding": Bound(1e3, "as vanishing, the other way round"),
    "exploding norm": Bound(1e3, "64×64 weights of Xavier have the norm 8; 0.1 of this replaces them ten times over"),
    "saturated": Bound(
        0.5, "most of a layer's units pass less than 5 % of the largest slope (Glorot & Bengio 2010, §3)"
    ),
    "dead": Bound(0.9, "less than a tenth of a layer's units carry a signal (Lu et al. 2020, dying ReLU)"),
    "frozen": Bound(1e-7, "about float32's spacing at 1, 1.2e-7: the update is lost in the rounding of the weight"),
}
"""Every bound, with its source."""
PERSISTENCE = 3
"""Measurements in a row for which saturated, dead and frozen must hold, as one batch may show any of them by chance."""

NON_SATURATING = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "linear")
"""Activations whose derivative is about 1 over a half line or more."""
LARGE_INITIALIZATIONS = ("standard_normal", "gaussian")
"""Initializations whose variance may be far above 1/fan_in."""

VerdictKind = Literal["healthy", "vanishing", "vanished", "exploding", "non-finite", "saturated", "dead", "frozen"]
Health = Literal["learning", "weak", "vanished", "zero", "exploding", "NaN", "infinite", "unknown"]


@dataclass(frozen=True, slots=True)
class Cure:
    """One change, in words; of a configuration also the field, and the value it should take."""

    setting: str | None
    value: bool | str | float | None
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on: weight layers from the input, a field of the measurement, its worst value, the bound.

    bound is None where the value alone says it. A value may be a ratio to the output layer's.
    """

    layers: tuple[int, ...]
    field: str
    value: np.float64
    bound: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, if anything, in one sentence with its evidence, and the cures, best first."""

    kind: VerdictKind
    message: str
    cures: tuple[Cure, ...] = ()
    evidence: tuple[Evidence, ...] = ()


def layer_label(layer: int, layers: int) -> str:
    """What people call weight layer `layer` of `layers`: hidden layers count from 1, the last is the output layer."""
    return "the output layer" if layer == layers - 1 else f"layer {layer + 1}"


def layer_health(grad_norm: NDArray[np.float64]) -> list[Health]:
    """A word for every layer, by its gradient norm relative to the output layer's; too large is so by itself too."""
    reference = output_norm(grad_norm)
    return [_health(norm, reference) for norm in grad_norm.tolist()]


def output_norm(grad_norm: NDArray[np.float64]) -> float:
    """The gradient norm of the output layer, against which others are held: the last that is known, NaN for none."""
    known = grad_norm.compressed() if isinstance(grad_norm, np.ma.MaskedArray) else grad_norm
    return float(known[-1]) if len(known) else float("nan")


def _health(norm: float | None, reference: float) -> Health:
    if norm is None:
        return "unknown"
    if np.isnan(norm):
        return "NaN"
    if np.isinf(norm):
        return "infinite"
    if norm == 0:
        return "zero"
    if norm < BOUNDS["vanished"].value * reference:
        return "vanished"
    if norm < BOUNDS["vanishing"].value * reference:
        return "weak"
    if norm > BOUNDS["exploding"].value * reference or norm > BOUNDS["exploding norm"].value:
        return "exploding"
    return "learning"


class Remedies(Protocol):
    """What helps what is diagnosed, best first. `layer` is the one that the verdict names."""

    def against_vanishing(self, layer: int) -> Iterator[Cure]: ...

    def against_explosion(self, layer: int) -> Iterator[Cure]: ...

    def against_saturation(self, layer: int) -> Iterator[Cure]: ...

    def against_dead_units(self, layer: int) -> Iterator[Cure]: ...

    def against_frozen_weights(self, layer: int) -> Iterator[Cure]: ...


class _Case:
    """What is diagnosed: what its layers are called, its remedies, and the last measurements, the newest last.

    norms: of the gradient; a layer of which it is unknown gets what the output layer gets, so that nothing is found in
    it.
    """

    def __init__(self, label: Callable[[int], str], remedies: Remedies, recent: Sequence[LayerMeasurements]) -> None:
        self.label = label
        self.remedies = remedies
        self.recent = recent[-PERSISTENCE:]
        self.layers = recent[-1]
        self.output = output_norm(self.layers.grad_norm)
        self.norms = np.ma.filled(self.layers.grad_norm, self.output)

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
        """A verdict whose message begins with its kind."""
        places = tuple(np.flatnonzero(where).tolist())
        return Verdict(kind, f"{kind}: {words}", tuple(cures), (Evidence(places, field, np.float64(value), bound),))


def diagnose(network: NetworkConfig, training: TrainingConfig, recent: Sequence[LayerMeasurements]) -> Verdict:
    """The verdict on a network's last measurements, the newest last; at least one."""
    label = partial(layer_label, layers=len(recent[-1].grad_norm))
    return diagnose_by(label, _ConfigurationRemedies(network, training), recent)


def diagnose_by(label: Callable[[int], str], remedies: Remedies, recent: Sequence[LayerMeasurements]) -> Verdict:
    """The same, of whatever has layers. Where nothing is known of a layer, nothing is found in it."""
    case = _Case(label, remedies, list(recent))
    with np.errstate(over="ignore"):  # a ratio beyond all numbers is ∞
        return next(verdict for check in _CHECKS if (verdict := check(case)))


def _non_finite(case: _Case) -> Verdict | None:
    # the extremes too: a NaN between two measurements counts
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
    """A share of units that is above its bound in every one of the last measurements."""
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


def _healthy(case: _Case) -> Verdict:
    if np.isnan(case.output):
        return Verdict("healthy", "healthy: nothing is found, as no layer's gradient is known")
    ratios = case.norms[:-1] / case.output
    if not len(ratios):
        return Verdict("healthy", f"healthy: {case.label(0)} learns")
    weakest = int(np.argmin(ratios))
    words = (
        f"every layer learns; {case.label(weakest)} gets the least, {ratios[weakest]:.2g} of what the output layer gets"
    )
    return Verdict("healthy", f"healthy: {words}")


_CHECKS: tuple[Callable[[_Case], Verdict | None], ...] = (
    _non_finite,
    _exploding,
    # the reasons for a vanishing gradient come before it
    _dead,
    _saturated,
    _vanished,
    _vanishing,
    _frozen,
    _healthy,
)


@dataclass(frozen=True, slots=True)
class _ConfigurationRemedies:
    """Remedies of our own network: single changes of its configuration. None of them is for one layer alone."""

    network: NetworkConfig
    training: TrainingConfig

    def against_vanishing(self, layer: int) -> Iterator[Cure]:
        network = self.network
        if not network.batch_norm:
            yield Cure("batch_norm", True, "BatchNorm on")
        if not network.skip_connections:
            yield Cure("skip_connections", True, "skip connections on")
        if network.activation not in NON_SATURATING:
            yield Cure("activation", "relu", "activation relu")
        elif network.initialization not in ("he_normal", "he_uniform", "standard_normal"):
            yield Cure("initialization", "he_normal", "initialization he_normal")

    def against_explosion(self, layer: int) -> Iterator[Cure]:
        yield from self._calmer_initialization()
        if not self.network.batch_norm:
            yield Cure("batch_norm", True, "BatchNorm on")
        elif not self.network.skip_connections:
            yield Cure("skip_connections", True, "skip connections on")
        yield from self._learning_rate(0.1, "a smaller learning rate")

    def against_saturation(self, layer: int) -> Iterator[Cure]:
        yield from self._calmer_initialization()
        if not self.network.batch_norm:
            yield Cure("batch_norm", True, "BatchNorm on")
        yield Cure("activation", "relu", "activation relu")

    def against_dead_units(self, layer: int) -> Iterator[Cure]:
        if self.network.activation == "relu":
            yield Cure("activation", "leaky_relu", "activation leaky_relu")
        if not self.network.batch_norm:
            yield Cure("batch_norm", True, "BatchNorm on")
        yield from self._learning_rate(0.1, "a smaller learning rate")

    def against_frozen_weights(self, layer: int) -> Iterator[Cure]:
        yield from self._learning_rate(10, "a larger learning rate")
        yield from self.against_vanishing(layer)

    def _learning_rate(self, factor: float, text: str) -> Iterator[Cure]:
        """So many times the present one, in few digits as it is shown and typed; none where that is no rate."""
        rate = float(f"{self.training.learning_rate * factor:.6g}")
        if 0 < rate < math.inf:
            yield Cure("learning_rate", rate, text)

    def _calmer_initialization(self) -> Iterator[Cure]:
        if self.network.initialization in LARGE_INITIALIZATIONS:
            calm = "he_normal" if self.network.activation in ("relu", "leaky_relu") else "xavier_normal"
            yield Cure("initialization", calm, f"initialization {calm}")
