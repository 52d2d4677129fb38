"""Names and norms in, frames out: for any framework."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vgtui
from engine.errors import UsageError
from engine.telemetry import LAYER_FIELDS
from tests.watching.recorded import frames, header, lines
from vgtui.user.variables import RUNTIME_VARIABLE
from vgtui.watching.cadence import Cadence
from vgtui.wire.frames import LayerInfo

NAMES = ["dense_1", "dense_2", "out"]


def test_what_is_given_is_what_is_recorded_and_the_rest_is_unknown(tmp_path: Path) -> None:
    with vgtui.Emitter(NAMES, name="keras model", framework="Keras", record=tmp_path / "r.jsonl") as emitter:
        emitter.emit(0, [1e-9, 1e-5, 1.0], loss=2.5, weight_norm=[8.0, 8.0, 3.0])
        emitter.emit(10, np.ma.MaskedArray([1.0, 0.0, float("nan")], mask=[True, False, False]))
    told = header(tmp_path / "r.jsonl")
    assert told.model and (told.model.name, told.model.framework) == ("keras model", "Keras")
    first, second = frames(tmp_path / "r.jsonl")
    assert first.loss == 2.5 and first.accuracy is None
    assert first.layers.grad_norm.tolist() == [1e-9, 1e-5, 1.0]
    assert first.layers.weight_norm.tolist() == [8.0, 8.0, 3.0]
    assert first.layers.delta_norm.tolist() == [None] * 3
    assert first.verdict.kind == "vanishing" and "dense_1 gets" in first.verdict.message
    assert "He initialization of all layers" in [cure.text for cure in first.verdict.cures]
    assert second.layers.grad_norm.tolist()[:2] == [None, 0.0] and np.isnan(second.layers.grad_norm[2])
    assert second.verdict.kind == "non-finite"


@pytest.mark.parametrize(
    ("arguments", "fields", "sentence"),
    [
        (([1.0],), {}, r"grad_norm has the shape \(1,\); it takes a number for each of the 3 layers"),
        (([1.0] * 3,), {"wieght_norm": [1.0] * 3}, "'wieght_norm' is not a field of a layer; there are grad_norm"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_words(
    arguments: tuple[Any, ...], fields: dict[str, Any], sentence: str
) -> None:
    with vgtui.Emitter(NAMES) as emitter, pytest.raises(ValueError, match=sentence):
        emitter.emit(0, *arguments, **fields)


def test_nothing_is_due_while_nobody_looks(tmp_path: Path) -> None:
    with vgtui.Emitter(NAMES) as emitter:
        assert not emitter.is_due(0)
    with vgtui.Emitter(NAMES, every=10, record=tmp_path / "r.jsonl") as emitter:
        for step in range(35):
            if emitter.is_due(step):
                emitter.emit(step, [1.0, 1.0, 1.0])
    assert [frame.step for frame in frames(tmp_path / "r.jsonl")] == [0, 10, 20, 30]


def test_a_recording_that_is_there_already_stays_and_the_new_one_has_a_number(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("mine")
    with vgtui.Emitter(NAMES, record=tmp_path / "r.jsonl") as emitter:
        emitter.emit(0, [1.0, 1.0, 1.0])
        assert emitter.path
    assert [frame.step for frame in frames(tmp_path / "r-2.jsonl")] == [0]
    assert (tmp_path / "r.jsonl").read_text() == "mine"


def test_where_no_socket_can_be_had_the_recording_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(RUNTIME_VARIABLE, "/dev/null/nowhere")
    with vgtui.Emitter(NAMES, name="m", record=tmp_path / "r.jsonl") as emitter:
        assert emitter.path is None
        emitter.emit(0, [1.0, 1.0, 1.0])
    assert len(frames(tmp_path / "r.jsonl")) == 1
    assert "nobody can attach to m" in caplog.text


def test_a_note_and_a_second_beginning_are_lines_of_their_own(tmp_path: Path) -> None:
    layer = LayerInfo("conv", 27, 16, "Conv2d", (16, 3, 3, 3), "ReLU")
    with vgtui.Emitter([layer], record=tmp_path / "r.jsonl") as emitter:
        emitter.emit(0, [1.0])
        emitter.note("a new epoch")
    assert [type(line).__name__ for line in lines(tmp_path / "r.jsonl")] == ["Header", "Frame", "Event"]
    assert header(tmp_path / "r.jsonl").layers == (layer,)


@pytest.mark.parametrize("every", ["", "100", "ms", "-1s", 0, -5, True, 1.5, "1h", None])
def test_a_wrong_pace_is_refused(every: Any) -> None:
    with pytest.raises(UsageError, match="is not a pace"):
        Cadence(every)


def test_a_measurement_that_takes_long_is_made_less_often() -> None:
    cadence = Cadence("1ms")
    cadence.begin(0)
    cadence.took(100.0)
    assert not cadence.is_due(1)
    steps = Cadence(5)
    steps.begin(0)
    steps.took(100.0)
    assert [steps.is_due(step) for step in (4, 5)] == [False, True]


def test_every_field_of_a_layer_can_be_given(tmp_path: Path) -> None:
    with vgtui.Emitter(["only"], record=tmp_path / "r.jsonl") as emitter:
        emitter.emit(0, **{name: [0.5] for name in LAYER_FIELDS})  # type: ignore[arg-type]
    (frame,) = frames(tmp_path / "r.jsonl")
    assert [getattr(frame.layers, name).tolist() for name in LAYER_FIELDS] == [[0.5]] * len(LAYER_FIELDS)
