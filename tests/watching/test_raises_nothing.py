"""Nothing reaches the training: not from odd models and numbers, not from a machine that has nothing left to give."""

import copy
import logging
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vgtui
from engine.errors import UsageError
from tests.watching.recorded import frames, header, notes
from vgtui.watching.endpoints import socket_folder
from vgtui.wire.frames import LayerInfo

NAMES = ["first", "last"]


def entries() -> set[str]:
    return {path.name for path in socket_folder().iterdir()}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# the emitter


@pytest.mark.parametrize(
    "arguments",
    [
        {"layers": "first"},
        {"layers": 3},
        {"layers": [1, 2]},
        {"layers": [LayerInfo("a", 1.5, 2)]},  # type: ignore[arg-type]
        {"layers": NAMES, "name": 3},
        {"layers": NAMES, "parameters": "many"},
        {"layers": NAMES, "every": "often"},
        {"layers": NAMES, "record": 7},
    ],
)
def test_an_argument_that_is_plainly_wrong_is_a_type_error_at_the_call(arguments: dict[str, Any]) -> None:
    before = descriptors()
    with pytest.raises(TypeError):
        vgtui.Emitter(**arguments)
    assert entries() == set() and descriptors() == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"step": "three"}, "step"),
        ({"step": float("nan")}, "step"),
        ({"step": -1}, "step"),
        ({"loss": "high"}, "loss"),
        ({"loss": [1.0, 2.0]}, "loss"),
        ({"loss": np.zeros(0)}, "loss"),
        ({"loss": 1j}, "loss"),
        ({"accuracy": {}}, "accuracy"),
        ({"clip_factor": "none"}, "clip_factor"),
        ({"grad_norm": ["a", "b"]}, "grad_norm"),
        ({"grad_norm": [1j, 2j]}, "grad_norm"),
        ({"grad_norm": None}, "grad_norm"),
        ({"grad_norm": [-1.0, 1.0]}, "grad_norm"),
        ({"grad_norm": np.ones((2, 2))}, "shape"),
        ({"weight_norm": [1.0]}, "weight_norm"),
        ({"weight": [1.0, 1.0]}, "weight"),
    ],
)
def test_numbers_that_are_plainly_wrong_are_a_type_error_and_nothing_is_lost(
    arguments: dict[str, Any], word: str, tmp_path: Path
) -> None:
    with vgtui.Emitter(NAMES, record=tmp_path / "r.jsonl") as emitter:
        with pytest.raises(TypeError, match=word):
            emitter.emit(**{"step": 0, "grad_norm": [1.0, 1.0], **arguments})
        emitter.emit(1, [1.0, 1.0])
    assert [frame.step for frame in frames(tmp_path / "r.jsonl")] == [1]


def test_numbers_of_any_kind_are_taken(tmp_path: Path) -> None:
    with vgtui.Emitter(NAMES, record=tmp_path / "r.jsonl", parameters=np.int64(7)) as emitter:  # type: ignore[arg-type]
        emitter.emit(np.int64(1), (1, 2), loss=np.float32(0.5), accuracy=True)  # type: ignore[arg-type]
        emitter.emit(2, np.float16([1, 2]), loss=np.array(2), clip_factor=np.ma.masked)  # type: ignore[arg-type]
        emitter.emit(3, [1e300, float("inf")], loss=float("inf"), clip_factor=1e300)
        emitter.took(float("nan"))
    assert [frame.loss for frame in frames(tmp_path / "r.jsonl")] == [0.5, 2.0, float("inf")]
    told = header(tmp_path / "r.jsonl").model
    assert told and told.parameters == 7


@pytest.mark.parametrize("name", ["\udcff\x00", "n" * 5000, "模型", "", "a\nb"])
def test_any_word_is_a_name(name: str, tmp_path: Path) -> None:
    with vgtui.Emitter([name or "layer"], name=name, record=tmp_path / "r.jsonl") as emitter:
        assert emitter.path
        emitter.note(name)
        emitter.emit(0, [1.0])
    assert len(frames(tmp_path / "r.jsonl")) == len(notes(tmp_path / "r.jsonl")) == 1


def test_a_script_that_raises_for_every_warning_and_every_overflow_is_not_disturbed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        with vgtui.Emitter(NAMES, record=tmp_path / "r.jsonl") as emitter:
            emitter.emit(0, [1e-320, 1e308], loss=float("nan"), weight_norm=[0.0, float("inf")], clip_factor=1e308)
            emitter.emit(1, [float("nan"), 0.0])
    assert len(frames(tmp_path / "r.jsonl")) == 2 and not caplog.records


@pytest.mark.parametrize("file", ["no/such/folder/r.jsonl", "", ".", "a\0b", "r" * 300])
def test_a_recording_that_cannot_be_made_is_a_warning(
    file: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with vgtui.Emitter(NAMES, name="m", record=f"{tmp_path}/{file}") as emitter:
        emitter.emit(0, [1.0, 1.0])
        assert emitter.path
    assert [record.getMessage().startswith("vgtui: m is not recorded: ") for record in caplog.records] == [True]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_recording_beside_others_is_numbered(ending: str, tmp_path: Path) -> None:
    for step in range(3):
        with vgtui.Emitter(NAMES, record=tmp_path / f"run.{ending}") as emitter:
            emitter.emit(step, [1.0, 1.0])
    names = [f"run{number}.{ending}" for number in ("", "-2", "-3")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert [frames(tmp_path / name)[0].step for name in names] == [0, 1, 2]


def test_a_name_may_be_used_without_an_end() -> None:
    emitters = [vgtui.Emitter(NAMES, name="model") for _ in range(120)]
    assert len({emitter.path for emitter in emitters}) == len(entries()) == 120
    for emitter in emitters:
        emitter.close()
    assert entries() == set()


def test_where_no_thread_can_be_started_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = descriptors()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with vgtui.Emitter(NAMES, name="m", record=tmp_path / "r.jsonl") as emitter:
        emitter.emit(0, [1.0, 1.0])
        assert emitter.path is None
    assert [record.getMessage() for record in caplog.records] == [
        "vgtui: nobody can attach to m: can't start new thread"
    ]
    assert entries() == set() and descriptors() == before
    assert len(frames(tmp_path / "r.jsonl")) == 1


def run(script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)


def test_where_no_file_can_be_opened_the_training_goes_on(tmp_path: Path, long_form: bool) -> None:
    script = """
import os, resource, sys, vgtui
vgtui.Emitter  # imported while it can be
spare = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1 + spare, 100))
with vgtui.Emitter(["a"], record=sys.argv[1]) as emitter:
    emitter.emit(0, [1.0])
with vgtui.Emitter(["a"]) as emitter:
    emitter.emit(0, [1.0])
print("trained")
"""
    for spare in range(8) if long_form else (0, 3, 7):
        done = run(script, str(tmp_path / f"{spare}.jsonl"), str(spare))
        assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
        assert "Traceback" not in done.stderr
        assert entries() == set()


def test_at_the_interpreters_end_nothing_is_said(tmp_path: Path) -> None:
    script = """
import atexit, sys, vgtui
def late():
    with vgtui.Emitter(["a"], record=sys.argv[1]) as emitter:
        emitter.emit(0, [1.0])
atexit.register(late)
kept = vgtui.Emitter(["a"])
"""
    done = run(script, str(tmp_path / "r.jsonl"))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(frames(tmp_path / "r.jsonl")) == 1
    assert entries() == set()


def test_a_forked_child_gives_no_frame_and_writes_nothing(tmp_path: Path) -> None:
    script = """
import os, sys, vgtui
emitter = vgtui.Emitter(["a"], record=sys.argv[1])
emitter.emit(0, [1.0])
emitter._publisher._lock.acquire()  # as its thread may hold it at any time
child = os.fork()
if child == 0:
    emitter.emit(1, [1.0])
    emitter.note("from the child")
    emitter.close()
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
emitter._publisher._lock.release()
assert os.path.exists(emitter.path)
emitter.emit(2, [1.0])
"""
    done = run(script, str(tmp_path / "r.jsonl"))
    assert (done.returncode, done.stderr) == (0, "")
    assert [frame.step for frame in frames(tmp_path / "r.jsonl")] == [0, 2]


def test_a_viewer_that_leaves_does_not_end_a_script_that_sigpipe_ends() -> None:
    script = """
import signal, socket, time, vgtui
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
emitter = vgtui.Emitter(["a"] * 1000, every=1)
for step in range(100):
    with socket.socket(socket.AF_UNIX) as viewer:
        viewer.connect(emitter.path)
        viewer.sendall(b'{"type":"pull"}\\n')
        while not emitter.wanted:
            time.sleep(0.0005)
        viewer.shutdown(socket.SHUT_RD)
        emitter.emit(step, [1.0] * 1000)
emitter.close()
print("trained")
"""
    done = run(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "trained\n", "")


def test_copies_give_frames_to_nobody(tmp_path: Path) -> None:
    with vgtui.Emitter(NAMES, record=tmp_path / "r.jsonl") as emitter:
        for twin in (copy.deepcopy(emitter), copy.copy(emitter), pickle.loads(pickle.dumps(emitter))):
            assert not twin.wanted and twin.path is None
            twin.emit(5, [1.0, 1.0])
            twin.note("of a copy")
            twin.close()
        emitter.emit(0, [1.0, 1.0])
    assert [frame.step for frame in frames(tmp_path / "r.jsonl")] == [0] and notes(tmp_path / "r.jsonl") == []


def test_ctrl_c_is_the_users_and_passes() -> None:
    class Interrupted:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    with vgtui.Emitter(NAMES) as emitter, pytest.raises(KeyboardInterrupt):
        emitter.emit(0, [1.0, 1.0], loss=Interrupted())


# the watcher


def torch_and_model() -> tuple[Any, Any]:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch, torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


def train(torch: Any, model: Any, watcher: Any, optimizer: Any, *losses: Any) -> None:
    for told in losses:
        optimizer.zero_grad()
        model(torch.randn(3, 4)).square().mean().backward()
        optimizer.step()
        watcher.step(loss=told)


ODD_LOSSES: dict[str, Callable[[Any], Any]] = {
    "None": lambda torch: None,
    "a word": lambda torch: "high",
    "NaN": lambda torch: torch.tensor(float("nan")),
    "on no device": lambda torch: torch.zeros((), device="meta"),
    "with a graph": lambda torch: torch.ones((), requires_grad=True) * 2,
    "empty": lambda torch: torch.zeros(0),
    "complex": lambda torch: torch.zeros((), dtype=torch.complex64),
    "half": lambda torch: torch.ones((), dtype=torch.bfloat16),
    "a vector": lambda torch: torch.ones(3),
    "a dict": lambda torch: {"loss": 1.0},
    "an object": lambda torch: object(),
    "numpy's": lambda torch: np.float32(1),
    "numpy's objects": lambda torch: np.array([None]),
}


@pytest.mark.parametrize("kind", ODD_LOSSES)
def test_no_loss_raises(kind: str, tmp_path: Path) -> None:
    torch, model = torch_and_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        train(torch, model, watcher, optimizer, 1.0, ODD_LOSSES[kind](torch), ODD_LOSSES[kind](torch))
    assert frames(tmp_path / "r.jsonl")[0].loss == 1


def test_whole_numbers_and_what_is_no_number_stop_nothing(tmp_path: Path) -> None:
    torch, model = torch_and_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    kinds = [3, True, torch.tensor(3), torch.tensor([True, False]), torch.zeros((), device="meta"), 1j, 4]
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        train(torch, model, watcher, optimizer, *kinds)
    assert [frame.loss for frame in frames(tmp_path / "r.jsonl")] == [3, 1, 3, 0.5, None, None, 4]


def test_an_optimizer_is_found_in_whatever_is_around_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch, model = torch_and_model()

    class Around:
        def __init__(self, inner: Any) -> None:
            self.optimizer = inner

        def register_step_pre_hook(self, hook: Any) -> Any:
            raise AttributeError("_optimizer_step_pre_hooks")

    class Broken(torch.optim.Optimizer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            pass

        @property
        def optimizer(self) -> Any:
            raise RuntimeError("not yet")

    real = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapped: Any = Around(Around(real))
    with vgtui.watch(model, wrapped, every=1, record=tmp_path / "r.jsonl") as watcher:
        train(torch, model, watcher, real, 1.0, 2.0)
    assert [frame.loss for frame in frames(tmp_path / "r.jsonl")] == [1, 2] and not caplog.records
    endless = Around(None)
    endless.optimizer = endless
    wrong: Any
    for wrong in (endless, Broken(), Around(Broken()), "sgd", model.parameters()):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "vgtui"), vgtui.watch(model, wrong) as watcher:
            train(torch, model, watcher, real, 1.0)
        assert [record.getMessage().endswith("between backward() and zero_grad()") for record in caplog.records] == [
            True
        ]
    assert not real._optimizer_step_pre_hooks


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_odd_models_are_trained_as_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch, model = torch_and_model()
    nn = torch.nn

    class Stubborn(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 2)

        def __getattr__(self, name: str) -> Any:
            if name == "inner":
                return super().__getattr__(name)
            raise KeyError(name)

        def forward(self, inputs: Any) -> Any:
            return self.inner(inputs)

    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    kinds = [Stubborn(), tied, torch.jit.script(model), nn.Sequential(nn.Linear(4, 4, dtype=torch.float64).float())]
    for number, kind in enumerate(kinds):
        optimizer = torch.optim.SGD(kind.parameters(), lr=0.1)
        with vgtui.watch(kind, optimizer, every=1, record=tmp_path / f"{number}.jsonl") as watcher:
            train(torch, kind, watcher, optimizer, 1.0, 2.0, 3.0)
    assert [len(frames(tmp_path / f"{number}.jsonl")) for number in (1, 2, 3)] == [3, 3, 3]
    with vgtui.watch(nn.ReLU(), every=1, record=tmp_path / "none.jsonl") as watcher:
        watcher.step(loss=1.0)


def test_complex_weights_and_outputs_stop_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch, _ = torch_and_model()

    class Turning(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(4))
            self.phase = torch.nn.Parameter(torch.ones(4, dtype=torch.complex64))

        def forward(self, inputs: Any) -> Any:
            return inputs * self.weight * self.phase

    model = Turning()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(3, 4)).abs().mean().backward()
            optimizer.step()
            watcher.step(loss=1.0)
    assert len(frames(tmp_path / "r.jsonl")) == 3 and not caplog.records


def test_parameters_may_be_replaced_and_a_forward_may_raise(tmp_path: Path) -> None:
    torch, model = torch_and_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        train(torch, model, watcher, optimizer, 1.0, 2.0)
        with pytest.raises(RuntimeError, match="shapes"):
            model(torch.randn(3, 5))
        model[2] = torch.nn.Linear(8, 3)
        model[0].weight = torch.nn.Parameter(torch.ones(8, 4))
        optimizer.add_param_group({"params": [model[0].weight, *model[2].parameters()]})
        train(torch, model, watcher, optimizer, 3.0, 4.0)
    assert [frame.loss for frame in frames(tmp_path / "r.jsonl")][:2] == [1, 2]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_with_its_watcher_in_it_can_be_copied_and_saved(tmp_path: Path) -> None:
    torch, model = torch_and_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        model.watcher = watcher
        train(torch, model, watcher, optimizer, 1.0)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert twin.watcher.path is None
            twin(torch.randn(3, 4)).sum().backward()
            twin.watcher.step(loss=9.0)
            twin.watcher.close()
        train(torch, model, watcher, optimizer, 2.0)
    assert [frame.loss for frame in frames(tmp_path / "r.jsonl")] == [1, 2]


@pytest.mark.parametrize("wrong", [{"every": "often"}, {"every": None}, {"name": 3}, {"record": 7}, {"scaler": 1024.0}])
def test_what_watch_is_wrongly_given_is_a_type_error_that_leaves_nothing(wrong: dict[str, Any]) -> None:
    _, model = torch_and_model()
    before = descriptors()
    with pytest.raises(TypeError) as raised:
        vgtui.watch(model, **wrong)
    assert isinstance(raised.value, UsageError)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert entries() == set() and descriptors() == before
