"""Euclidean norms of tensors, exact to a relative 1e-6 whatever the magnitudes, where the tensors are.

On the CPU a reduction in float64 takes over ten times as long as one in float32, which loses digits: a sum of
millions of squares rounds each time, and the squares of starving layers are 0. So the norms of short rows are taken in
float32, where few roundings add up, and the norm of these in float64; where the entries are too small for that, or the
result is not finite, all is done in float64. Other devices take float64 at once: to ask for a number there would wait.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vgtui.watching.mesh import local

ROW = 128
"""Entries whose squares are summed in float32."""
MIN_ENTRIES = 2**14
"""Entries of a tensor from which on rows are faster than float64."""
BLOCK = 2**20
"""Entries in other precisions that are converted at a time."""
FLOAT64_BLOCK = 2**15
"""The same for float64; few enough for the cache of a core."""
SAMPLED = 2**16
"""Entries of which what need not be exact is estimated."""
MIN_RMS = 1e-15
"""The root mean square of entries down to which their squares are exact in float32: below 1e-38 these lose digits."""


def norms_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the Euclidean norm of each tensor.

    Args:
        tensors: Dense tensors of any shape, device and number of entries, of real or complex numbers.

    Returns:
        A number each, on the device of its tensor, in float64 where the device has it. A NaN or an infinity in a tensor
        is one in its norm; the norm is 0 only if every entry is.
    """
    values = [_real(tensor.detach()) for tensor in tensors]
    rows = {index: _row_norms(entries) for index, entries in enumerate(values) if _is_faster_by_rows(entries)}
    summed = dict(enumerate(values)) | rows
    found: dict[int, Tensor] = {}
    for (device, _), indices in grouped(summed).items():
        norms = torch._foreach_norm([summed[index] for index in indices], 2, dtype=widest(device))
        found |= zip(indices, norms, strict=True)
    for index in rows:
        norm = found[index].item()
        if not (math.isfinite(norm) and norm >= MIN_RMS * math.sqrt(values[index].numel())):
            found[index] = _in_float64(values[index])
    return [found[index] for index in range(len(values))]


def norm_of(tensor: Tensor) -> Tensor:
    """Return the Euclidean norm of a tensor, as norms_of does."""
    values = _real(tensor.detach())
    if _is_faster_by_rows(values):
        return norms_of([values])[0]
    return torch.linalg.vector_norm(values, dtype=widest(values.device))


def sampled(values: Tensor) -> Tensor:
    """Return entries of a dense tensor by which to estimate its moments.

    Of 65 536 normal numbers, the root mean square is right to 0.3 % (one standard deviation).

    Returns:
        All entries of a small tensor, in one dimension; of a larger one, about SAMPLED of them, spread
        evenly over all its axes. A view where the entries lie in one piece.
    """
    stride = values.numel() // SAMPLED
    if stride <= 1:
        return values.reshape(-1)
    while math.gcd(stride, values.numel()) > 1:  # else all might be of one channel
        stride += 1
    return _flat(values)[::stride]


def grouped(tensors: dict[Any, Tensor]) -> dict[tuple[torch.device, torch.dtype], list[Any]]:
    """Group the keys of tensors that one operation can take together."""
    found: dict[tuple[torch.device, torch.dtype], list[Any]] = defaultdict(list)
    for key, tensor in tensors.items():
        found[tensor.device, tensor.dtype].append(key)
    return found


def widest(device: torch.device) -> torch.dtype:
    """Return the widest floating-point type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64


def _real(values: Tensor) -> Tensor:
    values = local(values)  # operations on the whole wait for all ranks, of which only one may be here
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def _is_faster_by_rows(values: Tensor) -> bool:
    return bool(values.device.type == "cpu") and values.dtype != torch.float64 and values.numel() >= MIN_ENTRIES


def _row_norms(values: Tensor) -> Tensor:
    """Return a float32 vector of the same norm: the norms of rows of entries, and the entries that are left over."""
    flat = _flat(values)
    whole = len(flat) // ROW * ROW
    blocks = flat[:whole].split(BLOCK)
    norms = [torch.linalg.vector_norm(block.float().view(-1, ROW), dim=1) for block in blocks]
    return torch.cat([*norms, flat[whole:].float()])


def _in_float64(values: Tensor) -> Tensor:
    blocks = [torch.linalg.vector_norm(block.double()) for block in _flat(values).split(FLOAT64_BLOCK)]
    return torch.linalg.vector_norm(torch.stack(blocks))


def _flat(values: Tensor) -> Tensor:
    """Return the entries in the order in which they lie in memory, where that spares a copy."""
    if values.is_contiguous():
        return values.view(-1)
    order = sorted(range(values.ndim), key=values.stride, reverse=True)
    return values.permute(order).reshape(-1)
