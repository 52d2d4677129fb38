"""Weights of which each process holds a part: by DTensor (FSDP2, tensor parallel) or by FullyShardedDataParallel.

Only the local parts are read here: an operation on the whole is a collective, which all processes would have to join.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Attributes in which something around a module keeps it; names leave them out."""


_PLAIN = (Tensor, nn.Parameter)
"""By far the most frequent types, which have no parts elsewhere."""


@dataclass(frozen=True, slots=True)
class Shards:
    """How a weight is spread over processes.

    Attributes:
        shape: The shape of the whole weight.
        ranks: The processes that hold a part.
        copies: How many of them hold the same part.
    """

    shape: tuple[int, ...]
    ranks: tuple[int, ...]
    copies: int


def is_spread(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor."""
    return type(tensor) not in _PLAIN and hasattr(tensor, "_local_tensor") and hasattr(tensor, "placements")


def is_flat(weight: Tensor) -> bool:
    """Return whether a weight is that of a whole unit of FullyShardedDataParallel."""
    return hasattr(weight, "_unpadded_unsharded_size")


def local(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor. Of a DTensor that is a sum not yet made, there is none: NaN."""
    if not is_spread(tensor):
        return tensor
    part: Tensor = tensor._local_tensor
    if any(placement.is_partial() for placement in tensor.placements):
        return torch.full((1,), math.nan, device=part.device)
    return part


def spread_weights(model: nn.Module) -> dict[int, Shards]:
    """Find the weights that are spread over processes.

    Args:
        model: The model.

    Returns:
        How each is spread, by the id of the parameter.
    """
    found = {id(entry): _of_dtensor(entry) for entry in model.parameters() if is_spread(entry)}
    for module in model.modules():
        if (handle := getattr(module, "_handle", None)) is not None and hasattr(handle, "flat_param"):
            found |= _of_flat(handle)
    return found


def _of_dtensor(weight: Any) -> Shards:
    mesh = weight.device_mesh
    copies = math.prod(mesh.size(axis) for axis, place in enumerate(weight.placements) if place.is_replicate())
    return Shards(tuple(weight.shape), tuple(mesh.mesh.flatten().tolist()), copies)


def _of_flat(handle: Any) -> dict[int, Shards]:
    """Return how FullyShardedDataParallel has spread the weights of one of its units."""
    flat, group = handle.flat_param, handle.process_group
    copies = 1 if handle.uses_sharded_strategy else group.size()
    ranks = tuple(torch.distributed.get_process_group_ranks(group))
    if (weights := getattr(flat, "_params", None)) is None:  # use_orig_params=False: all weights of a unit in one
        return {id(flat): Shards(tuple(flat._unpadded_unsharded_size), ranks, copies)}
    return {
        id(weight): Shards(tuple(shape), ranks, copies) for weight, shape in zip(weights, flat._shapes, strict=True)
    }
