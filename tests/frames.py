"""Headers and frames made up for tests, with the norms that a test wants to see."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.datasets import load_dataset
from engine.diagnosis import diagnose
from engine.network import layer_shapes
from engine.telemetry import LAYER_FIELDS, LayerMeasurements
from engine.verdict import PERSISTENCE
from vgtui.wire.frames import BackendInfo, DatasetInfo, Frame, Header, LayerInfo, Number
from vgtui.wire.run_settings import RunSettings


def make_header(settings: RunSettings, fallback_reason: str | None = None) -> Header:
    """The header of a run with these settings on digits."""
    data = load_dataset(settings.dataset)
    return Header(
        backend=BackendInfo("numpy", "cpu", settings.network.dtype, fallback_reason),
        network=settings.network,
        training=settings.training,
        dataset=DatasetInfo(data.name, data.samples, data.features, data.classes),
        layers=tuple(
            LayerInfo(shape.name, shape.fan_in, shape.fan_out)
            for shape in layer_shapes(settings.network, data.features, data.classes)
        ),
    )


def make_layers(norms: Sequence[float], dead: float | None = None) -> LayerMeasurements:
    """Measurements whose gradient norms are these; every other field that is always there is a plausible constant.

    dead: the share of dead units in the third layer, in a network that can have them.
    """
    count = len(norms)
    values: dict[str, Any] = {}
    for name in LAYER_FIELDS:
        values[name] = np.full(count, 0.25)
    for name in ("grad_norm", "grad_norm_min", "grad_norm_max"):
        values[name] = np.array(norms, dtype=np.float64)
    hidden = np.arange(count) < count - 1
    values["saturated"] = np.ma.MaskedArray(np.full(count, 0.5), mask=~hidden)
    values["dead"] = np.ma.MaskedArray(np.zeros(count), mask=~hidden if dead is not None else True)
    if dead is not None:
        values["dead"][2] = dead
    values["update_ratio"] = np.ma.MaskedArray(np.full(count, 1e-3), mask=False)
    return LayerMeasurements(**values)


def make_frame(
    settings: RunSettings, norms: Sequence[float], step: int = 0, loss: float = 2.3, dead: float | None = None
) -> Frame:
    """A frame with these gradient norms and the verdict on them, as if it had been so before."""
    layers = make_layers(norms, dead)
    return Frame(
        step=step,
        epoch=step // 11,
        loss=Number(loss),
        accuracy=Number(0.125),
        validation_accuracy=Number(0.1),
        steps_per_second=800.0,
        layers=layers,
        verdict=diagnose(settings.network, settings.training, [layers] * PERSISTENCE),
    )
