"""How layers are tied to the training: frozen, cut off, unused, forgotten by the optimizer, or not registered."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn

from engine.observations import Tie
from vgtui.watching.layers import Layer
from vgtui.watching.optimizers import Optimizers
from vgtui.watching.sample import Sample

MAX_NESTING = 3
"""How deep in lists and dictionaries of a module its unregistered parameters are looked for."""
MAX_ENTRIES = 1000
"""Entries of a list or dictionary that are looked at."""


class Ties:
    """Finds how each layer is tied to the training, from the steps that are sampled."""

    def __init__(self, model: nn.Module, layers: Sequence[Layer], optimizers: Optimizers) -> None:
        """Look for parameters that are not registered.

        Args:
            model: The model.
            layers: Its layers.
            optimizers: The optimizers that are known.
        """
        self._layers = layers
        self._optimizers = optimizers
        self._tied = [False] * len(layers)
        """Which layers ever had a gradient."""
        self._used = [False] * len(layers)
        self._for_gradients = [False] * len(layers)
        self._last: dict[int, Tie] = {}
        """The tie of each layer when it was measured last."""
        self._is_seen = False
        self._stray = [(name, entry, entry._version) for name, entry in _stray_parameters(model)]

    def observe(self, sample: Sample) -> tuple[tuple[Tie, ...], tuple[str, ...]]:
        """Look at the gradients of a sampled step, before its update.

        Args:
            sample: The step.

        Returns:
            The tie of each layer, and the names of parameters that get a gradient without being registered.
        """
        trained = self._optimizers.trained()
        self._is_seen |= sample.is_seen and bool(sample.used)
        for index in sample.used:
            self._used[index] = True
        for index in sample.used_for_gradients:
            self._for_gradients[index] = True
        for index in sample.turn if self._last else range(len(self._layers)):
            layer = self._layers[index]
            self._tied[index] |= any(entry.grad is not None for entry in layer.parameters)
            self._last[index] = self._tie(index, layer, trained)
        stray = [
            name
            for name, entry, version in self._stray
            if entry.grad is not None and entry._version == version and id(entry) not in (trained or ())
        ]
        return tuple(self._last[index] for index in range(len(self._layers))), tuple(stray)

    def _tie(self, index: int, layer: Layer, trained: set[int] | None) -> Tie:
        entries = (*layer.parameters, *layer.module.parameters(recurse=False))
        is_trained = trained is None or any(id(entry) in trained for entry in entries)
        if not any(entry.requires_grad for entry in layer.parameters):
            return "frozen"
        if self._tied[index]:
            return "trained" if is_trained else "forgotten"
        if not is_trained:
            return "frozen"
        if not layer.traced or not self._is_seen:
            return "trained"
        if not self._used[index]:
            return "unused"
        # without an optimizer, what runs under no_grad() is a target or a teacher
        return "cut" if trained is not None or self._for_gradients[index] else "frozen"


def _stray_parameters(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Return the parameters within reach of the model's attributes that named_parameters() lacks, with names."""
    known = {id(entry) for entry in model.parameters()} | {id(entry) for entry in model.buffers()}
    modules = {id(module) for module in model.modules()}
    found: dict[int, tuple[str, Tensor]] = {}
    for path, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute in _INTERNAL:
                continue
            prefix = f"{path}.{attribute}" if path else attribute
            for name, entry in _parameters_in(prefix, value, modules, MAX_NESTING):
                if id(entry) not in known:
                    found.setdefault(id(entry), (name, entry))
    return list(found.values())


def _parameters_in(name: str, value: Any, modules: set[int], nesting: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, nn.Module):
        inner = () if id(value) in modules else value.named_parameters()
        yield from ((f"{name}.{path}", entry) for path, entry in inner if entry.requires_grad)
    elif isinstance(value, Tensor):
        if value.requires_grad and value.is_leaf:
            yield name, value
    elif nesting:
        for key, entry in islice(_entries(value), MAX_ENTRIES):
            yield from _parameters_in(f"{name}[{key!r}]", entry, modules, nesting - 1)


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of a plain list or dictionary with their places."""
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    elif type(value) is dict:
        yield from list(value.items())


_INTERNAL = frozenset(vars(nn.Module()))
"""What every module has."""
