"""What watching costs trainings that are processes of their own: under `vgtui exec`, and of two ranks on gloo.

`python -m benchmarks.watch` runs this module as a script: `train SECONDS` prints the seconds a step of a plain
training; `ddp ROUNDS` and `fsdp2 ROUNDS`, one process for each rank, print a ratio of watched to bare for each round.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

import vgtui
from benchmarks.watch_models import mlp

SECONDS = 3.0
STEPS = 50
RANKS = 2
FORMS = {"ddp": "two ranks of DDP", "fsdp2": "two ranks of FSDP2"}
ROOT = Path(__file__).parents[1]


def exec_ratios(rounds: int) -> Iterator[float]:
    """Yield the time of a step under `vgtui exec` over that of the bare command, of one pair after another."""
    train = [sys.executable, "-m", __spec__.name, "train", str(SECONDS)]
    commands = {"bare": train, "exec": [sys.executable, "-m", "vgtui", "exec", *train]}
    for number in range(rounds):
        order = list(commands) if number % 2 else list(commands)[::-1]
        found = {name: float(_output(commands[name])) for name in order}
        yield found["exec"] / found["bare"]


def rank_ratios(form: str, rounds: int) -> list[float]:
    """Return the ratio of the time of a watched step to that of a bare one in each round, of the first rank."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __spec__.name, form, str(rounds)]
        places = [{"RANK": str(rank), "MEET": f"file://{folder}/meet"} for rank in range(RANKS)]
        ranks = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **place})
            for place in places
        ]
        outputs = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        return []
    return [float(line) for line in outputs[0].split()]


def _output(command: list[str]) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, cwd=ROOT
    ).stdout


def _train(seconds: float) -> None:
    torch.manual_seed(0)
    model, loss_of = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    took: list[float] = []
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()
        took.append(time.perf_counter() - now)
    print(statistics.fmean(took[len(took) // 4 :]))


def _rank(form: str, rounds: int) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    torch.distributed.init_process_group("gloo", init_method=os.environ["MEET"], rank=rank, world_size=RANKS)
    turns = {}
    for name in ("bare", "watched"):
        torch.manual_seed(0)
        plain, loss_of = mlp()
        model = _sharded(plain) if form == "fsdp2" else nn.parallel.DistributedDataParallel(plain)
        turns[name] = model, loss_of, torch.optim.SGD(model.parameters(), lr=0.01)
    with vgtui.watch(turns["watched"][0], turns["watched"][2], name=form):
        for number in range(-1, rounds):
            found = {}
            for name in list(turns) if number % 2 else list(turns)[::-1]:
                model, loss_of, optimizer = turns[name]
                began = time.perf_counter()
                for _ in range(STEPS):
                    optimizer.zero_grad()
                    loss_of(model).backward()
                    optimizer.step()
                found[name] = time.perf_counter() - began
            if rank == 0 and number >= 0:  # the first round warms up
                print(found["watched"] / found["bare"])
    torch.distributed.destroy_process_group()


def _sharded(model: nn.Module) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    sharded: nn.Module = fully_shard(model, mesh=init_device_mesh("cpu", (RANKS,)))
    return sharded


if __name__ == "__main__":
    if sys.argv[1] == "train":
        _train(float(sys.argv[2]))
    else:
        _rank(sys.argv[1], int(sys.argv[2]))
