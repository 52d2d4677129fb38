"""Headers and frames of somebody's own model, made up for tests."""

from collections.abc import Sequence

import numpy as np

from engine.model_diagnosis import PYTORCH, ModelDiagnosis, ModelLayer
from engine.telemetry import LAYER_FIELDS, LayerMeasurements
from engine.verdict import PERSISTENCE, Verdict
from vgtui.wire.frames import BackendInfo, Frame, Header, LayerInfo, ModelInfo, Number

BLOCKS = [
    LayerInfo("embed", 50, 32, "Embedding", (50, 32)),
    *(
        LayerInfo(f"encoder.layers.{block}.{name}", 32, 32, kind, shape)
        for block in range(3)
        for name, kind, shape in (("self_attn", "MultiheadAttention", (96, 32)), ("linear", "Linear", (32, 32)))
    ),
    LayerInfo("head", 32, 10, "Linear", (10, 32)),
]
"""The layers of a small transformer."""


def make_model_header(layers: Sequence[LayerInfo] = BLOCKS, name: str = "tiny") -> Header:
    return Header(
        backend=BackendInfo("torch", "cpu", "float32", None),
        model=ModelInfo(name, PYTORCH, 12345, "AdamW"),
        layers=tuple(layers),
    )


def make_model_frame(
    norms: Sequence[float | None], step: int = 0, layers: Sequence[LayerInfo] = BLOCKS, loss: float | None = 2.5
) -> Frame:
    """A frame of which the gradient norms are known, those that are not None, and the weights' norms."""
    values = {name: np.ma.MaskedArray(np.zeros(len(norms)), mask=True) for name in LAYER_FIELDS}
    known = np.ma.MaskedArray([norm or 0.0 for norm in norms], mask=[norm is None for norm in norms])
    for name in ("grad_norm", "grad_norm_min", "grad_norm_max"):
        values[name] = known
    values["weight_norm"] = np.ma.MaskedArray(np.full(len(norms), 4.0), mask=False)
    measured = LayerMeasurements(**values)
    names = [ModelLayer(layer.name, layer.kind, layer.activation, layer.fan_out) for layer in layers]
    return Frame(
        step=step,
        loss=None if loss is None else Number(loss),
        steps_per_second=100.0,
        layers=measured,
        verdict=judge(names, PYTORCH, [measured] * PERSISTENCE),
    )


def judge(layers: Sequence[ModelLayer], framework: str, recent: Sequence[LayerMeasurements]) -> Verdict:
    """The verdict on the last of some measurements, of which no loss is known."""
    diagnosis = ModelDiagnosis(layers, framework)
    return [diagnosis.add(step, measured) for step, measured in enumerate(recent)][-1]
