"""The numbers of a watched training in an experiment tracker, or whatever takes a dict and a step."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vgtui
from tests.watching.recorded import frames
from vgtui.wire.frames import LayerInfo

LAYERS = [LayerInfo("embed", 0, 0, is_matrix=False), LayerInfo("block[0].up:proj", 0, 0), LayerInfo("head", 0, 0)]
FEW = {"vgtui/calm", "vgtui/gradient_norm", "vgtui/worst_ratio", "vgtui/loss"}


class Tracker:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}

    def log(self, numbers: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.rows[step] = numbers


def test_a_few_numbers_of_each_frame_are_logged_though_nobody_looks() -> None:
    tracker = Tracker()
    with vgtui.Emitter(LAYERS, every=50, log=tracker.log) as emitter:
        for step in range(320):
            if emitter.is_due(step):
                emitter.emit(step, [1e-9, 3e-5, 4.0], loss=2.5)
    assert list(tracker.rows) == [0, 50, 100, 150, 200, 250, 300]
    assert tracker.rows[0]["vgtui/calm"] == 1.0  # too early to say
    numbers = tracker.rows[300]
    assert numbers.keys() == FEW
    assert numbers["vgtui/gradient_norm"] == pytest.approx(math.hypot(1e-9, 3e-5, 4.0), rel=1e-12)
    assert numbers["vgtui/worst_ratio"] == pytest.approx(3e-5 / 4.0, rel=1e-12)  # an embedding is not compared
    assert numbers["vgtui/loss"] == 2.5 and numbers["vgtui/calm"] == 0.0
    assert all(type(value) is float for value in numbers.values())


def test_each_layer_is_logged_on_demand_by_names_that_every_tracker_takes_and_nan_is_nan() -> None:
    tracker = Tracker()
    with vgtui.Emitter(LAYERS, every=1, log=tracker.log, log_layers=True) as emitter:
        grad_norm = np.ma.MaskedArray([0.0, float("nan"), 1.0], mask=[False, False, True])
        emitter.emit(0, grad_norm, weight_norm=[1.0, 2.0, 3.0])
    numbers = tracker.rows[0]
    assert numbers["vgtui/weight_norm/block_0_.up_proj"] == 2.0
    assert numbers["vgtui/grad_norm/embed"] == 0.0 and math.isnan(numbers["vgtui/grad_norm/block_0_.up_proj"])
    assert "vgtui/grad_norm/head" not in numbers and "vgtui/loss" not in numbers
    assert math.isnan(numbers["vgtui/gradient_norm"])


def test_a_frame_of_which_nothing_is_known_has_a_verdict_alone() -> None:
    tracker = Tracker()
    with vgtui.Emitter(LAYERS, every=1, log=tracker.log) as emitter:
        emitter.emit(0, np.ma.MaskedArray(np.zeros(3), mask=True))
    assert tracker.rows[0].keys() == {"vgtui/calm"}


def test_a_function_that_fails_is_told_once_and_not_called_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def fails(numbers: dict[str, float], step: int) -> None:
        calls.append(step)
        raise ConnectionError("no such host")

    with vgtui.Emitter(LAYERS, every=1, log=fails, record=tmp_path / "r.jsonl") as emitter:
        for step in range(5):
            emitter.emit(step, [1.0, 1.0, 1.0])
    assert calls == [0] and len(frames(tmp_path / "r.jsonl")) == 5
    (record,) = caplog.records
    assert record.getMessage() == "vgtui: log failed and is not called any more, the training goes on"
    with vgtui.Emitter(LAYERS, every=1, log=fails) as emitter:
        emitter.emit(0, [1.0, 1.0, 1.0])
        assert not emitter.wanted


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match=r"it takes a function such as wandb\.log"):
        vgtui.Emitter(LAYERS, log="wandb")  # type: ignore[arg-type]


def test_a_watched_model_logs_what_its_recording_holds(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tracker = Tracker()
    with vgtui.watch(model, optimizer, every=2, log=tracker.log, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(10):
            optimizer.zero_grad()
            loss = model(torch.ones(8, 4)).square().mean()
            loss.backward()
            optimizer.step()
            watcher.step(loss=loss)
    kept = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in kept] == list(tracker.rows)
    assert [frame.loss for frame in kept] == [row["vgtui/loss"] for row in tracker.rows.values()]
    assert all(row["vgtui/worst_ratio"] > 0 for row in tracker.rows.values())


def test_tensorboard_has_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(tmp_path))

    def log(numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    with vgtui.Emitter(LAYERS, every=1, log=log) as emitter:
        for step in range(3):
            emitter.emit(step, [1.0, 1.0, 2.0], loss=step)
    writer.close()
    read = EventAccumulator(str(tmp_path)).Reload()
    assert set(read.Tags()["scalars"]) == FEW
    assert [(entry.step, entry.value) for entry in read.Scalars("vgtui/loss")] == [(0, 0.0), (1, 1.0), (2, 2.0)]
