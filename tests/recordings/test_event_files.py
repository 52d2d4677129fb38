"""Event files of TensorBoard as recordings: written by its own writers, whole and damaged."""

import csv
import io
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.shell import call
from vgtui.recordings.event_recording import event_lines, event_recording
from vgtui.recordings.event_tags import TagRule
from vgtui.sources.replay import Replay
from vgtui.wire.frames import Event, Frame, Header, Line

pytest.importorskip("tensorboard")
SLOPES = {"gradients/a.weight": 1e-9, "gradients/b.weight": 0.5, "gradients/c.weight": 1.0}


def write(folder: Path, steps: Mapping[int, Mapping[str, float]], suffix: str = "") -> Path:
    """Event files with scalars and, of tags that begin with gradients, histograms of one entry of this size."""
    from tensorboard.compat.proto.event_pb2 import Event as TensorBoardEvent
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), filename_suffix=suffix)
    for step, values in steps.items():
        summary = Summary()
        for tag, value in values.items():
            if tag.startswith("gradients"):
                shape = HistogramProto(min=value, max=value, num=1, sum=value, sum_squares=value**2)
                summary.value.add(tag=tag, histo=shape)
            else:
                summary.value.add(tag=tag, simple_value=value)
        writer.add_event(TensorBoardEvent(step=step, wall_time=100.0 + step / 50, summary=summary))
    writer.close()
    (path,) = folder.glob(f"*{suffix}") if suffix else folder.glob("*")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "exp1"
    write(folder, {step: {**SLOPES, "train/loss": 2.0} for step in range(0, 100, 10)})
    return folder


def lines(path: Path, *rule: str) -> list[Line]:
    return list(event_lines(str(path), TagRule.of(rule)))


def frames(path: Path, *rule: str) -> list[Frame]:
    return [line for line in lines(path, *rule) if isinstance(line, Frame)]


def remarks(path: Path) -> str:
    return " ".join(line.message for line in lines(path) if isinstance(line, Event))


def problem(*words: str) -> str:
    done = call(*words)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    return done.stderr


def test_norms_of_a_real_training_are_those_of_its_gradients(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.tensorboard import SummaryWriter

    torch.set_num_threads(1)  # on a busy machine, several wait for each other without an end
    torch.manual_seed(0)
    parts = [part for _ in range(8) for part in (torch.nn.Linear(16, 16), torch.nn.Sigmoid())]
    model = torch.nn.Sequential(*parts, torch.nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms, weights, losses = [], [], []
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(80):
            loss = torch.nn.functional.cross_entropy(model(torch.randn(32, 16)), torch.randint(4, (32,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()  # which leaves the gradients
            if step % 10:
                continue
            writer.add_scalar("train/loss", loss.detach(), step)
            for name, parameter in model.named_parameters():
                writer.add_histogram(f"gradients/{name}", parameter.grad, step)
                writer.add_histogram(name, parameter.detach(), step)
            matrices = [layer.weight for layer in model if hasattr(layer, "weight")]
            norms.append([float(matrix.grad.double().norm()) for matrix in matrices])
            weights.append([float(matrix.detach().double().norm()) for matrix in matrices])
            losses.append(float(loss.detach()))
    header, *others = lines(tmp_path)
    assert isinstance(header, Header) and [info.name for info in header.layers] == [str(2 * n) for n in range(9)]
    found = [line for line in others if isinstance(line, Frame)]
    assert [frame.step for frame in found] == list(range(0, 80, 10))
    for frame, norm, weight, loss in zip(found, norms, weights, losses, strict=True):
        assert np.ma.getmaskarray(frame.layers.grad_norm).sum() == 0
        np.testing.assert_allclose(frame.layers.grad_norm, norm, rtol=1e-6)
        np.testing.assert_allclose(frame.layers.weight_norm, weight, rtol=1e-6)
        assert frame.loss == pytest.approx(loss, rel=1e-6)
        assert np.ma.getmaskarray(frame.layers.delta_norm).all()
    assert found[-1].verdict.kind == "vanishing" and "0 gets" in found[-1].verdict.message


def test_a_run_has_a_frame_at_each_step_with_a_gradient(run: Path) -> None:
    header, note, *found = lines(run)
    assert isinstance(header, Header) and header.model and header.model.name == "exp1"
    assert [info.name for info in header.layers] == ["a", "b", "c"]
    assert (
        isinstance(note, Event) and "norms are of histograms" in note.message and "loss is train/loss" in note.message
    )
    assert [(frame.step, frame.steps_per_second) for frame in found if isinstance(frame, Frame)] == [
        (step, pytest.approx(50) if step else 0) for step in range(0, 100, 10)
    ]
    last = found[-1]
    assert isinstance(last, Frame) and last.layers.grad_norm.tolist() == pytest.approx([1e-9, 0.5, 1.0])
    assert last.verdict.kind == "vanishing" and last.loss == 2.0 and last.accuracy is None


def test_replay_export_and_report_read_a_run(run: Path, tmp_path: Path) -> None:
    shown = call("replay", str(run))
    assert shown.returncode == 0 and "vanishing: a gets 1e-09 of" in shown.stdout
    assert "vgtui: the gradient norms are of histograms" in shown.stderr and "10 frames" in shown.stderr
    table = call("export", str(run), "-o", "-")
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert len(rows) == 30 and rows[-3]["layer"] == "a" and float(rows[-3]["grad_norm"]) == pytest.approx(1e-9)
    assert rows[-3]["weight_norm"] == "" and rows[-3]["loss"] == "2.0"
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    page = call("report", str(run), "-o", str(tmp_path / "page.html"))
    assert page.returncode == 0 and "vanishing: a gets" in (tmp_path / "page.html").read_text()


async def test_a_run_is_played_as_a_recording_is(run: Path) -> None:
    file, told = event_recording(str(run), TagRule())
    with file:
        source = Replay(str(run), file.fileno())
    source.skip(1.0)
    steps: list[int] = []
    notes: list[str] = []
    while not source.ended:
        answer = await source.next_answer()
        steps += [answer.step] if isinstance(answer, Frame) else []
        notes += [answer.message] if isinstance(answer, Event) else []
    await source.close()
    assert steps == list(range(0, 100, 10)) and notes[:-1] == told and notes[-1].startswith("end of the recording")


def test_the_layers_and_the_loss_have_the_names_that_the_user_gives(tmp_path: Path) -> None:
    write(tmp_path, {step: {"dW:in": 1e-5, "dW:out": 1.0, "cost": 3.0} for step in range(3)})
    last = frames(tmp_path, "dW:{layer}", "loss=cost")[-1]
    assert last.layers.grad_norm.tolist() == pytest.approx([1e-5, 1.0]) and last.loss == 3.0
    done = call("replay", str(tmp_path), "--tag", "dW:{layer}", "--tag", "loss=cost")
    assert done.returncode == 0 and "loss 3" in done.stdout


def test_an_exact_0_is_0_a_nan_is_nan_and_what_was_not_written_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, {
        0: {"gradients/a.weight": 0.0, "gradients/b.weight": 1.0},
        1: {"gradients/a.weight": math.nan, "gradients/b.weight": math.inf, "loss": math.nan},
        2: {"gradients/b.weight": 2.0},
    })  # fmt: skip
    first, second, third = frames(tmp_path)
    assert first.layers.grad_norm.tolist() == [0.0, 1.0] and first.loss is None
    assert np.isnan(second.layers.grad_norm[0]) and second.layers.grad_norm[1] == math.inf
    assert second.verdict.kind == "non-finite" and second.loss is not None and np.isnan(second.loss)
    assert third.layers.grad_norm.tolist() == [None, 2.0]


def test_squares_that_were_too_small_for_the_writer_are_unknown_and_not_0(tmp_path: Path) -> None:
    write(tmp_path, {step: {"gradients/a.weight": 1e-200, "gradients/b.weight": 1.0} for step in range(4)})
    assert frames(tmp_path)[0].layers.grad_norm.tolist() == [None, 1.0]
    assert "4 histograms have squares that were too small for their writer: their norms are unknown" in remarks(
        tmp_path
    )


def test_only_bins_are_left_out_and_said(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event as TensorBoardEvent
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    for step in range(3):
        summary = Summary()
        bins = make_tensor_proto(np.ones((30, 3)))
        summary.value.add(tag="gradients/dense/kernel", tensor=bins)
        summary.value.add(tag="grad_norm/other/kernel", tensor=make_tensor_proto(np.float32(0.25)))
        summary.value.add(tag="text", tensor=make_tensor_proto("words"))
        writer.add_event(TensorBoardEvent(step=step, summary=summary))
    writer.close()
    (first, *_) = frames(tmp_path)
    assert first.layers.grad_norm.tolist() == [0.25]
    assert "whose norm is unknown are left out: gradients/dense/kernel" in remarks(tmp_path)


def test_a_run_that_was_resumed_has_several_files(run: Path) -> None:
    write(
        run, {step: {**SLOPES, "gradients/a.weight": 2.0, "train/loss": 1.0} for step in (90, 100)}, suffix=".resumed"
    )
    found = frames(run)
    assert [frame.step for frame in found] == list(range(0, 101, 10))
    assert [frame.layers.grad_norm[0] for frame in found[-3:]] == pytest.approx([1e-9, 2.0, 2.0])


@pytest.fixture
def damaged(run: Path) -> Iterator[tuple[Path, bytearray]]:
    (file,) = run.iterdir()
    yield file, bytearray(file.read_bytes())


def test_a_torn_tail_and_a_flipped_byte_leave_what_is_before_them(damaged: tuple[Path, bytearray]) -> None:
    file, data = damaged
    file.write_bytes(data[:-5])
    assert len(frames(file)) == 9 and "is damaged or torn" in remarks(file)
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    assert 0 < len(frames(file)) < 9
    done = call("replay", str(file))
    assert done.returncode == 0 and "is damaged or torn" in done.stderr


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\0" * 100, b'{"type":"header"}\n' * 10])
def test_what_is_no_event_file_is_one_sentence(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(data)
    for words in (("replay",), ("export", "-o", "-")):
        assert "cannot be read: there is no whole record in it" in problem(words[0], str(file), *words[1:])


def test_a_folder_without_a_run_or_with_several_is_one_sentence(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "cannot be read: it is a folder without event files of TensorBoard" in problem(
        "replay", str(tmp_path / "empty")
    )
    assert "No such file" in problem("replay", str(tmp_path / "events.tfevents"))
    assert call("replay", str(tmp_path)).returncode == 0  # one run below it
    write(tmp_path / "exp2" / "version_0", {0: SLOPES})
    several = problem("replay", str(tmp_path))
    assert f"has 2 runs in it; name one of them: {run}, {tmp_path}/exp2/version_0" in several


def test_a_run_without_gradients_names_its_tags(tmp_path: Path) -> None:
    write(tmp_path, {0: {"train/loss": 1.0, "lr": 0.1}})
    words = problem("export", str(tmp_path), "-o", "-")
    assert "has no gradients; its tags are train/loss, lr; --tag 'PATTERN' with {layer} in it says" in words


def test_a_rule_for_what_is_no_event_file_does_nothing_and_is_said(tmp_path: Path) -> None:
    call("run", "--steps", "0", "--hidden-layers", "2", "--output", "run.jsonl", cwd=tmp_path)
    done = call("replay", "run.jsonl", "--tag", "grad/{layer}", cwd=tmp_path)
    assert done.returncode == 0
    assert "vgtui: --tag: does nothing here: run.jsonl is not of TensorBoard" in done.stderr


def test_without_tensorboard_the_command_that_installs_it_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: dict[str, Any] = {name: None for name in sys.modules if name.partition(".")[0] == "tensorboard"}
    for name in (*hidden, "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("vgtui.user.extras.is_installed", lambda module: False)
    words = problem("replay", str(run))
    assert "event files need tensorboard, which is not installed; install it with: " in words
    assert "pip install 'vgtui[tensorboard]'" in words
