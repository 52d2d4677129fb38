"""Every single change of a network, and what one of them makes of the first layer's share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.config import ACTIVATION_NAMES, INITIALIZATION_NAMES, NetworkConfig


@dataclass(frozen=True, slots=True)
class Probe:
    """A change, the field and its new value, and what it makes of the first layer's share.

    gradient_ratio: the first layer's gradient norm relative to the output layer's. update_ratio: ‖ΔW‖ / ‖W‖ of the
    first layer in the first update, relative to the output layer's. NaN where the change cannot be had.
    """

    setting: str
    value: bool | str
    gradient_ratio: np.float64
    update_ratio: np.float64


def single_changes(network: NetworkConfig) -> Iterator[tuple[str, bool | str]]:
    """Each other activation, BatchNorm and skip connections the other way, each other initialization."""
    yield "batch_norm", not network.batch_norm
    yield "skip_connections", not network.skip_connections
    for setting, names in (("activation", ACTIVATION_NAMES), ("initialization", INITIALIZATION_NAMES)):
        yield from ((setting, name) for name in names if name != getattr(network, setting))
