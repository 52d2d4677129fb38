"""Watching disturbs nothing: not the numbers of the training, not its memory, not by a fault of its own."""

import gc
import logging
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import vgtui
from engine.errors import UsageError
from tests.limits import files_no_longer_than
from tests.watching.recorded import frames
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn

ASK = b'{"type":"pull"}\n'


def small_model() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


class Training:
    """A loop that notes its losses. The watcher may be told of each step, or not."""

    def __init__(self) -> None:
        self.model = small_model()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.losses: list[float] = []
        self.inputs, self.labels = torch.randn(32, 8), torch.randint(0, 3, (32,))

    def step(self, watcher: Any = None, loss: Any = None) -> None:
        self.optimizer.zero_grad()
        value = nn.functional.cross_entropy(self.model(self.inputs), self.labels)
        value.backward()
        self.optimizer.step()
        if watcher:
            watcher.step(loss=value if loss is None else loss)
        self.losses.append(float(value.detach()))


@contextmanager
def viewer(watcher: Any) -> Iterator[Any]:
    """A connection to it that has asked for a frame."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(watcher.path)
        connection.sendall(ASK)
        yield connection


def wait_for_question(watcher: Any) -> None:
    while not watcher._emitter.wanted:
        time.sleep(0.0005)  # without which its thread would wait for this one, five milliseconds each time


def test_the_training_is_the_same_bit_for_bit_while_viewers_come_and_are_killed() -> None:
    plain = Training()
    for _ in range(300):
        plain.step()
    watched = Training()
    with watch(watched.model, watched.optimizer, every=1) as watcher:
        for _ in range(50):
            with viewer(watcher) as connection:
                wait_for_question(watcher)
                for _ in range(3):
                    watched.step(watcher)
                assert connection.recv(20).startswith(b'{"type":"header"')
            for _ in range(3):
                watched.step(watcher)
    assert watched.losses == plain.losses


def test_memory_is_flat_over_many_sampled_steps(tmp_path: Path, long_form: bool) -> None:
    """Every step is sampled: with --slow, as many as in two and a half minutes at ten a second; a viewer is served."""
    first, further = (500, 1000) if long_form else (50, 150)
    training = Training()
    with watch(training.model, training.optimizer, every=1) as watcher, viewer(watcher) as connection:

        def steps(count: int) -> None:
            for _ in range(count):
                training.step(watcher)
                with suppress(BlockingIOError):
                    while connection.recv(2**20):
                        pass
                connection.sendall(ASK)
                wait_for_question(watcher)
            training.losses.clear()
            gc.collect()

        connection.setblocking(False)
        tracemalloc.start()  # what is kept of a step takes the place of what was kept before it was traced
        steps(first)
        before = tracemalloc.get_traced_memory()[0]
        steps(further)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < (50_000 if long_form else 40_000)


def test_a_fault_of_ours_is_one_warning_and_the_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    plain = Training()
    for _ in range(6):
        plain.step()
    watched = Training()
    with (
        caplog.at_level(logging.WARNING, "vgtui"),
        watch(watched.model, watched.optimizer, every=1) as watcher,
        viewer(watcher) as connection,
    ):
        wait_for_question(watcher)
        for number in range(6):
            watched.step(watcher, loss=object() if number == 2 else None)
            if number < 2:
                connection.sendall(ASK)
                wait_for_question(watcher)
        assert watcher.path is None
    assert watched.losses == plain.losses
    assert [record.getMessage() for record in caplog.records] == [
        "vgtui stops watching Sequential, the training goes on; please report this"
    ]
    assert not any(module._forward_hooks for module in watched.model.modules())


def test_closing_leaves_the_model_and_the_optimizer_as_they_were() -> None:
    training = Training()
    with watch(training.model, training.optimizer, every=1) as watcher, viewer(watcher):
        wait_for_question(watcher)
        for _ in range(4):
            training.step(watcher)
        path = Path(str(watcher.path))
    assert not path.exists()
    assert not any(module._forward_hooks for module in training.model.modules())
    assert not any(weight._post_accumulate_grad_hooks for weight in training.model.parameters())
    assert not training.optimizer._optimizer_step_pre_hooks and not training.optimizer._optimizer_step_post_hooks
    training.step()


def test_without_a_viewer_no_step_is_sampled() -> None:
    training = Training()
    with watch(training.model, training.optimizer, every=1) as watcher:
        for _ in range(5):
            training.step(watcher)
            assert watcher._sample is None


def test_a_dear_measurement_comes_less_often(tmp_path: Path) -> None:
    training = Training()
    with watch(training.model, training.optimizer, every="0ms", record=tmp_path / "r.jsonl") as watcher:
        for _ in range(400):
            training.step(watcher)
    assert 1 < len(frames(tmp_path / "r.jsonl")) < 100


def test_no_gradient_is_told_and_no_frame_made_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Training()
    with (
        caplog.at_level(logging.WARNING, "vgtui"),
        watch(training.model, every=1, record=tmp_path / "r.jsonl") as watcher,
    ):
        for _ in range(3):
            training.step()
            training.optimizer.zero_grad()
            watcher.step()
    assert frames(tmp_path / "r.jsonl") == []
    assert len(caplog.records) == 1 and "zero_grad" in caplog.records[0].getMessage()


def test_an_optimizer_without_hooks_is_said_and_step_reads_the_gradients(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Plain:
        """As those of other libraries are."""

        def __init__(self, parameters: Any) -> None:
            self.parameters = list(parameters)

        def step(self) -> None:
            with torch.no_grad():
                for parameter in self.parameters:
                    parameter -= 0.1 * parameter.grad

    model = small_model()
    optimizer: Any = Plain(model.parameters())
    with (
        caplog.at_level(logging.WARNING, "vgtui"),
        watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher,
    ):
        for _ in range(3):
            model.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
            watcher.step()
    assert len(frames(tmp_path / "r.jsonl")) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "vgtui: Plain has no hooks; call watcher.step() between backward() and zero_grad()"
    ]


def test_what_is_no_model_and_a_wrong_pace_are_refused() -> None:
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module, and str is not one"):
        watch("resnet")  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(UsageError, match="'often' is not a pace"):
        watch(small_model(), every="often")


def test_a_full_disk_ends_the_recording_and_not_the_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "r.jsonl"
    training = Training()
    with (
        caplog.at_level(logging.WARNING, "vgtui"),
        files_no_longer_than(20_000),
        watch(training.model, training.optimizer, every=1, record=path) as watcher,
    ):
        for _ in range(300):
            training.step(watcher)
    assert len(training.losses) == 300
    (said,) = [record.getMessage() for record in caplog.records]
    assert "what was written stays" in said
    assert 10_000 < path.stat().st_size <= 20_000


def test_vgtui_does_not_import_torch_and_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import vgtui, vgtui.cli.main\n"
        "vgtui.Emitter(['a']).close()\n"
        "try: vgtui.watch(object())\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "vgtui.watch needs PyTorch: pip install torch (https://pytorch.org)\n"
    assert not hasattr(vgtui, "torch")
