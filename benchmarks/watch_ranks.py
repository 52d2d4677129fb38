"""What watching costs a training in two processes: DDP and FSDP2 on gloo, bare, recorded, and with nobody to look.

`python -m benchmarks.watch_ranks`; `measure(kind, rounds)` gives the same numbers to other benchmarks. All are in one
pair of processes and take turns, as in benchmarks.watch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

import vgtui

KINDS = ("ddp", "fsdp2")
WAYS = ("bare", "watched", "recorded")
STEPS = 20
"""Steps a turn, the same in both processes."""


def measure(kind: str, rounds: int) -> dict[str, list[float]]:
    """Train in two processes.

    Args:
        kind: One of KINDS.
        rounds: Turns of each way.

    Returns:
        Seconds a step, of each of WAYS in each round.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "127.0.0.1:0", "-m", "benchmarks.watch_ranks", "--rank-of", kind]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--rounds", str(rounds)], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def training(kind: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Twelve hidden layers of 256, batch 128 in each process."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for _ in range(12):
        parts += [nn.Linear(256, 256), nn.ReLU()]
    model: nn.Module = nn.Sequential(*parts, nn.Linear(256, 10))
    if kind == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    else:
        from torch.distributed.fsdp import fully_shard

        fully_shard(model)
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


def train_in_turns(kind: str, rounds: int) -> None:
    """Be one of two processes; the first prints the seconds."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    inputs, labels = torch.randn(128, 256), torch.randint(0, 10, (128,))
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trainings = {way: training(kind) for way in WAYS}
        watchers = {
            way: stack.enter_context(
                vgtui.watch(*trainings[way], name=way, record=folder / "r.jsonl" if way == "recorded" else None)
            )
            for way in WAYS[1:]
        }
        for turn in range(rounds + 1):
            for way in WAYS if turn % 2 else WAYS[::-1]:
                model, optimizer = trainings[way]
                torch.distributed.barrier()
                begin = time.perf_counter()
                for _ in range(STEPS):
                    optimizer.zero_grad()
                    loss = nn.functional.cross_entropy(model(inputs), labels)
                    loss.backward()
                    optimizer.step()
                    if way in watchers:
                        watchers[way].step(loss=loss)
                if turn:  # the first is to warm up
                    found[way].append((time.perf_counter() - begin) / STEPS)
    if rank == 0:
        print(json.dumps(found))
    torch.distributed.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each kind (default: 20)")
    parser.add_argument("--rank-of", choices=KINDS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.rank_of:
        train_in_turns(chosen.rank_of, chosen.rounds)
        return
    for kind in KINDS:
        found = measure(kind, chosen.rounds)
        print(f"two ranks of {kind}: bare {1e3 * statistics.median(found['bare']):.2f} ms a step")
        for way in WAYS[1:]:
            ratios = [one / bare for one, bare in zip(found[way], found["bare"], strict=True)]
            print(f"  {way:<9} {statistics.median(ratios):.3f}×")


if __name__ == "__main__":
    main()
