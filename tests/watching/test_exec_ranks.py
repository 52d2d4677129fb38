"""`vgtui exec torchrun …`: two ranks on gloo, of which each is watched and one speaks."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.cli.shell import command
from tests.watching.recorded import frames, header
from vgtui.wire.frames import Frame

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch has no torch.distributed")

STEPS = 12
SCRIPT = f"""
    import json, sys, torch
    from pathlib import Path
    from torch import nn
    kind, folder = sys.argv[1:]
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    if kind == "ddp":
        model = nn.parallel.DistributedDataParallel(net)
    else:
        from torch.distributed.fsdp import fully_shard
        model = fully_shard(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(rank)
    losses, norms = [], []
    for _ in range({STEPS}):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
        loss.backward()
        gradients = [layer.weight.grad for layer in (net[0], net[2])]
        whole = [getattr(gradient, "full_tensor", lambda gradient=gradient: gradient)() for gradient in gradients]
        norms.append([float(gradient.double().norm()) for gradient in whole])
        optimizer.step()
        losses.append(loss.item())
    (Path(folder) / f"{{rank}}.json").write_text(json.dumps([losses, norms]))
    torch.distributed.destroy_process_group()
"""
SECONDS = 120


def run(words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, capture_output=True, text=True, env=environment, cwd=folder, timeout=SECONDS)


def told(folder: Path) -> list[list[list[float]]]:
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_every_rank_has_its_part_and_one_line_is_said(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(SCRIPT))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*torchrun, str(script), kind, str(tmp_path)]
    bare = run(words, tmp_path)
    assert bare.returncode == 0, bare.stderr
    losses = [of_rank[0] for of_rank in told(tmp_path)]
    watched = run(command("exec", "--every", "1", "--record", "run.jsonl", *words), tmp_path)
    assert watched.returncode == 0, watched.stderr
    (first_losses, norms), (second_losses, _) = told(tmp_path)
    assert [first_losses, second_losses] == losses
    lines = [line for line in watched.stderr.splitlines() if line.startswith("vgtui")]
    assert len(lines) == 1 and "vgtui attach" in lines[0]
    recording = tmp_path / "run.jsonl"
    assert [layer.name for layer in header(recording).layers] == ["0", "2"]
    found: list[Frame] = frames(recording)
    assert len(found) >= STEPS // 2
    whole = [frame for frame in found if not np.ma.getmaskarray(frame.layers.grad_norm).any()]
    assert len(whole) >= STEPS // 3
    for frame in whole:
        assert frame.layers.grad_norm.tolist() == pytest.approx(norms[frame.step], rel=1e-6)
        assert frame.loss == pytest.approx(first_losses[frame.step], rel=1e-6)
    assert any(isinstance(frame.ranks, tuple) and len(frame.ranks) == 2 for frame in found)
