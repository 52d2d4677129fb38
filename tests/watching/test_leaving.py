"""What a watcher leaves behind: nothing in a saved model, and no thread, socket or file once its model is gone."""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from vgtui import watch
from vgtui.watching.endpoints import socket_folder

torch = pytest.importorskip("torch")
nn = torch.nn
BATCH = 16


def network() -> Any:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Linear(8, 2))


def step(model: Any, optimizer: Any) -> None:
    optimizer.zero_grad()
    model(torch.randn(BATCH, 4)).square().mean().backward()
    optimizer.step()


def left() -> tuple[int, int, int]:
    """Sockets, threads and descriptors."""
    threads = sum(thread.name == "vgtui" for thread in threading.enumerate())
    return len(list(socket_folder().iterdir())), threads, len(os.listdir("/proc/self/fd"))


LOAD = """
import sys
for name in ("vgtui", "engine"):
    sys.modules[name] = None
import torch
for path in sys.argv[1:]:
    model = torch.load(path, weights_only=False)
    inputs = torch.ones(2, 4, requires_grad=True)
    model(inputs).sum().backward()
    print(torch.equal(model(inputs), torch.load(path, weights_only=False)(inputs)))
"""


def test_a_model_that_is_saved_as_a_whole_while_it_is_watched_takes_no_vgtui_to_be_read(tmp_path: Path) -> None:
    import copy

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl"):
        torch.save(model, tmp_path / "traced.pt")
        for _ in range(3):
            step(model, optimizer)
        assert any(module._forward_hooks for module in model.modules())
        torch.save(model, tmp_path / "sampled.pt")
        torch.save(copy.deepcopy(model), tmp_path / "copied.pt")
    files = [str(tmp_path / f"{name}.pt") for name in ("traced", "sampled", "copied")]
    done = subprocess.run([sys.executable, "-c", LOAD, *files], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("True\n" * 3, "")


def test_a_watcher_ends_with_its_model() -> None:
    gc.collect()
    before = left()
    for trains in (False, True):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch(model, optimizer, every=1)
        if trains:
            step(model, optimizer)
        del model, optimizer
        gc.collect()
        assert left() == before


def test_in_a_loop_each_watcher_takes_the_place_of_the_one_before() -> None:
    gc.collect()
    before = left()
    kept = []
    for _ in range(12):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watcher = watch(model, optimizer)
        for _ in range(2):
            step(model, optimizer)
        kept.append((watcher, model, optimizer))
    assert [watcher.path is None for watcher, *_ in kept] == [True] * 11 + [False]
    watcher.close()
    assert left() == before


def test_the_same_model_has_one_watcher_of_a_name() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as first, watch(model, optimizer) as second:
        assert (first.path, second.path is None) == (None, False)
        assert len(optimizer._optimizer_step_pre_hooks) == 1
    with watch(model, optimizer, name="a") as first, watch(model, optimizer, name="b") as second:
        assert first.path and second.path


def test_models_of_one_class_that_are_trained_together_are_all_watched() -> None:
    models = [network() for _ in range(3)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    watchers = [watch(model, optimizer) for model, optimizer in zip(models, optimizers, strict=True)]
    for _ in range(3):
        for model, optimizer in zip(models, optimizers, strict=True):
            step(model, optimizer)
    assert all(watcher.path for watcher in watchers)
    for watcher in watchers:
        watcher.close()
