"""The frame format: valid JSON whatever the numbers are, and the same numbers back."""

import json
import math

import msgspec
import numpy as np
import pytest

from engine.telemetry import LAYER_FIELDS, MEASUREMENTS
from tests.frames import make_frame, make_header
from vgtui.wire.frames import Event, Frame, encode_line
from vgtui.wire.protocol import answer_decoder
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings()


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_a_header_says_what_the_contract_names() -> None:
    line = json.loads(encode_line(make_header(SETTINGS, "no device")))
    assert (line["type"], line["format"], line["version"]) == ("header", "vgtui-frames", 1)
    assert line["backend"] == {"name": "numpy", "device": "cpu", "dtype": "float32", "fallback_reason": "no device"}
    assert line["network"]["initialization"] == "xavier_normal"
    assert line["training"]["gradient_clip"] is None
    assert line["dataset"] == {"name": "digits", "samples": 1797, "features": 64, "classes": 10}
    assert line["layers"][-1] == {"name": "layers.20", "fan_in": 64, "fan_out": 10}


def test_a_frame_has_every_field_of_the_contract() -> None:
    line = json.loads(encode_line(make_frame(SETTINGS, [1e-9, 1e-5, 1.0])))
    assert set(line) == {
        "type",
        "step",
        "epoch",
        "loss",
        "accuracy",
        "validation_accuracy",
        "steps_per_second",
        "layers",
        "verdict",
    }
    assert set(line["layers"]) == set(LAYER_FIELDS)
    assert set(line["verdict"]) == {"kind", "message", "cures", "evidence"}
    assert line["layers"]["dead"] == [None, None, None]
    assert line["layers"]["saturated"] == [0.5, 0.5, None]


def test_non_finite_numbers_are_strings_and_come_back() -> None:
    norms = [0.0, math.nan, math.inf, -math.inf]
    encoded = encode_line(make_frame(SETTINGS, norms, loss=math.nan))
    line = json.loads(encoded, parse_constant=refuse_constant)
    assert line["layers"]["grad_norm"] == [0.0, "NaN", "Infinity", "-Infinity"]
    assert line["loss"] == "NaN"
    decoded = answer_decoder.decode(encoded)
    assert isinstance(decoded, Frame)
    assert np.array_equal(decoded.layers.grad_norm, norms, equal_nan=True)
    assert decoded.loss is not None and math.isnan(decoded.loss)


@pytest.mark.parametrize("norms", [[1e-300, 1 / 3, 1e300], [5e-324, 0.1, 2.0**-149]])
def test_every_number_comes_back_bit_for_bit(norms: list[float]) -> None:
    frame = make_frame(SETTINGS, norms)
    decoded = answer_decoder.decode(encode_line(frame))
    assert isinstance(decoded, Frame)
    for name in MEASUREMENTS:
        assert decoded.layers.of(name).tolist() == frame.layers.of(name).tolist()


def test_a_line_is_one_line_whatever_a_message_says() -> None:
    encoded = encode_line(Event(step=3, kind="note", message="two\nlines and \u2028 more"))
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1


def test_another_type_of_line_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        answer_decoder.decode(b'{"type":"surprise"}')
