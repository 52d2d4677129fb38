"""`vgtui exec`: scripts that know nothing of vgtui, each in its own process, with and without it."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.watching.recorded import frames, header
from vgtui.cli.main import main

torch = pytest.importorskip("torch")

BEGIN = """
    import copy
    import torch
    from torch import nn
    torch.manual_seed(0)
    torch.set_num_threads(1)

    class Net(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.a, self.b = nn.Linear(inputs, 16), nn.Linear(16, outputs)

        def forward(self, inputs):
            return self.b(torch.relu(self.a(inputs)))

    def norm(layer):
        return float(layer.weight.grad.double().norm())
"""
PLAIN = """
    net = Net(8, 3)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    inputs, labels = torch.randn(32, 8), torch.randint(0, 3, (32,))
    for _ in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(inputs), labels)
        loss.backward()
        print(repr(loss.item()), norm(net.a), norm(net.b))
        optimizer.step()
"""
GAN = """
    generator, critic = Net(4, 2), Net(2, 1)
    average = copy.deepcopy(generator)
    of_generator = torch.optim.Adam(generator.parameters(), 1e-3)
    of_critic = torch.optim.Adam(critic.parameters(), 1e-3)
    sure = nn.BCEWithLogitsLoss()
    for _ in range(12):
        made = generator(torch.randn(16, 4))
        of_critic.zero_grad()
        true = sure(critic(torch.randn(16, 2)), torch.ones(16, 1))
        false = sure(critic(made.detach()), torch.zeros(16, 1))
        true.backward()
        false.backward()
        print("critic", repr(true.item() + false.item()), norm(critic.a), norm(critic.b))
        of_critic.step()
        of_generator.zero_grad()
        loss = sure(critic(made), torch.ones(16, 1))
        loss.backward()
        print("generator", repr(loss.item()), norm(generator.a), norm(generator.b))
        of_generator.step()
"""
PARTS = """
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = Net(8, 2), Net(2, 8)

    pair = Pair()
    first = torch.optim.Adam(pair.encoder.parameters(), 1e-3)
    second = torch.optim.SGD(pair.decoder.parameters(), 1e-2)
    inputs = torch.randn(32, 8)
    for _ in range(12):
        first.zero_grad()
        second.zero_grad()
        loss = (pair.decoder(pair.encoder(inputs)) - inputs).square().mean()
        loss.backward()
        print(repr(loss.item()), *map(norm, [pair.encoder.a, pair.encoder.b, pair.decoder.a, pair.decoder.b]))
        first.step()
        second.step()
"""
TARGET = """
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.values = Net(4, 2)
            self.target = copy.deepcopy(self.values)

    policy = Policy()
    optimizer = torch.optim.Adam(policy.values.parameters(), 1e-3)
    temperature = torch.zeros(1, requires_grad=True)
    of_temperature = torch.optim.Adam([temperature], 1e-3)
    for _ in range(12):
        states, rewards = torch.randn(16, 4), torch.randn(16)
        with torch.no_grad():
            wanted = rewards + 0.9 * policy.target(states).max(1).values
        optimizer.zero_grad()
        loss = nn.functional.smooth_l1_loss(policy.values(states)[:, 0], wanted)
        loss.backward()
        print(repr(loss.item()), norm(policy.values.a), norm(policy.values.b))
        optimizer.step()
        of_temperature.zero_grad()
        (0.3 * temperature.exp()).mean().backward()
        of_temperature.step()
"""
ACCUMULATES = """
    net = Net(8, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    inputs, labels = torch.randn(32, 8), torch.randint(0, 3, (32,))
    for _ in range(12):
        optimizer.zero_grad()
        total = 0.0
        for part in range(4):
            loss = nn.functional.cross_entropy(net(inputs[part::4]), labels[part::4]) / 4
            loss.backward()
            total += loss.item()
        print(repr(total), norm(net.a), norm(net.b))
        optimizer.step()
"""
SCALED = """
    net = Net(8, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    inputs, labels = torch.randn(32, 8), torch.randint(0, 3, (32,))
    for _ in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(inputs), labels)
        scaler.scale(loss).backward()
        print(repr(loss.item()), norm(net.a) / scaler.get_scale(), norm(net.b) / scaler.get_scale())
        scaler.step(optimizer)
        scaler.update()
"""


def run(
    command: Sequence[str], options: Sequence[str] | None = None, **more: Any
) -> subprocess.CompletedProcess[bytes]:
    """A command, under `vgtui exec` with its options, or bare without."""
    under = [] if options is None else [sys.executable, "-m", "vgtui", "exec", *options]
    return subprocess.run([*under, *command], capture_output=True, timeout=120, **more)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], list[str]]:
    """Makes a command of the text of a script."""

    def write(text: str) -> list[str]:
        path = tmp_path / "train.py"
        path.write_text(textwrap.dedent(BEGIN) + textwrap.dedent(text))
        return [sys.executable, str(path)]

    return write


def rows(output: bytes, begin: str = "") -> list[list[float]]:
    """The loss and the norms of each step that a script printed."""
    lines = [line.removeprefix(begin).split() for line in output.decode().splitlines() if line.startswith(begin)]
    return [list(map(float, line)) for line in lines]


def assert_as_told(path: Path, told: list[list[float]], names: list[str]) -> None:
    """A recording has the losses and norms that the script printed, from the second step on."""
    assert [layer.name for layer in header(path).layers] == names
    found = frames(path)
    assert found[0].step <= 2 and [frame.step for frame in found] == list(range(found[0].step, 12))
    for frame in found:
        loss, *norms = told[frame.step]
        assert frame.loss == pytest.approx(loss, rel=1e-6)
        assert frame.layers.grad_norm.tolist() == pytest.approx(norms, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "models"),
    [
        (PLAIN, {"Net": ["a", "b"]}),
        (PARTS, {"Pair": ["encoder.a", "encoder.b", "decoder.a", "decoder.b"]}),
        (TARGET, {"Net": ["a", "b"]}),
        (ACCUMULATES, {"Net": ["a", "b"]}),
        (SCALED, {"Net": ["a", "b"]}),
    ],
    ids=["plain", "a part each for two optimizers", "a target network", "accumulation", "a scaled loss"],
)
def test_a_script_trains_as_without_it_and_its_model_is_watched(
    text: str, models: dict[str, list[str]], script: Callable[[str], list[str]], tmp_path: Path
) -> None:
    bare = run(script(text))
    record = tmp_path / "r.jsonl"
    watched = run(script(text), ["--every", "1", "--record", str(record)])
    assert (watched.returncode, watched.stdout) == (0, bare.stdout)
    assert watched.stderr.decode().splitlines() == [f"vgtui attach {name}" for name in models]
    assert_as_told(record, rows(bare.stdout), next(iter(models.values())))


def test_a_generator_and_its_critic_have_a_watcher_each(script: Callable[[str], list[str]], tmp_path: Path) -> None:
    bare = run(script(GAN))
    watched = run(script(GAN), ["--every", "1", "--record", str(tmp_path / "r.jsonl")])
    assert (watched.returncode, watched.stdout) == (0, bare.stdout)
    assert watched.stderr.decode().splitlines() == ["vgtui attach Net", "vgtui attach generator"]
    for file, begin in (("r.jsonl", "critic"), ("r-generator.jsonl", "generator")):
        assert_as_told(tmp_path / file, rows(bare.stdout, begin), ["a", "b"])
        assert all(frame.verdict.is_calm for frame in frames(tmp_path / file))


@pytest.mark.parametrize(
    ("code", "returned"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL)]
)
def test_the_exit_is_the_command_s(code: str, returned: int) -> None:
    done = run([sys.executable, "-c", code], [])
    assert (done.returncode, done.stdout, done.stderr) == (returned, b"", b"")


def test_a_script_that_trains_nothing_sees_no_difference() -> None:
    code = "import sys, torch; print(sys.path, sys.argv, sorted(sys.modules).count('sitecustomize')); input()"
    bare = run([sys.executable, "-c", code, "-x", "--name", "y"], input=b"\n")
    watched = run([sys.executable, "-c", code, "-x", "--name", "y"], [], input=b"\n")
    assert (watched.returncode, watched.stderr) == (0, b"")
    assert watched.stdout.replace(b" 1\n", b" 0\n") == bare.stdout.replace(b" 1\n", b" 0\n")


def test_a_sitecustomize_that_is_there_runs_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.flag = 'theirs'")
    done = run(
        [sys.executable, "-c", "import sys; print(sys.flag)"], [], env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert (done.returncode, done.stdout) == (0, b"theirs\n")


def test_what_a_shell_script_starts_is_watched(script: Callable[[str], list[str]], tmp_path: Path) -> None:
    command = script(PLAIN)
    (tmp_path / "train.sh").write_text(f"cd /\n{command[0]} {command[1]} | tail -1\n")
    done = run(["sh", str(tmp_path / "train.sh")], ["--name", "shell"])
    assert (done.returncode, done.stderr) == (0, b"vgtui attach shell\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "vgtui: COMMAND: there is none; for example: vgtui exec python train.py\n"),
        (["no such command"], "vgtui: COMMAND: 'no such command' is not found\n"),
        (["/"], "vgtui: COMMAND: / cannot be run: it is not executable\n"),
        (["--every", "soon", "true"], "vgtui: --every: 'soon' is not a pace; it takes a time such as "),
    ],
)
def test_a_wrong_command_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exec", *words]) == 2
    assert capsys.readouterr().err.startswith(sentence)
