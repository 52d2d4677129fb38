"""What a network is and how it is trained: frozen, validated, one error text per bad value.

The names stand here as plain tuples so that a command line can be checked without importing NumPy; the tables of
`activations`, `initializers` and `optimizers` have the same keys, in the same order.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from engine.errors import UsageError, unknown_name

ACTIVATION_NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "linear")
INITIALIZATION_NAMES = (
    "xavier_normal",
    "xavier_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "orthogonal",
    "pytorch_default",
    "gaussian",
    "small_normal",
    "standard_normal",
)
OPTIMIZER_NAMES = ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop")
DATASET_NAMES = ("digits", "spirals", "moons", "blobs")
BACKEND_NAMES = ("auto", "numpy", "cupy")
DTYPE_NAMES = ("float32", "float64")

MOST_HIDDEN_LAYERS = 10_000
MOST_UNITS = 65_536


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A multilayer perceptron: `hidden_layers` layers of `width` units, then the output layer.

    weight_variance and bias_variance are what the initialization "gaussian" draws with. Raises UsageError.
    """

    hidden_layers: int = 20
    width: int = 64
    activation: str = "sigmoid"
    batch_norm: bool = False
    skip_connections: bool = False
    initialization: str = "xavier_normal"
    weight_variance: float = 1.0
    bias_variance: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check_whole("hidden_layers", self.hidden_layers, 1, MOST_HIDDEN_LAYERS)
        _check_whole("width", self.width, 1, MOST_UNITS)
        _check_name("activation", "activation", self.activation, ACTIVATION_NAMES)
        _check_flag("batch_norm", self.batch_norm)
        _check_flag("skip_connections", self.skip_connections)
        _check_name("initialization", "initialization", self.initialization, INITIALIZATION_NAMES)
        _check_number("weight_variance", self.weight_variance, above=0)
        _check_number("bias_variance", self.bias_variance, least=0)
        if self.dtype == "float16":
            raise UsageError(
                "dtype", 'no dtype "float16": a gradient below 6e-8 is 0 in it; it may be float32 or float64'
            )
        _check_name("dtype", "dtype", self.dtype, DTYPE_NAMES)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a network is trained. gradient_clip bounds the global norm, None does not. Raises UsageError."""

    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    gradient_clip: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check_whole("batch_size", self.batch_size, 1, 2**24)
        _check_name("optimizer", "optimizer", self.optimizer, OPTIMIZER_NAMES)
        _check_number("learning_rate", self.learning_rate, above=0)
        _check_number("momentum", self.momentum, least=0, below=1)
        _check_number("weight_decay", self.weight_decay, least=0)
        if self.gradient_clip is not None:
            _check_number("gradient_clip", self.gradient_clip, above=0)
        _check_whole("seed", self.seed, 0, 2**63 - 1)


def check_together(network: NetworkConfig, training: TrainingConfig) -> None:
    """Validate network and training settings together."""
    if network.batch_norm and training.batch_size == 1:
        raise UsageError(
            "batch_size", "1 with BatchNorm, but one sample has no variance; take 2 or more, or BatchNorm off"
        )


def _check_flag(setting: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UsageError(setting, f"{value!r} is neither true nor false")


def _check_name(setting: str, kind: str, value: object, known: Collection[str]) -> None:
    if value not in known:
        raise unknown_name(setting, kind, value, known)


def _check_whole(setting: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(setting, f"{value!r} is out of range; it takes a whole number from {least} to {most}")


def _check_number(
    setting: str, value: object, *, least: float | None = None, above: float | None = None, below: float | None = None
) -> None:
    bounds = [
        text
        for bound, text in (
            (least, f"from {least:g}" if least is not None else ""),
            (above, f"above {above}"),
            (below, f"below {below}"),
        )
        if bound is not None
    ]
    right = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (least is None or value >= least)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not right:
        raise UsageError(setting, f"{value!r} is out of range; it takes a number {' and '.join(bounds)}")
