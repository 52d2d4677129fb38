"""Trainings in two processes for test_ranks.py: `python -m tests.watching.ranked FOLDER KIND …`, under torchrun.

Of each kind one training is bare and one watched. Each process writes its losses, and, computed from the gathered
tensors, the norms of each step.
"""

import json
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

import vgtui

STEPS = 4
STAGE_STEPS = 60
"""Until each rank has heard of the other's layers."""


def wrapped(kind: str, rank: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.LayerNorm(5), nn.Linear(5, 3))
    if kind == "fsdp2":
        for layer in (model[0], model[2]):
            fully_shard(layer)
        fully_shard(model)
    elif kind == "tensor":
        mesh = init_device_mesh("cpu", (2,))
        parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    elif kind in ("fsdp1", "flat"):
        return FullyShardedDataParallel(model, use_orig_params=kind == "fsdp1", device_id=torch.device("cpu"))
    elif kind.startswith("ddp"):
        return DistributedDataParallel(model)
    elif kind == "stages":
        return nn.Sequential(*list(model)[:1]) if rank == 0 else nn.Sequential(*list(model)[2:])
    return model  # of "death": each rank trains by itself


def gathered(model: nn.Module, kind: str, gradients: bool) -> dict[str, Tensor]:
    """All entries of each weight or its gradient, by the name of the layer."""
    found = {}
    for path, entry in model.named_parameters():
        tensor = entry.grad if gradients else entry.detach()
        if kind in ("fsdp1", "flat"):
            parts: list[Any] = [None, None]
            torch.distributed.all_gather_object(parts, None if tensor is None else tensor.clone())
            tensor = torch.cat([part.flatten() for part in parts if part is not None])
        if tensor is not None:
            name = path.replace("_fsdp_wrapped_module.", "").removeprefix("module.").removesuffix(".weight")
            found[name] = (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()
    return found


def norms(tensors: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(tensor.double().norm()) for name, tensor in tensors.items()}


def inputs(kind: str, rank: int, step: int) -> Tensor:
    if kind == "ddp-slow" and rank == 1:
        time.sleep(0.15)
    given = torch.randn(8, 8 if kind == "stages" and rank else 6)
    return given * float("nan") if kind == "ddp-nan" and rank == 1 and step == STEPS - 1 else given


def squares_before_exchange(model: nn.Module) -> list[float]:
    own: list[float] = []
    for name, entry in model.named_parameters():
        if name.endswith("weight"):
            entry.register_hook(lambda gradient: own.append(float(gradient.double().square().sum())))
    return own


def train(kind: str, folder: Path, rank: int, watched: bool) -> dict[str, list[Any]]:
    model = wrapped(kind, rank)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    seen: dict[str, list[Any]] = {"losses": [], "gradients": [], "weights": [], "own": [], "updates": []}
    own = squares_before_exchange(model) if kind.startswith("ddp") else []
    torch.manual_seed(0 if kind == "tensor" else rank)
    watcher: Any = nullcontext()
    if watched:
        watcher = vgtui.watch(model, optimizer, every=1, record=folder / f"{kind}.jsonl", name="net")
    with watcher:
        for step in range(STAGE_STEPS if kind == "stages" else STEPS):
            optimizer.zero_grad()
            own.clear()
            loss = model(inputs(kind, rank, step)).square().mean()
            loss.backward()
            before = gathered(model, kind, False)
            seen["losses"].append(loss.item())
            seen["gradients"].append(norms(gathered(model, kind, True)))
            seen["weights"].append(norms(before))
            seen["own"].append(sum(own) ** 0.5)
            if kind == "death" and rank == 1 and step == STEPS // 2:
                os._exit(0)
            optimizer.step()
            after = gathered(model, kind, False)
            seen["updates"].append(norms({name: after[name] - before[name] for name in before}))
            if watched:
                watcher.step(loss=loss)
            if kind == "stages":
                time.sleep(0.01)
    return seen


def main(folder: Path, kinds: list[str]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    for kind in kinds:
        for watched in (True,) if kind == "death" else (False, True):
            seen = train(kind, folder, rank, watched)
            (folder / f"{kind}-{rank}-{watched:d}.json").write_text(json.dumps(seen))
    if kinds == ["death"]:
        os._exit(0)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
