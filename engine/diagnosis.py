"""From a measurement to a verdict in words, and the single changes that would help, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.config import NetworkConfig
from engine.telemetry import LayerMeasurements

VANISHING_RATIO = 1e-3
"""A layer with less than this share of the output layer's gradient norm learns a thousand times slower."""
VANISHED_RATIO = 1e-8
"""Below float32's unit roundoff, 6e-8: where the output layer's weights move by their own size, these do not move."""
EXPLODING_RATIO = 1e3
"""As VANISHING_RATIO, the other way round."""
EXPLODING_NORM = 1e3
"""A matrix of 64×64 with Xavier's weights has the norm 8: an update of 0.1 × this norm replaces it ten times over."""

FAR_REACHING = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "linear")
"""Activations whose derivative is about 1 over a half line or more."""

VerdictKind = Literal["healthy", "vanishing", "vanished", "exploding", "non-finite"]
Health = Literal["learning", "weak", "vanished", "zero", "exploding", "NaN", "infinite"]


@dataclass(frozen=True, slots=True)
class Cure:
    """One change of a configuration: the field, the value it should take, and the change in words."""

    setting: str
    value: bool | str | float
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, if anything, in one sentence with its evidence, and the cures, best first."""

    kind: VerdictKind
    message: str
    cures: tuple[Cure, ...] = ()


def layer_label(layer: int, layers: int) -> str:
    """What people call weight layer `layer` of `layers`: hidden layers count from 1, the last is the output layer."""
    return "the output layer" if layer == layers - 1 else f"layer {layer + 1}"


def layer_health(grad_norm: NDArray[np.float64]) -> list[Health]:
    """A word for every layer, by its gradient norm relative to the output layer's."""
    reference = grad_norm[-1]
    return [_health(float(norm), float(reference)) for norm in grad_norm]


def _health(norm: float, reference: float) -> Health:
    if np.isnan(norm):
        return "NaN"
    if np.isinf(norm):
        return "infinite"
    if norm == 0:
        return "zero"
    if norm < VANISHED_RATIO * reference:
        return "vanished"
    if norm < VANISHING_RATIO * reference:
        return "weak"
    if norm > EXPLODING_RATIO * reference:
        return "exploding"
    return "learning"


def diagnose(network: NetworkConfig, layers: LayerMeasurements) -> Verdict:
    """The verdict on one measurement of a network."""
    # the extremes too: a NaN between two measurements counts
    broken = ~(np.isfinite(layers.grad_norm_min) & np.isfinite(layers.grad_norm_max))
    norms, count = layers.grad_norm, len(layers.grad_norm)
    if broken.any():
        first = layer_label(int(np.argmax(broken)), count)
        return Verdict(
            "non-finite", f"non-finite: the gradient of {first} is NaN or ∞", tuple(_against_explosion(network))
        )
    hidden, reference = norms[:-1], norms[-1]
    if reference == 0:
        return Verdict("vanished", "vanished: not even the output layer gets a gradient")
    zeros = int(np.count_nonzero(hidden == 0))
    weakest, strongest = int(np.argmin(hidden)), int(np.argmax(hidden))
    if zeros:
        which = f"{zeros} layers, {layer_label(0, count)} among them, get" if hidden[0] == 0 else f"{zeros} layers get"
        if zeros == 1:
            which = f"{layer_label(weakest, count)} gets"
        return Verdict("vanished", f"vanished: {which} a gradient of exactly 0", tuple(_against_vanishing(network)))
    ratios = hidden / reference
    largest = int(np.argmax(norms))
    if norms[largest] > EXPLODING_NORM:
        return Verdict(
            "exploding",
            f"exploding: the gradient norm of {layer_label(largest, count)} is {norms[largest]:.0e}",
            tuple(_against_explosion(network)),
        )
    if ratios[weakest] < VANISHING_RATIO:
        return Verdict(
            "vanishing",
            f"vanishing: {layer_label(weakest, count)} gets {ratios[weakest]:.0e} of what the output layer gets",
            tuple(_against_vanishing(network)),
        )
    if ratios[strongest] > EXPLODING_RATIO:
        return Verdict(
            "exploding",
            f"exploding: {layer_label(strongest, count)} gets {ratios[strongest]:.0e} times what the output layer gets",
            tuple(_against_explosion(network)),
        )
    return Verdict(
        "healthy",
        f"healthy: every layer learns; {layer_label(weakest, count)} gets the least, "
        f"{ratios[weakest]:.2g} of what the output layer gets",
    )


def _against_vanishing(network: NetworkConfig) -> Iterator[Cure]:
    if not network.batch_norm:
        yield Cure("batch_norm", True, "BatchNorm on")
    if not network.skip_connections:
        yield Cure("skip_connections", True, "skip connections on")
    if network.activation not in FAR_REACHING:
        yield Cure("activation", "relu", "activation relu")
    elif network.initialization not in ("he_normal", "he_uniform", "standard_normal"):
        yield Cure("initialization", "he_normal", "initialization he_normal")


def _against_explosion(network: NetworkConfig) -> Iterator[Cure]:
    calm = "he_normal" if network.activation in ("relu", "leaky_relu") else "xavier_normal"
    if network.initialization in ("standard_normal", "gaussian"):
        yield Cure("initialization", calm, f"initialization {calm}")
    if not network.batch_norm:
        yield Cure("batch_norm", True, "BatchNorm on")
    elif not network.skip_connections:
        yield Cure("skip_connections", True, "skip connections on")
    yield Cure("learning_rate", 0.01, "a smaller learning rate")
