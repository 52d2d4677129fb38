"""Euclidean norms of tensors, exact to 1e-6 at any size and scale, as fast as the device allows.

On the CPU, a sum in float64 takes twelve times as long as one in float32. But float32 alone is not enough: one sum over
33 million entries is wrong by 2e-3, and the squares of a starving layer's gradient are 0. So of a long tensor, rows are
summed in float32 and their norms in float64; what is tiny, huge or 0 is taken again in float64.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

ROW = 1024
"""Entries that are summed in float32; measured, their norm is exact to 7e-7, of equal entries too."""
SHORT = 16 * ROW
"""Entries up to which float64 is as fast, with one call for all such tensors."""
LEAST, GREATEST = 1e-13, 1e18
"""Between these, times the root of the number of rows, the squares of float32 lose nothing that counts."""


def norm(values: Tensor) -> Tensor:
    """Return the norm of a tensor, without dimensions, in float64 where the device has it."""
    return norms([values])[0]


def norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the norm of each tensor, on its own device. None but the CPU is waited for."""
    found: list[Tensor | None] = [None] * len(tensors)
    real = [_real(tensor.detach()) for tensor in tensors]
    for (device, dtype), places in grouped(real).items():
        group = [real[place] for place in places]
        is_exact = device.type != "cpu" or dtype == torch.float64
        of_group = _foreach(group) if is_exact else _on_the_cpu(group)
        for place, value in zip(places, of_group, strict=True):
            found[place] = value
    return [value for value in found if value is not None]


def wide(device: torch.device) -> torch.dtype:
    """Return the widest type of numbers that a device sums in."""
    return torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64


def grouped(tensors: Iterable[Tensor] | dict[Any, Tensor]) -> dict[tuple[torch.device, torch.dtype], list[Any]]:
    """Group tensors that one operation can take together: their places, or their keys."""
    entries = tensors.items() if isinstance(tensors, dict) else enumerate(tensors)
    found: dict[tuple[torch.device, torch.dtype], list[Any]] = defaultdict(list)
    for key, tensor in entries:
        found[tensor.device, tensor.dtype].append(key)
    return found


def _on_the_cpu(tensors: list[Tensor]) -> list[Tensor]:
    long = [place for place, tensor in enumerate(tensors) if tensor.numel() > SHORT]
    found = {place: _by_rows(tensors[place]) for place in long}
    doubtful = [place for place, value in found.items() if not _is_sure(tensors[place], float(value))]
    rest = [place for place in range(len(tensors)) if place not in found] + doubtful
    if rest:
        found |= dict(zip(rest, _foreach([tensors[place] for place in rest]), strict=True))
    return [found[place] for place in range(len(tensors))]


def _is_sure(tensor: Tensor, size: float) -> bool:
    """Return whether the norm that float32 gave is right; NaN is."""
    return math.isnan(size) or LEAST * (tensor.numel() / ROW) ** 0.5 < size < GREATEST


def _by_rows(tensor: Tensor) -> Tensor:
    flat = tensor.reshape(-1)
    rows = flat[: len(flat) // ROW * ROW].view(-1, ROW)
    of_rows = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32).double()
    rest = torch.linalg.vector_norm(flat[rows.numel() :], dtype=torch.float32).double()
    return torch.hypot(torch.linalg.vector_norm(of_rows), rest)


def _foreach(tensors: list[Tensor]) -> list[Tensor]:
    found: Sequence[Tensor] = torch._foreach_norm(tensors, 2, dtype=wide(tensors[0].device))
    return list(found)


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
