"""Which weights a module has of its own, where some are computed from others: weight_norm, spectral_norm, pruning.

Such a weight is told by what is trained: the norm of its gradient is that of all parameters from which it is
computed, the root of the sum of their squares. Of weight_norm, that is the norm of the weight's own gradient as long
as the magnitude is the direction's length, which it is in the beginning; of pruning, of the weights that are left.
"""

import re

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

_MATRIX = re.compile(r"(^|_)(w|weights?|kernels?|proj|matrix|matrices|lora)\d*(_|$)", re.IGNORECASE)
"""Names of bare parameters that are matrices, unlike tokens, positions and tables."""


def own_weights(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return a module's own parameters.

    Args:
        module: The module.

    Returns:
        What each is computed from, or it alone, by the module's word for it; the largest comes first.
    """
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in module._parameters.items():
        if parameter is not None:
            found.setdefault(_computed(module, name), []).append(parameter)
    for name, parametrization in _parametrizations(module).items():
        parameters = [entry for entry in parametrization._parameters.values() if entry is not None]
        if parameters:
            found.setdefault(name, []).extend(parameters)
    return {name: sorted(parts, key=_size, reverse=True) for name, parts in found.items()}


def kind_of(module: nn.Module) -> str:
    """Return a module's class, without that which a parametrization puts in its place."""
    kind = type(module)
    return (kind.__mro__[1] if _parametrizations(module) else kind).__name__


def is_bias(tensor: str) -> bool:
    """Return whether a parameter is a bias, by its name."""
    words = tensor.split("_")
    return "bias" in (words[0], words[-1])


def is_matrix_name(tensor: str) -> bool:
    """Return whether a parameter is called as matrices are, which mix inputs."""
    return _MATRIX.search(tensor) is not None


def _parametrizations(module: nn.Module) -> dict[str, ParametrizationList]:
    lists = dict(module.named_children()).get("parametrizations")
    if not isinstance(lists, nn.ModuleDict):
        return {}
    return {name: entry for name, entry in lists.items() if isinstance(entry, ParametrizationList)}


def _computed(module: nn.Module, name: str) -> str:
    """Return the name of what is computed from a parameter before each forward pass, else its own name."""
    base, _, role = name.rpartition("_")
    companion = {"g": f"{base}_v", "v": f"{base}_g"}.get(role, name)
    is_part = role == "orig" or (role in "gv" and companion in module._parameters)
    return base if base and is_part and base not in module._parameters and base in vars(module) else name


def _size(parameter: nn.Parameter) -> int:
    # the size of a lazy parameter is not known
    return 0 if isinstance(parameter, nn.parameter.UninitializedParameter) else parameter.numel()
