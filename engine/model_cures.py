"""What would help a model of another framework: in its own words, and as changes that a machine can make.

The changes are named in vgtui/watching/cures.py, which makes them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.observations import Observations, Origin
from engine.verdict import BOUNDS, USUAL_UPDATE, Change, Cure

PYTORCH = "PyTorch"
SATURATING = ("Sigmoid", "Tanh", "Softsign", "Hardsigmoid", "Hardtanh", "LogSigmoid")
"""PyTorch's names of activations whose derivative tends to 0 on both sides."""
RECTIFYING = ("ReLU", "ReLU6")
"""PyTorch's names of activations that are exactly 0 on a half-line."""
RECURRENT = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
"""PyTorch's names of layers that run over time."""
DEEP = 20
"""Matrices from which on a plain network needs more than the right start."""
FAR_TARGETS = BOUNDS["targets-out-of-scale"].value
USUAL_ADAPTIVE_RATE = 1e-3
"""The default rate of Adam and its kin in PyTorch."""


@dataclass(frozen=True, slots=True)
class ModelLayer:
    """A layer with weights, described as its framework does.

    Attributes:
        name: Its name in the model.
        kind: Its class; empty if unknown.
        activation: The class of the activation after it; empty if unknown.
        units: The number of outputs or channels; 0 if unknown.
        is_matrix: Whether its weight mixes inputs, unlike a norm's scale, an embedding or a token.
    """

    name: str
    kind: str = ""
    activation: str = ""
    units: int = 0
    is_matrix: bool = True

    @property
    def label(self) -> str:
        """The name, with the kind if it is known."""
        return f"{self.name} ({self.kind})" if self.kind and self.kind != self.name else self.name


@dataclass(frozen=True, slots=True)
class Advice:
    """The cures of each problem, best first, each for the whole model."""

    layers: Sequence[ModelLayer]
    framework: str
    seen: Observations
    matrices: NDArray[np.bool_]

    @property
    def _is_pytorch(self) -> bool:
        return self.framework == PYTORCH

    @property
    def _is_transformer(self) -> bool:
        return any("Attention" in layer.kind or "attn" in layer.name.lower() for layer in self.layers)

    @property
    def _has_norms(self) -> bool:
        return any("Norm" in layer.kind for layer in self.layers)

    @property
    def _is_recurrent(self) -> bool:
        return any(layer.kind in RECURRENT for layer in self.layers)

    @property
    def _saturating(self) -> list[str]:
        """The saturating activations of the hidden layers."""
        found = [layer.activation for layer in self.layers[:-1] if layer.activation in SATURATING]
        return list(dict.fromkeys(found))

    def _activation_words(self, old: str, new: str) -> str:
        count = sum(layer.activation == old for layer in self.layers[:-1])
        name = f"nn.{new}()" if self._is_pytorch else new
        other = f"nn.{old}()" if self._is_pytorch else old
        return (
            f"{name} in place of {other} after all {count} hidden layers"
            if count > 1
            else f"{name} in place of {other}"
        )

    # the gradient does not get through

    def against_vanishing(self) -> Iterator[Cure]:
        """Yield what makes the gradients of the first layers larger."""
        if self._is_transformer:
            yield from self._deep_transformer()
            return
        he = Change("initialization", "kaiming_normal_")
        is_deep = self.matrices.sum() > DEEP
        clip = (Change("gradient_clip", 1.0),) if is_deep else ()
        clipped = ", with the gradient's norm clipped at 1" if is_deep else ""
        for old in self._saturating[:1]:
            words = f"{self._activation_words(old, 'ReLU')}, and He initialization with it (either alone does not help)"
            yield _cure(words + clipped, Change("activation", f"{old}>ReLU"), he, *clip)
        if is_deep and not self._saturating:
            yield _cure(f"He initialization of all layers{clipped}", he, *clip)
        yield from self._normalization()
        if not is_deep and not self._saturating:
            yield _cure("He initialization of all layers", he)
        yield _cure("skip connections around every layer or two")

    def against_collapse(self) -> Iterator[Cure]:
        """Yield what tells samples apart in the upper layers."""
        yield from self.against_vanishing()

    def _deep_transformer(self) -> Iterator[Cure]:
        warm_up = (Change("warm_up", 100.0), Change("learning_rate", USUAL_ADAPTIVE_RATE))
        warmly = f"a warm-up of 100 steps to lr {USUAL_ADAPTIVE_RATE:g}"
        if self.seen.modules & {"TransformerEncoderLayer", "TransformerDecoderLayer"}:
            text = f"norm_first=True in every transformer layer, a norm after the last, and {warmly}"
            yield _cure(text, Change("norm_first", True), *warm_up)
        yield _cure(warmly, *warm_up)
        yield _cure("the norm before each block in place of after it (pre-LN, Xiong et al. 2020)")

    def _normalization(self) -> Iterator[Cure]:
        """Yield BatchNorm after all hidden layers, where that is usual and not there yet."""
        if self._has_norms or self._is_transformer or self._is_recurrent:
            return
        kinds = {layer.kind for layer in self.layers if layer.is_matrix}
        if kinds and all(kind.startswith(("Linear", "Conv")) for kind in kinds) and len(self.layers) > 1:
            yield _cure("BatchNorm after every hidden layer", Change("normalization", "BatchNorm"))
        elif not self._is_pytorch:
            yield _cure("a normalization after every hidden layer")

    def against_saturation(self, layer: int) -> Iterator[Cure]:
        """Yield what moves units off the flat ends of their activation."""
        yield _cure("Xavier initialization of all layers", Change("initialization", "xavier_normal_"))
        yield from self._normalization()
        for old in self._saturating[:1]:
            yield _cure(
                f"{self._activation_words(old, 'ReLU')}, and He initialization with it",
                Change("activation", f"{old}>ReLU"), Change("initialization", "kaiming_normal_"),
            )  # fmt: skip
        yield from self.smaller_rate(math.nan)

    def against_dead_units(self, early_update: float) -> Iterator[Cure]:
        """Yield what makes units active again."""
        if early_update > 10 * USUAL_UPDATE:
            yield from self.smaller_rate(early_update)
        found = [layer.activation for layer in self.layers if layer.activation in RECTIFYING]
        for old in list(dict.fromkeys(found))[:1]:
            yield _cure(
                f"{self._activation_words(old, 'LeakyReLU')}, and He initialization with it",
                Change("activation", f"{old}>LeakyReLU"), Change("initialization", "kaiming_normal_"),
            )  # fmt: skip
        yield from self._normalization()
        if not early_update > 10 * USUAL_UPDATE:
            yield from self.smaller_rate(early_update)

    def against_explosion(self, layer: int) -> Iterator[Cure]:
        """Yield what makes gradients smaller."""
        if not self._is_transformer and not self._is_recurrent:
            yield _cure("He initialization of all layers", Change("initialization", "kaiming_normal_"))
        yield self._clip()
        yield from self._normalization()
        yield from self.smaller_rate(math.nan)

    def _clip(self) -> Cure:
        text = "clip the gradient's norm at 1"
        if self._is_pytorch:
            text = "nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step()"
        return _cure(text, Change("gradient_clip", 1.0))

    def against_vanishing_in_time(self, layer: int, length: int) -> Iterator[Cure]:
        """Yield what carries the error signal over a sequence."""
        kind = self.layers[layer].kind
        chrono = (
            "with chrono initialization (Tallec & Ollivier 2018: the gate's biases are log u, u from 1 to the length)"
        )
        if kind in ("LSTM", "GRU", "LSTMCell", "GRUCell"):
            yield _cure(f"{kind} {chrono}", Change("remember", float(length)))
        else:
            cell = "Cell" if kind.endswith("Cell") else ""
            changes = (Change("recurrent", f"GRU:{length}"),) if kind in ("RNN", "RNNCell") else ()
            yield _cure(f"nn.GRU{cell} or nn.LSTM{cell} in place of {kind or 'the RNN'}, {chrono}", *changes)
        yield _cure("a shorter way: attention, or pooling over all time steps in place of the last alone")

    def against_explosion_in_time(self, layer: int) -> Iterator[Cure]:
        """Yield what keeps the error signal small over a sequence."""
        yield _cure(
            "orthogonal recurrent weights, a little contracting, and the gradient's norm clipped at 1 (Pascanu et al. "
            "2013)",
            Change("recurrent_weights", "orthogonal"), Change("gradient_clip", 1.0),
        )  # fmt: skip
        yield self._clip()
        yield from self.smaller_rate(math.nan)

    # the update is of the wrong size

    def smaller_rate(self, update: float) -> Iterator[Cure]:
        """Yield a smaller rate. update: the update ratio with the present one; NaN if unknown."""
        rate = self.seen.learning_rate
        if self.seen.is_adaptive and rate > USUAL_ADAPTIVE_RATE:
            new = USUAL_ADAPTIVE_RATE
        else:
            factor = 10 * USUAL_UPDATE / update if update > 0 else 0.1
            new = _rounded(rate * min(0.1, max(1e-4, factor)))
        yield self._rate(new, "a smaller")

    def larger_rate(self, update: float) -> Iterator[Cure]:
        """Yield a larger rate. update: the update ratio now."""
        rate = self.seen.learning_rate
        if self.seen.is_adaptive:
            new = USUAL_ADAPTIVE_RATE if rate < USUAL_ADAPTIVE_RATE else 10 * rate
        else:
            factor = 10 * USUAL_UPDATE / update if update > 0 else 100.0
            new = _rounded(rate * max(10.0, factor))
            new = max(rate, min(new, 1.0)) if rate < 1 else 10 * rate
        yield self._rate(new, "a larger")

    def end_schedule(self, highest: float) -> Iterator[Cure]:
        """Yield what keeps a schedule from taking the rate away. highest: the rate that it began with."""
        now = self.seen.learning_rate
        yield _cure(
            f"look at the schedule: it took lr from {highest:g} to {now:g}; scheduler.step() belongs after each epoch, "
            "unless the scheduler counts batches"
        )

    def fill_padding(self) -> Iterator[Cure]:
        """Yield what to do about an embedding that is given padding alone."""
        yield _cure(
            "look at the token ids: all of them are the embedding's padding_idx; give the real ones, or another "
            "padding_idx"
        )

    def _rate(self, new: float, words: str) -> Cure:
        if not (math.isfinite(new) and new > 0):
            return _cure(f"{words} learning rate")
        return _cure(f"{words} lr: {new:g} in place of {self.seen.learning_rate:g}", Change("learning_rate", new))

    def looser_clip(self) -> Iterator[Cure]:
        """Yield a bound that leaves the gradient's usual size."""
        yield _cure("a larger bound in clip_grad_norm_, 1.0 for a start, or no clipping")

    def less_decay(self) -> Iterator[Cure]:
        """Yield a weight decay that leaves the weights their size."""
        new = 0.01 if self.seen.is_decoupled else 5e-4
        new = min(new, self.seen.weight_decay / 10)
        yield _cure(f"weight_decay={new:g} in place of {self.seen.weight_decay:g}", Change("weight_decay", new))

    # the script

    def against_broken_update(self) -> Iterator[Cure]:
        """Yield what to do about an update that is not finite."""
        yield _cure(
            "look at the optimizer: in float16 its eps of 1e-8 is 0, so keep the weights in float32 and compute under "
            "torch.autocast; or use a smaller learning rate"
        )

    def against_non_finite(self, layer: int | None, origin: Origin | None = None) -> Iterator[Cure]:
        """Yield where to look for a number that is not finite."""
        function = self.seen.loss_function
        singular = function.singular if function else ()
        module = (origin.module if origin else "") or "the model"
        if origin and origin.place == "inputs":
            yield _cure("look for NaN and ∞ in the data: a batch holds them; clipping is no cure")
        elif origin and origin.place in ("output", "code"):
            yield _cure(
                f"look at how {module} computes it, for the logarithm or square root of what is negative, a division "
                "by 0 or a row that is masked out whole; clipping is no cure"
            )
        elif origin and origin.place == "gradient":
            yield _cure(
                f"look in {module} for the square root, norm or quotient of 0, whose slope is infinite, and add a "
                "small number inside; clipping is no cure"
            )
        elif layer is None and singular:
            found = " and ".join(singular[:2])
            yield _cure(
                f"add a small number, 1e-6, inside {found} in the loss: its slope at 0 is infinite; clipping is no cure"
            )
        elif layer is None:
            yield _cure(
                "look in the loss, and above the last layer, for the square root, logarithm, norm or quotient of 0, "
                "and add a small number inside; clipping is no cure"
            )
        else:
            yield _cure(
                f"look at the inputs of {self.layers[layer].name}, and at what is computed just before it, for NaN, a "
                "division by 0 or a row that is masked out whole; clipping is no cure"
            )

    def register(self, names: Sequence[str]) -> Iterator[Cure]:
        """Yield how to register parameters."""
        holder = names[0].split("[")[0]
        yield _cure(
            f"make {holder} an nn.ModuleList or nn.ModuleDict (for plain tensors nn.Parameter or nn.ParameterList), "
            "before the optimizer is made"
        )

    def connect(self, names: str) -> Iterator[Cure]:
        """Yield how to connect layers to the loss."""
        yield _cure(
            f"compute {names} outside torch.no_grad(), and take away .detach(), .data, .item() or torch.tensor() on "
            "the way from there to the loss; if it is meant to stay as it is, requires_grad_(False) says so"
        )

    def use(self, names: str) -> Iterator[Cure]:
        """Yield what to do about layers that are not used."""
        yield _cure(f"call {names} in forward(), or remove it")

    def join_optimizer(self) -> Iterator[Cure]:
        """Yield how the optimizer gets all parameters."""
        yield _cure(
            "make the optimizer of model.parameters() after the last layer was put in, or add_param_group() the rest",
            Change("optimizer", "missing"),
        )

    def zero_grad(self) -> Iterator[Cure]:
        """Yield how gradients start anew."""
        yield _cure("optimizer.zero_grad() before every backward()", Change("zero_grad", True))

    def fit_output(self, activation: str) -> Iterator[Cure]:
        """Yield what output fits the loss. activation: the one that it has; empty for none."""
        function = self.seen.loss_function
        kind = function.kind if function else ""
        better = {"bce": "Sigmoid", "nll": "LogSoftmax"}.get(kind) if activation == "Softmax" else None
        if kind == "nll" and function and "LogSoftmax" in function.activations:
            better = None
        if not activation:
            yield _cure("F.cross_entropy in place of F.nll_loss, or log_softmax before it")
            return
        other = f"{self._function(better)} in place of {self._function(activation)}" if better else ""
        if activation in self.seen.modules and function is not None and function.is_direct:
            text = f"{other or f'no {self._function(activation)}'} at the end of the model"
            yield _cure(text, Change("output_activation", better))
        else:
            yield _cure(f"{other or f'no {activation.lower()}'} between the last layer and the loss")

    def _function(self, activation: str) -> str:
        return f"nn.{activation}()" if self._is_pytorch else activation.lower()

    def match_shapes(self) -> Iterator[Cure]:
        """Yield how outputs and targets get the same shape."""
        yield _cure("outputs.squeeze(-1), or targets.unsqueeze(-1), in the loss, so that both have the same shape")

    def another_norm(self) -> Iterator[Cure]:
        """Yield what replaces BatchNorm for small batches."""
        yield _cure("GroupNorm or LayerNorm in place of BatchNorm", Change("batch_norm", "GroupNorm"))
        yield _cure("a larger batch, of 16 at least")

    def start_at_random(self) -> Iterator[Cure]:
        """Yield weights that differ from each other."""
        yield _cure("He initialization of all layers in place of zeros", Change("initialization", "kaiming_normal_"))

    def scale_loss(self) -> Iterator[Cure]:
        """Yield how small gradients survive float16."""
        yield _cure("torch.amp.GradScaler around the loss and the step, or torch.bfloat16 in place of torch.float16")

    def standardize_inputs(self) -> Iterator[Cure]:
        """Yield inputs of a sound scale."""
        how = "subtract their mean, divide by their standard deviation"
        targets = self.seen.targets
        if targets is not None and targets.mean_square > FAR_TARGETS**2:
            yield _cure(f"standardize the inputs and the targets: {how}")
        yield _cure(f"standardize the inputs: {how}", Change("standardize_inputs", True))

    def standardize_targets(self) -> Iterator[Cure]:
        """Yield targets of a sound scale."""
        yield _cure("standardize the targets: subtract their mean, divide by their standard deviation")

    def against_overfitting(self) -> Iterator[Cure]:
        """Yield what helps to carry over."""
        yield _cure("stop at the best step, weight decay, dropout, or more data")

    def against_tiny_gradients(self) -> Iterator[Cure]:
        """Yield what makes all gradients larger alike."""
        yield _cure(
            "look at the loss: it is flat where the model is (for a GAN -log D(G(z)) in place of log(1 - D(G(z))), and "
            "a weaker discriminator; for padded inputs a mask)"
        )
        yield from self.larger_rate(math.nan)

    def against_nothing(self, update: float) -> Iterator[Cure]:
        """Yield what to try where no cause was found."""
        if update < USUAL_UPDATE:
            yield from self.larger_rate(update)
            yield from self._normalization()
        else:
            yield from self.smaller_rate(update)
            yield from self._normalization()
        yield _cure(
            "train on one batch alone: if its loss does not fall to 0, look at the data, the targets and the loss"
        )


def _rounded(value: float) -> float:
    """Round to 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(value) and value > 0):
        return value
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{min((1.0, 2.0, 5.0, 10.0), key=lambda step: abs(math.log(step * power / value))) * power:.6g}")


def _cure(text: str, *changes: Change) -> Cure:
    return Cure(None, None, text, changes)
