"""The verdict on your own model: the same bounds, layers by their names, cures in the words of its framework."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.diagnosis import diagnose_by
from engine.telemetry import LayerMeasurements
from engine.verdict import Cure, Verdict

PYTORCH = "PyTorch"
SATURATING = ("Sigmoid", "Tanh", "Softsign", "Hardsigmoid", "Hardtanh", "LogSigmoid")
"""PyTorch's names of activations whose derivative tends to 0 on both sides."""
RECTIFYING = ("ReLU", "ReLU6")
"""PyTorch's names of activations that are exactly 0 on a half-line."""


@dataclass(frozen=True, slots=True)
class ModelLayer:
    """A layer with weights, described as its framework does.

    Attributes:
        name: Its name in the model.
        kind: Its class; empty if unknown.
        activation: The class of the activation after it; empty if unknown.
        units: The number of outputs or channels; 0 if unknown.
    """

    name: str
    kind: str = ""
    activation: str = ""
    units: int = 0

    @property
    def label(self) -> str:
        """The name, with the kind if it is known."""
        return f"{self.name} ({self.kind})" if self.kind else self.name


def diagnose_model(layers: Sequence[ModelLayer], framework: str, recent: Sequence[LayerMeasurements]) -> Verdict:
    """Diagnose a model of any framework.

    Args:
        layers: The model's layers with weights, in the order of the measurements.
        framework: The name of its framework; PYTORCH has cures in code.
        recent: Its last measurements, the newest last; at least one.

    Returns:
        The verdict.
    """
    remedies = _PyTorchRemedies(layers) if framework == PYTORCH else _GenericRemedies(layers)
    return diagnose_by(lambda layer: layers[layer].label, remedies, recent)


@dataclass(frozen=True, slots=True)
class _GenericRemedies:
    """Remedies in words that apply to every framework."""

    layers: Sequence[ModelLayer]

    def against_vanishing(self, layer: int) -> Iterator[Cure]:
        name = self.layers[layer].name
        if self.layers[layer].activation in SATURATING:
            yield _cure(f"ReLU rather than {self.layers[layer].activation} after {name}")
        yield _cure(f"He or Xavier initialization of {name}")
        yield _cure(f"a normalization after {name}")

    def against_explosion(self, layer: int) -> Iterator[Cure]:
        yield _cure("clip the gradient's norm")
        yield _cure("a smaller learning rate")
        yield _cure(f"a normalization after {self.layers[layer].name}")

    def against_saturation(self, layer: int) -> Iterator[Cure]:
        yield _cure(f"Xavier initialization of {self.layers[layer].name}")
        yield _cure(f"a normalization after {self.layers[layer].name}")

    def against_dead_units(self, layer: int) -> Iterator[Cure]:
        yield _cure(f"leaky ReLU after {self.layers[layer].name}")
        yield _cure("a smaller learning rate")

    def against_frozen_weights(self, layer: int) -> Iterator[Cure]:
        yield _cure("a larger learning rate")


@dataclass(frozen=True, slots=True)
class _PyTorchRemedies:
    """Remedies as lines of PyTorch."""

    layers: Sequence[ModelLayer]

    def against_vanishing(self, layer: int) -> Iterator[Cure]:
        yield from self._other_activation(layer, SATURATING, "nn.ReLU()")
        yield from self._initialization(layer, "kaiming_normal_")
        yield from self._normalization(layer)

    def against_explosion(self, layer: int) -> Iterator[Cure]:
        yield _cure("nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step()")
        yield _cure("a smaller lr")
        yield from self._normalization(layer)

    def against_saturation(self, layer: int) -> Iterator[Cure]:
        yield from self._initialization(layer, "xavier_normal_")
        yield from self._normalization(layer)
        yield from self._other_activation(layer, SATURATING, "nn.ReLU()")

    def against_dead_units(self, layer: int) -> Iterator[Cure]:
        yield from self._other_activation(layer, RECTIFYING, "nn.LeakyReLU()")
        yield from self._initialization(layer, "kaiming_normal_")
        yield _cure("a smaller lr")

    def against_frozen_weights(self, layer: int) -> Iterator[Cure]:
        yield _cure("a larger lr")
        yield from self.against_vanishing(layer)

    def _initialization(self, layer: int, name: str) -> Iterator[Cure]:
        """Yield an initialization, if the layer is of a kind whose matrix is called weight."""
        if self.layers[layer].kind.startswith(("Linear", "Conv", "Embedding")):
            yield _cure(f"nn.init.{name}({_in_python(self.layers[layer].name)}.weight)")

    def _other_activation(self, layer: int, instead_of: Sequence[str], better: str) -> Iterator[Cure]:
        found = self.layers[layer].activation
        if found in instead_of:
            yield _cure(f"{better} rather than nn.{found}() after {self.layers[layer].name}")

    def _normalization(self, layer: int) -> Iterator[Cure]:
        """Yield the normalization that fits the layer's output; none after a layer that normalizes."""
        entry = self.layers[layer]
        if entry.units and (norm := _norm_for(entry.kind)):
            yield _cure(f"nn.{norm}({entry.units}) after {entry.name}")


def _in_python(name: str) -> str:
    """Return the expression for a layer in a script: blocks.3.fc is model.blocks[3].fc."""
    return "model" + "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in name.split("."))


def _norm_for(kind: str) -> str | None:
    if kind.startswith("Conv"):
        return f"BatchNorm{kind[-2:]}"
    return {"Linear": "BatchNorm1d", "Embedding": "LayerNorm", "MultiheadAttention": "LayerNorm"}.get(kind)


def _cure(text: str) -> Cure:
    return Cure(None, None, text)
