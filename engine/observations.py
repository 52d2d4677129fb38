"""What is known of a watched step beside the measurements of its layers. Any of it may be unknown."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Tie = Literal[
    "trained",  # it gets a gradient, and the optimizer has it
    "frozen",  # requires_grad=False, or nothing is meant to train it
    "cut",  # it is used, and no gradient comes back
    "unused",  # it is not used in the forward pass
    "forgotten",  # it gets a gradient, and no optimizer has it
]
"""How a layer is tied to the training."""


@dataclass(frozen=True, slots=True)
class LossFunction:
    """The loss function, and what lies between it and the last layer.

    Attributes:
        kind: "nll", "mse", "bce", "bce_with_logits", "l1", "smooth_l1", "huber"; "" for any other.
        activations: The activations between the last layer and the loss, the nearest to the loss first.
        softmax_units: Over how many units a softmax among them goes.
        classes: The number of classes of a cross-entropy.
        broadcast: The shapes of the outputs and of their difference to the targets, if they do not agree.
        is_mean: Whether the loss is a mean over all entries.
        is_direct: Whether the model's outputs go straight into it.
        outputs: The shape of the outputs.
        singular: Functions in it that are not differentiable, or not finite, somewhere.
    """

    kind: str
    activations: tuple[str, ...] = ()
    softmax_units: int | None = None
    classes: int | None = None
    broadcast: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    is_mean: bool = True
    is_direct: bool = False
    outputs: tuple[int, ...] = ()
    singular: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Targets:
    """What the targets are, worked out from the gradient of the outputs.

    Attributes:
        least: The smallest.
        greatest: The largest.
        mean_square: Their mean square.
        variance: Their variance over the batch, the mean over the outputs.
    """

    least: float
    greatest: float
    mean_square: float
    variance: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the first number of a step came from that is not finite.

    Attributes:
        place: "inputs": those of the model; "output": of a module that was given finite numbers; "code": what a module
            computes itself, between the modules in it; "loss": its gradient, where all outputs are finite; "gradient":
            what a module does to it.
        module: The dotted name of the module; "" for the whole model.
    """

    place: Literal["inputs", "output", "code", "loss", "gradient"]
    module: str


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known of a watched step beside the measurements of its layers.

    Attributes:
        ties: How each layer is tied to the training; empty if unknown.
        unregistered: Names of parameters that the model has, and named_parameters() lacks.
        optimizer: The optimizer's class.
        is_adaptive: Whether the optimizer divides the gradient by its own size.
        learning_rate: The rate of the group with most parameters; NaN if unknown.
        weight_decay: The weight decay of that group.
        is_decoupled: Whether the decay is apart from the gradient, as in AdamW.
        clip_factor: The norm of all gradients after clipping, over that before.
        accumulates: Whether the gradient of the last update was still there when the next one was made.
        norm_values: The fewest values per channel over which a BatchNorm takes its mean.
        is_half: Whether layers compute in float16 without a GradScaler.
        has_scaler: Whether a GradScaler scales the loss.
        zero_share: The share of zeros in the error signals of float16; NaN if unknown.
        input_rms: The root mean square of the first layer's inputs.
        is_normalized: Whether the first layer normalizes its inputs.
        sample_spread: The standard deviation over the samples of the last layer's inputs, relative to their size.
        equal_weights: The layers whose weights are all the same number.
        loss_function: The loss function.
        targets: The targets.
        through_time: For a layer that runs over time, the norm of the error signal at each step of time, the first
            step first.
        padding_share: The share of an embedding's inputs that are its padding index.
        modules: The classes of the model's modules.
        origin: Where the first number came from that is not finite; None if all are finite, or nobody has looked.
        broken_from: The step of the first loss that was not finite; None if there was none, or nobody has looked.
    """

    ties: tuple[Tie, ...] = ()
    unregistered: tuple[str, ...] = ()
    optimizer: str = ""
    is_adaptive: bool = False
    learning_rate: float = math.nan
    weight_decay: float = 0.0
    is_decoupled: bool = False
    clip_factor: float = math.nan
    accumulates: bool = False
    norm_values: int | None = None
    is_half: bool = False
    has_scaler: bool = False
    zero_share: float = math.nan
    input_rms: float = math.nan
    is_normalized: bool = False
    sample_spread: float = math.nan
    equal_weights: tuple[int, ...] = ()
    loss_function: LossFunction | None = None
    targets: Targets | None = None
    through_time: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    padding_share: float = math.nan
    modules: frozenset[str] = frozenset()
    origin: Origin | None = None
    broken_from: int | None = None
