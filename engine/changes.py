"""Changes of one setting of a network, and the effect of each on the gradient of the first layer."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES, NetworkConfig


@dataclass(frozen=True, slots=True)
class Probe:
    """The effect of changing one setting, measured at initialization.

    Attributes:
        setting: The changed field of `NetworkConfig`.
        value: Its new value.
        gradient_ratio: The gradient norm of the first layer relative to that of the output layer.
        update_ratio: ‖ΔW‖ / ‖W‖ of the first layer in the first update, relative to that of the output layer.

    Both ratios are NaN where the changed network is not possible.
    """

    setting: str
    value: bool | str
    gradient_ratio: np.float64
    update_ratio: np.float64


def single_changes(network: NetworkConfig) -> Iterator[tuple[str, bool | str]]:
    """List the changes of one setting: BatchNorm, skip connections, activation, initialization.

    Args:
        network: The network to change.

    Yields:
        The field and its new value: BatchNorm and skip connections toggled, then every other activation and
        initialization.
    """
    yield "batch_norm", not network.batch_norm
    yield "skip_connections", not network.skip_connections
    for setting, names in (("activation", ACTIVATION_NAMES), ("initialization", INITIALIZATION_NAMES)):
        yield from ((setting, name) for name in names if name != getattr(network, setting))
