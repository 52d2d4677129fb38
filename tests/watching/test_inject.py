"""`vgtui attach --inject`: a real training is watched, is the same bit for bit, and is left as it was."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import UsageError
from tests.cli.shell import call_apart
from tests.watching import automatic_scripts as scripts
from vgtui.watching.automatic import injection, registers
from vgtui.watching.endpoints import list_endpoints

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process can be injected into on Linux alone")
TRAINING = (
    scripts.BEGIN
    + """\
import os, threading
hooks = sys.modules["torch.optim.optimizer"]
model = nn.Sequential(*[part for _ in range(6) for part in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
backward = torch.autograd.backward
steps = 0
while steps < 300 or (os.path.exists("go") and steps < 100_000):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.randn(64, 64)), torch.randint(0, 4, (64,)))
    loss.backward()
    optimizer.step()
    steps += 1
    if steps <= 3000:
        print(loss.item().hex(), flush=steps == 1)
left = [*hooks._global_optimizer_pre_hooks, *hooks._global_optimizer_post_hooks, *optimizer._optimizer_step_pre_hooks]
left += [hook for module in model.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]
print(left, torch.autograd.backward is backward, threading.active_count(), file=sys.stderr)
"""
)


@contextmanager
def trained(folder: Path, script: str = TRAINING) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that trains, once it has made a step."""
    (folder / "train.py").write_text(script)
    (folder / "go").write_text("")
    with (
        (folder / "out").open("wb") as out,
        (folder / "errors").open("wb") as errors,
        subprocess.Popen([sys.executable, "train.py"], cwd=folder, stdout=out, stderr=errors) as process,
    ):
        try:
            while not (folder / "out").stat().st_size and process.poll() is None:
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def test_a_training_is_watched_and_is_the_same_bit_for_bit_and_left_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("hypno", reason="injecting takes hypno and pyinjector: pip install 'vgtui[inject]'")
    with trained(tmp_path) as process:
        for _ in range(2):
            done = call_apart("attach", "--inject", str(process.pid))
            assert done.returncode == 0, done.stderr
            assert "PyTorch model of 7 layers" in done.stdout
            assert list_endpoints() == []
        (tmp_path / "go").unlink()
        assert process.wait() == 0
    watched = (tmp_path / "out").read_bytes().splitlines()
    assert (tmp_path / "errors").read_text() == "[] True 1\n"
    bare = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True)
    lines = bare.stdout.splitlines()
    assert len(lines) == 300 and watched[:300] == lines


@pytest.mark.slow
def test_where_nothing_is_trained_it_is_told(tmp_path: Path) -> None:
    pytest.importorskip("hypno", reason="injecting takes hypno and pyinjector: pip install 'vgtui[inject]'")
    script = "import time, torch\nprint(1, flush=True)\ntime.sleep(600)"
    with trained(tmp_path, script) as process:
        done = call_apart("attach", "--inject", str(process.pid))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"process {process.pid}: it has no optimizer of PyTorch: nothing is trained there\n"), (
        done.stderr
    )


def test_what_cannot_be_injected_into_is_told_beforehand(tmp_path: Path) -> None:
    def problem(pid: int) -> str:
        with pytest.raises(UsageError) as told:
            injection.check(pid)
        return told.value.problem

    assert problem(2**22 + 1).startswith(f"there is no process {2**22 + 1}; ")
    assert problem(0).startswith("there is no process 0; ")
    assert problem(os.getpid()).endswith(" is vgtui itself")
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            assert "is not a Python process" in problem(other.pid)
        finally:
            other.kill()
    with subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout
        child = int(launcher.stdout.readline())
        try:
            assert problem(launcher.pid).endswith(
                f"is not a Python process; try a process that it has started: {child}"
            )
        finally:
            os.kill(child, signal.SIGKILL)
    with trained(tmp_path, "import time\nprint(1, flush=True)\ntime.sleep(600)") as process:
        assert problem(process.pid).endswith("has not loaded PyTorch; vgtui shows what PyTorch trains")


@pytest.mark.parametrize(("scope", "may"), [("0", True), ("1", False), ("2", False), ("3", False)])
def test_a_system_that_lets_no_process_change_another_is_told(
    scope: str, may: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scope").write_text(f"{scope}\n")
    (tmp_path / "status").write_text("CapEff:\t0000000000000000\n")
    monkeypatch.setattr(injection, "PTRACE_SCOPE", tmp_path / "scope")
    monkeypatch.setattr(injection, "OWN_STATUS", tmp_path / "status")
    if may:
        injection._check_ptrace()
        return
    with pytest.raises(UsageError, match=f"ptrace_scope is {scope}.*or start the training with vgtui exec"):
        injection._check_ptrace()


def test_a_name_beside_a_process_is_refused() -> None:
    done = call_apart("attach", "resnet", "--inject", "1")
    assert done.returncode == 2 and done.stderr.startswith("vgtui: NAME: does nothing with --inject")
    done = call_apart("attach", "--inject", "resnet")
    assert done.returncode == 2 and '"resnet" is not a whole number' in done.stderr


@pytest.mark.skipif(not registers.can_keep(), reason="the registers of this processor are not known")
def test_the_library_at_an_address_is_found() -> None:
    maps = "7f00-7f10 r-xp 0 fd:00 1 /x/libtorch_cpu.so\n7f10-7f20 r-xp 0 fd:00 1 /lib/libc.so.6\n"
    assert injection._SAFE_LIBRARIES.search(injection._library_at(0x7F0F, maps))
    assert not injection._SAFE_LIBRARIES.search(injection._library_at(0x7F10, maps))
    assert injection._library_at(0x7F20, maps) == ""
