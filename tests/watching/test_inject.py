"""`vgtui attach --inject`: vgtui in a training that was started without it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.terminal.forked import ForkedTerminal
from vgtui.cli.main import main
from vgtui.watching.automatic import inject
from vgtui.watching.automatic.environment import Wishes
from vgtui.watching.endpoints import list_endpoints

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    find_spec("hypno") is None and not hasattr(sys, "remote_exec"), reason="hypno is not installed"
)

SCRIPT = """
import json, sys, torch
torch.manual_seed(0)
torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 3))
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
inputs, labels = torch.randn(64, 8), torch.randint(0, 3, (64,))
backward = torch.autograd.backward
path = list(sys.path)
losses, longest = [], 0.0
import time, pathlib
print("training", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    began = time.perf_counter()
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(inputs), labels)
    loss.backward()
    optimizer.step()
    longest = max(longest, time.perf_counter() - began)
    losses.append(loss.item())
hooks = [*optimizer._optimizer_step_pre_hooks, *optimizer._optimizer_step_post_hooks]
of_all = sys.modules["torch.optim.optimizer"]
hooks += [*of_all._global_optimizer_pre_hooks, *of_all._global_optimizer_post_hooks]
hooks += [hook for part in net.modules() for hook in (*part._forward_hooks, *part._forward_pre_hooks)]
print(json.dumps({"losses": losses, "left": len(hooks) + (torch.autograd.backward is not backward),
    "longest": longest, "watched": "vgtui" in sys.modules}))
"""


@contextmanager
def training(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A training that goes on until the file is there."""
    end = folder / "end"
    command = [sys.executable, "-c", SCRIPT, str(end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            assert process.stdout and process.stdout.readline() == "training\n"
            yield process, end
        finally:
            process.kill()


def test_a_training_is_watched_and_q_leaves_nothing_behind(tmp_path: Path) -> None:
    with training(tmp_path) as (process, end):
        time.sleep(0.3)  # in the midst of it
        with ForkedTerminal(["attach", "--inject", str(process.pid)]) as terminal:
            terminal.wait_for(lambda: "net" in terminal.line and (terminal.step or 0) > 0)
            seen = terminal.step
            terminal.wait_for(lambda: (terminal.step or 0) > (seen or 0))
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        deadline = time.monotonic() + 10
        while any(endpoint.pid == process.pid for endpoint in list_endpoints()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        end.touch()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    told = json.loads(output)
    assert (told["left"], told["watched"], errors) == (0, True, "")
    bare = torch_losses(len(told["losses"]))
    assert told["losses"] == bare
    assert told["longest"] < 2.0


def torch_losses(count: int) -> list[float]:
    """The same training, undisturbed."""
    code = SCRIPT.replace("not pathlib.Path(sys.argv[1]).exists()", "len(losses) < int(sys.argv[1])")
    done = subprocess.run([sys.executable, "-c", code, str(count)], capture_output=True, text=True, timeout=120)
    losses: list[float] = json.loads(done.stdout.splitlines()[-1])["losses"]
    return losses


def test_a_watcher_that_nobody_came_to_see_leaves(tmp_path: Path) -> None:
    with training(tmp_path) as (process, _):
        found = inject.inject(process.pid, Wishes(), lambda _: None)
        assert found.name == "net" and Path(found.socket).exists()
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("print(flush=True); import time; time.sleep(60)", "has not loaded PyTorch"),
        ("import torch; print(flush=True); import time; time.sleep(60)", "it has no optimizer of PyTorch"),
    ],
)
def test_what_is_no_training_is_named(code: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert main(["attach", "--inject", str(process.pid)]) == 2
        process.kill()
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--inject", "99999999"], "vgtui: --inject: process 99999999 does not exist\n"),
        (["--inject", str(os.getpid())], f"vgtui: --inject: process {os.getpid()} is vgtui itself\n"),
        (["--inject", "train.py"], "vgtui: --inject: 'train.py' is no process; it takes the number of one"),
        (["--inject", "-1"], "vgtui: --inject: '-1' is no process; it takes the number of one"),
        (["--inject", "1", "resnet"], "vgtui: NAME: "),
    ],
)
def test_a_wrong_process_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attach", *words]) == 2
    assert capsys.readouterr().err.startswith(sentence)


@pytest.mark.parametrize(
    ("scope", "is_root", "begin"),
    [("1", False, "may not be changed by another process"), ("2", False, "may be changed by root alone"),
     ("0", False, ""), ("1", True, ""), ("3", True, "may not be changed here")],
)  # fmt: skip
def test_the_system_s_rule_for_debuggers_is_named(
    scope: str, is_root: bool, begin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sys/kernel/yama").mkdir(parents=True)
    (tmp_path / "sys/kernel/yama/ptrace_scope").write_text(f"{scope}\n")
    monkeypatch.setattr(inject, "PROCESSES", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if is_root else 1000)
    assert inject._scope_problem().startswith(begin) and bool(inject._scope_problem()) == bool(begin)
