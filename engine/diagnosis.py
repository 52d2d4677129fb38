"""From measurements to one verdict: what is wrong, by which number against which bound, and what would help."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

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

FAR_REACHING = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "linear")
"""Activations whose derivative is about 1 over a half line or more."""
LARGE_INITIALIZATIONS = ("standard_normal", "gaussian")
"""Initializations whose variance may be far above 1/fan_in."""

VerdictKind = Literal["healthy", "vanishing", "vanished", "exploding", "non-finite", "saturated", "dead", "frozen"]
Health = Literal["learning", "weak", "vanished", "zero", "exploding", "NaN", "infinite"]


@dataclass(frozen=True, slots=True)
class Cure:
    """One change of a configuration: the field, the value it should take, and the change in words."""

    setting: str
    value: bool | str | float
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
    reference = float(grad_norm[-1])
    return [_health(norm, reference) for norm in grad_norm.tolist()]


def _health(norm: float, reference: float) -> Health:
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


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """What is diagnosed: the configuration, and the last measurements, the newest last."""

    network: NetworkConfig
    training: TrainingConfig
    recent: Sequence[LayerMeasurements]

    @property
    def layers(self) -> LayerMeasurements:
        return self.recent[-1]

    def label(self, layer: int) -> str:
        return layer_label(layer, len(self.layers.grad_norm))

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
    case = _Case(network, training, list(recent)[-PERSISTENCE:])
    return next(verdict for check in _CHECKS if (verdict := check(case)))


def _non_finite(case: _Case) -> Verdict | None:
    # the extremes too: a NaN between two measurements counts
    broken = ~(np.isfinite(case.layers.grad_norm_min) & np.isfinite(case.layers.grad_norm_max))
    if not broken.any():
        return None
    words = f"the gradient of {case.label(int(np.argmax(broken)))} is NaN or ∞"
    return case.verdict("non-finite", words, _against_explosion(case), "grad_norm_max", broken, np.nan)


def _exploding(case: _Case) -> Verdict | None:
    norms, bound = case.layers.grad_norm, BOUNDS["exploding norm"].value
    largest = int(np.argmax(norms))
    if norms[largest] > bound:
        words = f"the gradient norm of {case.label(largest)} is {norms[largest]:.0e}"
        return case.verdict(
            "exploding", words, _against_explosion(case), "grad_norm", norms > bound, norms[largest], bound
        )
    bound = BOUNDS["exploding"].value
    if norms[largest] > bound * norms[-1] > 0:
        ratio = norms[largest] / norms[-1]
        words = f"{case.label(largest)} gets {ratio:.0e} times what the output layer gets"
        where = norms > bound * norms[-1]
        return case.verdict("exploding", words, _against_explosion(case), "grad_norm", where, ratio, bound)
    return None


def _dead(case: _Case) -> Verdict | None:
    return _lasting_share(case, "dead", "of its units are 0 for the whole batch", _against_dead_units(case))


def _saturated(case: _Case) -> Verdict | None:
    return _lasting_share(case, "saturated", "of its units are on the flat ends of φ", _against_saturation(case))


def _lasting_share(
    case: _Case, kind: Literal["dead", "saturated"], words: str, cures: Iterator[Cure]
) -> Verdict | None:
    """A share of units that is above its bound in every one of the last measurements."""
    bound = BOUNDS[kind].value
    least = np.min([np.ma.filled(getattr(layers, kind), 0.0) for layers in case.recent], axis=0)
    if len(case.recent) < PERSISTENCE or not (least > bound).any():
        return None
    worst = int(np.argmax(least))
    sentence = f"in {case.label(worst)}, {100 * least[worst]:.0f} % {words}"
    return case.verdict(kind, sentence, cures, kind, least > bound, least[worst], bound)


def _vanished(case: _Case) -> Verdict | None:
    zero = case.layers.grad_norm == 0
    if not zero.any():
        return None
    if zero[-1]:
        words = "not even the output layer gets a gradient"
    elif zero.sum() == 1:
        words = f"{case.label(int(np.argmax(zero)))} gets a gradient of exactly 0"
    else:
        words = f"{zero.sum()} layers, {case.label(int(np.argmax(zero)))} the first, get a gradient of exactly 0"
    return case.verdict("vanished", words, _against_vanishing(case), "grad_norm", zero, 0.0)


def _vanishing(case: _Case) -> Verdict | None:
    bound, ratios = BOUNDS["vanishing"].value, case.layers.grad_norm / case.layers.grad_norm[-1]
    weakest = int(np.argmin(ratios))
    if ratios[weakest] >= bound:
        return None
    words = f"{case.label(weakest)} gets {ratios[weakest]:.0e} of what the output layer gets"
    where = ratios < bound
    return case.verdict("vanishing", words, _against_vanishing(case), "grad_norm", where, ratios[weakest], bound)


def _frozen(case: _Case) -> Verdict | None:
    bound = BOUNDS["frozen"].value
    largest = np.max([np.ma.filled(layers.update_ratio, np.inf) for layers in case.recent], axis=0)
    frozen = largest < bound
    if len(case.recent) < PERSISTENCE or not frozen.any():
        return None
    slowest = int(np.argmin(largest))
    words = f"an update moves the weights of {case.label(slowest)} by {largest[slowest]:.0e} of their size"
    return case.verdict("frozen", words, _against_frost(case), "update_ratio", frozen, largest[slowest], bound)


def _healthy(case: _Case) -> Verdict:
    ratios = case.layers.grad_norm[:-1] / case.layers.grad_norm[-1]
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


def _against_vanishing(case: _Case) -> Iterator[Cure]:
    network = case.network
    if not network.batch_norm:
        yield Cure("batch_norm", True, "BatchNorm on")
    if not network.skip_connections:
        yield Cure("skip_connections", True, "skip connections on")
    if network.activation not in FAR_REACHING:
        yield Cure("activation", "relu", "activation relu")
    elif network.initialization not in ("he_normal", "he_uniform", "standard_normal"):
        yield Cure("initialization", "he_normal", "initialization he_normal")


def _against_explosion(case: _Case) -> Iterator[Cure]:
    network = case.network
    yield from _calmer_initialization(network)
    if not network.batch_norm:
        yield Cure("batch_norm", True, "BatchNorm on")
    elif not network.skip_connections:
        yield Cure("skip_connections", True, "skip connections on")
    yield Cure("learning_rate", case.training.learning_rate / 10, "a smaller learning rate")


def _against_saturation(case: _Case) -> Iterator[Cure]:
    yield from _calmer_initialization(case.network)
    if not case.network.batch_norm:
        yield Cure("batch_norm", True, "BatchNorm on")
    yield Cure("activation", "relu", "activation relu")


def _against_dead_units(case: _Case) -> Iterator[Cure]:
    if case.network.activation == "relu":
        yield Cure("activation", "leaky_relu", "activation leaky_relu")
    if not case.network.batch_norm:
        yield Cure("batch_norm", True, "BatchNorm on")
    yield Cure("learning_rate", case.training.learning_rate / 10, "a smaller learning rate")


def _against_frost(case: _Case) -> Iterator[Cure]:
    yield Cure("learning_rate", case.training.learning_rate * 10, "a larger learning rate")
    yield from _against_vanishing(case)


def _calmer_initialization(network: NetworkConfig) -> Iterator[Cure]:
    if network.initialization in LARGE_INITIALIZATIONS:
        calm = "he_normal" if network.activation in ("relu", "leaky_relu") else "xavier_normal"
        yield Cure("initialization", calm, f"initialization {calm}")
