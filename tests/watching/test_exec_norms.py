"""`vgtui exec`: the norms and losses of scripts that know nothing of vgtui are those that the scripts print."""

import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.shell import command
from tests.watching.recorded import frames, header
from tests.watching.test_exec import run, told

pytest.importorskip("torch")

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


def rows(output: bytes, begin: str = "") -> list[list[float]]:
    """The loss and the norms of each step that a script printed."""
    lines = [line.removeprefix(begin).split() for line in output.decode().splitlines() if line.startswith(begin)]
    return [list(map(float, line)) for line in lines]


def assert_as_printed(path: Path, printed: list[list[float]], names: list[str]) -> None:
    """A recording has the losses and norms that the script printed, from the second or third step on."""
    assert [layer.name for layer in header(path).layers] == names
    found = frames(path)
    assert found[0].step <= 2 and [frame.step for frame in found] == list(range(found[0].step, 12))
    for frame in found:
        loss, *norms = printed[frame.step]
        assert frame.loss == pytest.approx(loss, rel=1e-6)
        assert frame.layers.grad_norm.tolist() == pytest.approx(norms, rel=1e-6)
        assert frame.verdict.is_calm


def both(text: str, folder: Path, *before: str) -> tuple[bytes, str]:
    """What a script prints, bare and watched alike, and what vgtui says."""
    (folder / "train.py").write_text(textwrap.dedent(BEGIN) + textwrap.dedent(text))
    words = [*(before or [sys.executable]), "train.py"]
    bare = run(*words, cwd=folder)
    watched = run(*command("exec", "--every", "1", "--record", "run.jsonl", *words), cwd=folder)
    assert bare.returncode == watched.returncode == 0, watched.stderr.decode()
    assert bare.stdout == watched.stdout
    return bare.stdout, watched.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "name", "layers"),
    [
        (PLAIN, "Net", ["a", "b"]),
        (PARTS, "Pair", ["encoder.a", "encoder.b", "decoder.a", "decoder.b"]),
        (TARGET, "Net", ["a", "b"]),
        (ACCUMULATES, "Net", ["a", "b"]),
        (SCALED, "Net", ["a", "b"]),
    ],
    ids=["plain", "an optimizer for each part", "a target network", "accumulation", "a scaled loss"],
)
def test_the_numbers_are_the_script_s(text: str, name: str, layers: list[str], tmp_path: Path) -> None:
    printed, said = both(text, tmp_path)
    assert said == told(name)
    assert_as_printed(tmp_path / "run.jsonl", rows(printed), layers)


@pytest.mark.slow
def test_a_generator_and_its_critic_have_numbers_of_their_own(tmp_path: Path) -> None:
    printed, said = both(GAN, tmp_path)
    assert said == told("critic") + told("generator")
    for file, begin in (("run.jsonl", "critic"), ("run-generator.jsonl", "generator")):
        assert_as_printed(tmp_path / file, rows(printed, begin), ["a", "b"])


@pytest.mark.slow
def test_accelerate_launch_starts_what_is_watched(tmp_path: Path) -> None:
    if find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    printed, said = both(PLAIN, tmp_path, *launch)
    assert told("Net") in said
    assert_as_printed(tmp_path / "run.jsonl", rows(printed), ["a", "b"])
