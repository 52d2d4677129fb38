"""From measurements to a verdict: what is wrong, which value exceeds which bound, and what would help."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.config import NetworkConfig, TrainingConfig
from engine.health import output_norm
from engine.telemetry import LayerMeasurements
from engine.verdict import BOUNDS, PERSISTENCE, Cure, Evidence, Verdict, VerdictKind

NON_SATURATING = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "linear")
"""Activations whose derivative is about 1 over at least a half-line."""
LARGE_INITIALIZATIONS = ("standard_normal", "gaussian")
"""Initializations whose variance can be far above 1/fan_in."""


def layer_label(layer: int, layers: int) -> str:
    """Name a weight layer for people.

    Args:
        layer: The weight layer, counted from 0 at the input.
        layers: The number of weight layers.

    Returns:
        "layer 1" for the first hidden layer and so on; "the output layer" for the last.
    """
    return "the output layer" if layer == layers - 1 else f"layer {layer + 1}"


class Remedies(Protocol):
    """The cures of each problem, best first; `layer` is the weight layer that the verdict names."""

    def against_vanishing(self, layer: int) -> Iterator[Cure]:
        """Yield what makes the gradients of the first layers larger."""

    def against_explosion(self, layer: int) -> Iterator[Cure]:
        """Yield what makes gradients smaller."""

    def against_saturation(self, layer: int) -> Iterator[Cure]:
        """Yield what moves units off the flat ends of their activation."""

    def against_dead_units(self, layer: int) -> Iterator[Cure]:
        """Yield what makes units active again."""

    def against_frozen_weights(self, layer: int) -> Iterator[Cure]:
        """Yield what makes updates larger."""


class _Case:
    """A network to diagnose: the names of its layers, its remedies and its last measurements, the newest last.

    `norms` are the gradient norms. An unknown one is replaced by the output layer's, so that nothing is found in that
    layer.
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
        """Make a verdict whose message begins with its kind."""
        layers = tuple(np.flatnonzero(where).tolist())
        return Verdict(kind, f"{kind}: {words}", tuple(cures), (Evidence(layers, field, np.float64(value), bound),))


def diagnose(network: NetworkConfig, training: TrainingConfig, recent: Sequence[LayerMeasurements]) -> Verdict:
    """Diagnose a network.

    Args:
        network: Its configuration.
        training: The configuration of its training.
        recent: Its last measurements, the newest last; at least one.

    Returns:
        The verdict.
    """
    label = partial(layer_label, layers=len(recent[-1].grad_norm))
    return diagnose_by(label, _ConfigurationRemedies(network, training), recent)


def diagnose_by(label: Callable[[int], str], remedies: Remedies, recent: Sequence[LayerMeasurements]) -> Verdict:
    """Diagnose any model that has layers.

    Args:
        label: Returns the name of a weight layer.
        remedies: The cures for this kind of model.
        recent: Its last measurements, the newest last; at least one. Nothing is found in a layer whose values are
            masked.

    Returns:
        The verdict.
    """
    case = _Case(label, remedies, list(recent))
    with np.errstate(over="ignore"):  # a ratio that overflows is ∞
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
    # causes of a vanishing gradient come before the gradient itself
    _dead,
    _saturated,
    _vanished,
    _vanishing,
    _frozen,
    _healthy,
)


@dataclass(frozen=True, slots=True)
class _ConfigurationRemedies:
    """Remedies for the engine's own network: changes of one setting, none of which applies to one layer only."""

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
        """Yield a multiple of the current rate, rounded to six digits, unless it is 0 or not finite."""
        rate = float(f"{self.training.learning_rate * factor:.6g}")
        if 0 < rate < math.inf:
            yield Cure("learning_rate", rate, text)

    def _calmer_initialization(self) -> Iterator[Cure]:
        if self.network.initialization in LARGE_INITIALIZATIONS:
            calm = "he_normal" if self.network.activation in ("relu", "leaky_relu") else "xavier_normal"
            yield Cure("initialization", calm, f"initialization {calm}")
