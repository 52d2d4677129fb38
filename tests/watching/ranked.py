"""A training in two processes for test_ranks.py: `python -m tests.watching.ranked KIND FOLDER WATCHED`, under torchrun.

Each process prints one line of JSON: its losses, and, computed from the gathered tensors, the norms of each step.
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


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5), nn.LayerNorm(5), nn.Linear(5, 3))


def wrapped(kind: str, rank: int) -> nn.Module:
    model = mlp()
    if kind == "fsdp2":
        for layer in (model[0], model[2]):  # type: ignore[index]
            fully_shard(layer)
        fully_shard(model)
    elif kind == "tensor":
        mesh = init_device_mesh("cpu", (2,))
        parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    elif kind == "fsdp1":
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    elif kind == "flat":
        return FullyShardedDataParallel(model, use_orig_params=False, device_id=torch.device("cpu"))
    elif kind.startswith("ddp"):
        return DistributedDataParallel(model)
    elif kind == "stages":
        return model[:2] if rank == 0 else model[2:]  # type: ignore[index]
    return model  # of "death": each rank trains by itself


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


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
            found[name] = whole(tensor).clone()
    return found


def norms(model: nn.Module, kind: str, gradients: bool) -> dict[str, float]:
    return {name: float(tensor.double().norm()) for name, tensor in gathered(model, kind, gradients).items()}


def copies(model: nn.Module, kind: str) -> dict[str, Tensor]:
    return {} if kind == "death" else gathered(model, kind, False)


def main(kind: str, folder: Path, watched: bool) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    model = wrapped(kind, rank)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    seen: dict[str, list[Any]] = {"losses": [], "gradients": [], "weights": [], "own": [], "updates": []}
    own: list[float] = []
    if kind.startswith("ddp"):
        for name, entry in model.named_parameters():
            if name.endswith("weight"):
                entry.register_hook(lambda gradient: own.append(float(gradient.double().square().sum())))
    torch.manual_seed(0 if kind == "tensor" else rank)
    watcher: Any = nullcontext()
    if watched:
        record = folder / "r.jsonl" if kind != "stages" else folder / f"r{rank}.jsonl"
        watcher = vgtui.watch(model, optimizer, every=1, record=record, name="net")
    with watcher:
        for step in range(STEPS):
            if kind == "ddp-slow" and rank == 1:
                time.sleep(0.15)
            inputs = torch.randn(8, 6)
            if kind == "stages" and rank == 1:
                inputs = torch.randn(8, 9)
            if kind == "ddp-nan" and rank == 1 and step == STEPS - 1:
                inputs = inputs * float("nan")
            optimizer.zero_grad()
            own.clear()
            loss = model(inputs).square().mean()
            loss.backward()
            seen["losses"].append(loss.item())
            seen["gradients"].append(norms(model, kind, True))
            seen["weights"].append(norms(model, kind, False))
            seen["own"].append(sum(own) ** 0.5)
            if kind == "death" and rank == 1 and step == 2:
                os._exit(0)
            before = copies(model, kind)
            optimizer.step()
            after = copies(model, kind)
            seen["updates"].append({name: float((after[name] - before[name]).double().norm()) for name in before})
            if watched:
                watcher.step(loss=loss)
    (folder / f"seen{rank}-{watched:d}.json").write_text(json.dumps(seen))
    if kind == "death":
        os._exit(0)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "1")
