"""Changes of one setting of a run, and what each was measured to do."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES, NetworkConfig, TrainingConfig
from engine.progress import GAIN

TRIAL_STEPS = 100
"""Updates of a trial, unless another number is asked for."""
AS_IT_IS = ""
"""The setting of a probe that changes nothing: the reference for all others."""
USUAL_RATES = {"sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}
"""A learning rate to begin with, by optimizer: PyTorch's default for the adaptive ones, and that of most textbooks."""

ChangedValue = bool | str | float | None


@dataclass(frozen=True, slots=True)
class Probe:
    """The effect of changing one setting.

    Attributes:
        setting: The changed field of `NetworkConfig` or `TrainingConfig`; AS_IT_IS if nothing is changed.
        value: Its new value; None if nothing is changed.
        gradient_ratio: At initialization, the gradient norm of the first layer relative to that of the output layer.
        update_ratio: ‖ΔW‖ / ‖W‖ of the first layer in the first update, relative to that of the output layer.
        loss: After training, the mean over the last measurements; None until it has been trained.
        accuracy: On the same batches as the loss; NaN if the loss is.

    Both ratios are NaN where the changed run is not possible; its loss stays None.
    """

    setting: str
    value: ChangedValue
    gradient_ratio: np.float64
    update_ratio: np.float64
    loss: np.float64 | None = None
    accuracy: np.float64 | None = None

    @property
    def ratio_distance(self) -> float:
        """How far the gradient ratio is from 1, in decades; ∞ if it is 0 or not finite."""
        ratio = float(self.gradient_ratio)
        return abs(math.log10(ratio)) if 0 < ratio < math.inf else math.inf

    def learns(self, guess: float) -> bool | None:
        """Whether the loss is lower than that of guessing by a share of GAIN; None if either is unknown."""
        return None if self.loss is None or math.isnan(guess) else bool(self.loss <= (1 - GAIN) * guess)

    @property
    def rank(self) -> tuple[int, float, float]:
        """What sorts probes, best first.

        As it is; what has been trained, by its loss; then what has not, by its ratio; last, where the loss is not
        finite.
        """
        if self.setting == AS_IT_IS:
            return 0, 0.0, 0.0
        if self.loss is None:
            return 2, self.ratio_distance, 0.0
        return (1, float(self.loss), self.ratio_distance) if math.isfinite(self.loss) else (3, self.ratio_distance, 0.0)


def single_changes(
    network: NetworkConfig, training: TrainingConfig | None = None
) -> Iterator[tuple[str, bool | str | float]]:
    """List the changes of one setting: BatchNorm, skip connections, activation, initialization, learning rate.

    Args:
        network: The network to change.
        training: Its training; None to leave the learning rate out.

    Yields:
        The field and its new value: BatchNorm and skip connections toggled, every other activation and initialization,
        then ten times and a tenth of the learning rate, and the usual one of the optimizer.
    """
    yield "batch_norm", not network.batch_norm
    yield "skip_connections", not network.skip_connections
    for setting, names in (("activation", ACTIVATION_NAMES), ("initialization", INITIALIZATION_NAMES)):
        yield from ((setting, name) for name in names if name != getattr(network, setting))
    if training is None:
        return
    rate = training.learning_rate
    rates = (_short(rate * 10), _short(rate / 10), USUAL_RATES[training.optimizer])
    yield from (("learning_rate", other) for other in dict.fromkeys(rates) if 0 < other < math.inf and other != rate)


def with_change(
    network: NetworkConfig, training: TrainingConfig, setting: str, value: ChangedValue
) -> tuple[NetworkConfig, TrainingConfig]:
    """Return the configurations with one setting changed; AS_IT_IS changes none.

    Raises:
        UsageError: The value is not possible.
    """
    if setting == AS_IT_IS:
        return network, training
    if hasattr(network, setting):
        return replace(network, **{setting: value}), training  # type: ignore[arg-type]
    return network, replace(training, **{setting: value})  # type: ignore[arg-type]


def _short(rate: float) -> float:
    """A rate without the last digits of binary fractions: 0.07 / 10 is 0.007."""
    return float(f"{rate:.12g}")
