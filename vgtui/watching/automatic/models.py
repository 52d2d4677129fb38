"""Which models are trained: found by the garbage collector, from the parameters of the optimizers that make steps."""

import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from vgtui.watching.watcher import Watcher

WRAPPED = ("module", "_orig_mod")
"""The attributes in which what goes around a model has it: DistributedDataParallel and torch.compile."""
MAX_FRAMES = 64
"""How far up the stack a variable that has a model is looked for."""


@dataclass(slots=True, eq=False)
class Objects:
    """What there is in this process. It is for the moment: it keeps all models alive.

    Attributes:
        modules: Every module.
        optimizers: Every optimizer whose steps can be seen.
        watchers: What watches already.
        parents: The modules that a module is in, by its id, with the attribute's name.
    """

    modules: list[nn.Module] = field(default_factory=list)
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)
    parents: dict[int, list[tuple[nn.Module, str]]] = field(default_factory=dict)

    @classmethod
    def now(cls) -> "Objects":
        """Look through all objects. Takes some 50 ms for 300 000 of them."""
        objects = cls()
        bases = {nn.Module: objects.modules, torch.optim.Optimizer: objects.optimizers, Watcher: objects.watchers}
        lists: dict[type, list[Any] | None] = {}
        for thing in gc.get_objects():
            kind = type(thing)  # isinstance() would ask the object, which wakes lazy ones
            if kind not in lists:
                lists[kind] = next((found for base, found in bases.items() if base in kind.__mro__), None)
            if (found := lists[kind]) is not None:
                found.append(thing)
        objects.modules = [module for module in objects.modules if "_modules" in vars(module)]
        objects.optimizers = [one for one in objects.optimizers if _has_hooks(one)]
        for module in objects.modules:
            for name, child in module._modules.items():
                objects.parents.setdefault(id(child), []).append((module, name))
        return objects

    def above(self, module: nn.Module) -> Iterator[nn.Module]:
        """Yield a module, and every one that it is in."""
        waiting, seen = [module], {id(module)}
        while waiting:
            yield (current := waiting.pop())
            for parent, _ in self.parents.get(id(current), ()):
                if id(parent) not in seen:
                    seen.add(id(parent))
                    waiting.append(parent)

    def is_watched(self, trained: set[int]) -> bool:
        """Whether the script itself watches all of these parameters."""
        models = [watcher.model for watcher in self.watchers]
        return any(trained <= _parameters(model) for model in models if model is not None)


def _has_hooks(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its steps call hooks; those of some that are wrapped around another one do not."""
    return "param_groups" in vars(optimizer) and bool(getattr(type(optimizer).step, "hooked", False))


def trained_by(optimizers: Iterable[torch.optim.Optimizer]) -> set[int]:
    """Return the ids of the parameters that optimizers train."""
    return {
        id(parameter)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.requires_grad
    }


def find_models(trained: set[int], objects: Objects) -> list[nn.Module]:
    """Find what holds the trained parameters: the smallest module that has them all, and what wraps that one.

    Args:
        trained: The ids of the parameters.
        objects: What there is.

    Returns:
        One model, or several where no module has all parameters. What is in no module is left out.
    """
    owners = [one for one in objects.modules if any(id(weight) in trained for weight in _own(one))]
    candidates = {id(above): above for owner in owners for above in objects.above(owner)}
    held = {key: _parameters(module) for key, module in candidates.items()}
    found: list[nn.Module] = []
    left = set(trained)
    while left:
        # the most of what is left, with the least beside it; of equal ones the outermost
        best = max(
            candidates.values(),
            key=lambda one: (len(held[id(one)] & left), -len(held[id(one)]), sum(1 for _ in one.modules())),
            default=None,
        )
        if best is None or not held[id(best)] & left:
            break
        left -= held[id(best)]
        found.append(best)
    return found


def _own(module: nn.Module) -> Iterator[nn.Parameter]:
    return (weight for weight in module._parameters.values() if weight is not None)


def _parameters(module: nn.Module) -> set[int]:
    try:
        return {id(weight) for weight in module.parameters()}
    except Exception:  # a module that is not complete
        return set()


def name_of(model: nn.Module, objects: Objects, taken: Iterable[str]) -> str:
    """Return a telling name: the model's class, or how the script calls a model of a class that says little.

    Args:
        model: The model.
        objects: What there is.
        taken: The names that others have.
    """
    inner = model
    while (inside := next((inner._modules[name] for name in WRAPPED if inner._modules.get(name)), None)) is not None:
        inner = inside
    own = type(inner).__name__
    known = list(dict.fromkeys([*_attributes(inner, objects), *_variables({id(model), id(inner)})]))
    is_general = type(inner).__module__.partition(".")[0] == "torch"
    trained, parts = trained_by(objects.optimizers), {id(module) for module in inner.modules()}
    others = [one for one in objects.modules if type(one) is type(inner) and id(one) not in parts]
    is_alike = any(_parameters(other) & trained for other in others)
    names = [*known, own] if is_general or is_alike else [own, *known]
    there = set(taken)
    free = [name for name in names if name not in there]
    return free[0] if free else next(name for number in range(2, 2**16) if (name := f"{own}-{number}") not in there)


def _attributes(model: nn.Module, objects: Objects) -> Iterator[str]:
    for _, name in objects.parents.get(id(model), ()):
        if name not in WRAPPED and not name.isdecimal():
            yield name


def _variables(ids: set[int]) -> Iterator[str]:
    """Yield the global variables that are the model. Reading those of functions would keep what they hold alive."""
    frame = sys._getframe()
    seen: set[int] = set()
    for _ in range(MAX_FRAMES):
        if id(frame.f_globals) not in seen:
            seen.add(id(frame.f_globals))
            yield from (name for name, value in list(frame.f_globals.items()) if id(value) in ids and name[0] != "_")
        if frame.f_back is None:
            return
        frame = frame.f_back
