"""The optimizers of a watched model, without what is wrapped around them, and the hooks on their updates."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from vgtui.watching.handles import Handle
from vgtui.watching.layers import Layer

log = logging.getLogger("vgtui")

NO_HOOKS = "has no hooks; call watcher.step() between backward() and zero_grad()"
MAX_WRAPPERS = 8
"""Optimizers around an optimizer, as Accelerate, Lightning, schedulers and SAM have one each."""
INNER = ("optimizer", "base_optimizer")
"""Attributes in which what is around an optimizer has it."""

Before = Callable[[int], Callable[..., Any]]
"""Makes the hook that is called before the updates of the optimizer of a number."""


class Optimizers:
    """The optimizers that update a model. The updates of the first one are the steps."""

    def __init__(self, given: Any) -> None:
        """Take an optimizer, a list or a dictionary of them, or None."""
        self._given = _several(given)
        self._handles: list[Handle] = []
        self._key: tuple[tuple[int, int], ...] | None = None
        self._trained: set[int] = set()
        self.all: list[torch.optim.Optimizer] = []
        """Those that have hooks."""

    @property
    def first(self) -> torch.optim.Optimizer | None:
        """The one whose updates are the steps; None without any."""
        return self.all[0] if self.all else None

    @property
    def names(self) -> str | None:
        """Their classes; None without any."""
        return ", ".join(dict.fromkeys(type(optimizer).__name__ for optimizer in self.all)) or None

    def hook(self, before: Before, after: Before) -> None:
        """Have hooks called around each update; say of which optimizer none can be.

        Args:
            before: Makes the hook that is called before, by the optimizer's number.
            after: Makes the hook that is called after it.
        """
        for entry in self._given:
            number = len(self.all)
            if (optimizer := self._hooked(entry, before(number), after(number))) is None:
                log.warning("vgtui: %s %s", type(entry).__name__, NO_HOOKS)
            else:
                self.all.append(optimizer)

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def trained(self) -> set[int] | None:
        """Return the ids of the parameters that they have; None without any optimizer."""
        if not self.all:
            return None
        # a list of parameters grows, and is not exchanged otherwise
        key = tuple((id(group), len(group["params"])) for optimizer in self.all for group in optimizer.param_groups)
        if key != self._key:
            self._key = key
            self._trained = {id(entry) for optimizer in self.all for entry in _parameters(optimizer)}
        return self._trained

    def owned(self, layers: Sequence[Layer]) -> list[list[int]]:
        """Return the indices of the layers that belong to each optimizer; what no other has belongs to the first."""
        if len(self.all) < 2:
            return [list(range(len(layers)))]
        owners: dict[int, int] = {}
        for number, optimizer in enumerate(self.all):
            for entry in _parameters(optimizer):
                owners.setdefault(id(entry), number)
        found: list[list[int]] = [[] for _ in self.all]
        for index, layer in enumerate(layers):
            found[next((owners[id(entry)] for entry in layer.parameters if id(entry) in owners), 0)].append(index)
        return found

    def foreign(self, layers: Sequence[Layer]) -> set[int]:
        """Return the indices of the layers that no optimizer has: nothing trains them, or one that is unknown."""
        trained = self.trained()
        if trained is None:
            return set()
        return {index for index, layer in enumerate(layers) if trained.isdisjoint(map(id, layer.parameters))}

    def _hooked(
        self, entry: Any, before: Callable[..., Any], after: Callable[..., Any]
    ) -> torch.optim.Optimizer | None:
        """Hook the innermost optimizer that takes hooks."""
        for candidate in _innermost_first(entry):
            handles: list[Handle] = []
            try:
                handles.append(candidate.register_step_pre_hook(before))
                handles.append(candidate.register_step_post_hook(after))
            except Exception:  # something around an optimizer, or of another library
                for handle in handles:
                    handle.remove()
                continue
            self._handles += handles
            found: torch.optim.Optimizer = candidate
            return found
        return None


def _several(given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]


def _parameters(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [entry for group in optimizer.param_groups for entry in group["params"]]


def _innermost_first(optimizer: Any) -> list[Any]:
    """Return an optimizer after what it is wrapped around: only the innermost one's step is sure to be an update."""
    found: list[Any] = []
    while optimizer is not None and len(found) < MAX_WRAPPERS and all(optimizer is not other for other in found):
        found.insert(0, optimizer)
        optimizer = _inner(optimizer)
    return found


def _inner(optimizer: Any) -> Any:
    for attribute in INNER:
        try:
            inner = getattr(optimizer, attribute, None)
        except Exception:  # of whatever is around it
            return None
        if inner is not None:
            return inner
    return None
