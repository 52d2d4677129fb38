"""The models of a process, found by the parameters that its optimizers have."""

import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from typing import Any

import torch
from torch import Tensor, nn


class Modules:
    """All modules of the process, and which module is part of which."""

    def __init__(self) -> None:
        self.parents: dict[int, list[nn.Module]] = defaultdict(list)
        self.owners: dict[int, list[nn.Module]] = defaultdict(list)
        self.optimizers: list[torch.optim.Optimizer] = []
        # isinstance() would wake lazy objects
        for entry in gc.get_objects():
            order = type(entry).__mro__
            if nn.Module in order:
                self._note(entry)
            elif torch.optim.Optimizer in order and not _wrapped(entry):
                self.optimizers.append(entry)

    def _note(self, module: nn.Module) -> None:
        parts = module.__dict__.get("_modules") or {}
        for part in parts.values():
            if part is not None:
                self.parents[id(part)].append(module)
        for parameter in (module.__dict__.get("_parameters") or {}).values():
            if parameter is not None:
                self.owners[id(parameter)].append(module)

    def smallest_with(self, parameters: Sequence[Tensor]) -> nn.Module | None:
        """Return the smallest module that holds all of the parameters that are in any module; None if none does."""
        owned = [parameter for parameter in parameters if id(parameter) in self.owners]
        held: Counter[int] = Counter()
        modules: dict[int, nn.Module] = {}
        for parameter in owned:
            for module in self._above(self.owners[id(parameter)]):
                modules[id(module)] = module
                held[id(module)] += 1
        whole = [modules[key] for key, count in held.items() if count == len(owned)]
        return min(whole, key=_size, default=None)

    def parts_with(self, parameters: Sequence[Tensor]) -> list[nn.Module]:
        """Return the largest modules that are no part of another and together hold the parameters."""
        tops = [
            module
            for parameter in parameters
            for module in self._above(self.owners.get(id(parameter), ()))
            if id(module) not in self.parents
        ]
        return list({id(module): module for module in tops}.values())

    def climb(self, module: nn.Module, parameters: Iterable[Tensor], others: Set[int]) -> nn.Module:
        """Return the largest module around one that belongs to the same training.

        What it has more is frozen, or has a gradient and no optimizer: it was perhaps forgotten.

        Args:
            module: A module.
            parameters: What its optimizers have.
            others: The ids of what other optimizers have.
        """
        known = {id(parameter) for parameter in parameters}
        climbing = True
        while climbing:
            climbing = False
            for parent in self.parents[id(module)]:
                more = [entry for entry in parent.parameters() if id(entry) not in known]
                if all(_belongs(entry, others) for entry in more):
                    module, climbing = parent, True
                    known |= {id(entry) for entry in more}
                    break
        return module

    def _above(self, modules: Iterable[nn.Module]) -> list[nn.Module]:
        """Return modules and all that they are parts of."""
        found: dict[int, nn.Module] = {}
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if id(module) not in found:
                found[id(module)] = module
                waiting += self.parents[id(module)]
        return list(found.values())


def find_models(optimizers: Sequence[torch.optim.Optimizer], modules: Modules) -> list[nn.Module]:
    """Find the model that optimizers train together; several if their parameters are in no one module.

    Args:
        optimizers: Optimizers whose updates follow the same backward passes.
        modules: The modules of the process.

    Returns:
        The models; none where no module has a parameter of them.
    """
    parameters = [entry for optimizer in optimizers for entry in trained(optimizer)]
    mine = {id(optimizer) for optimizer in optimizers}
    others = {
        id(entry) for optimizer in modules.optimizers if id(optimizer) not in mine for entry in trained(optimizer)
    }
    model = modules.smallest_with(parameters)
    if model is None:
        return modules.parts_with(parameters)
    return [modules.climb(model, parameters, others)]


def trained(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters that an optimizer changes."""
    return [entry for group in optimizer.param_groups for entry in group["params"] if entry.requires_grad]


def name_of(model: nn.Module, modules: Modules) -> str:
    """Return what a model is called in the script: the name of a variable or of an attribute, else its class."""
    main = vars(sys.modules["__main__"]) if "__main__" in sys.modules else {}
    for name, value in list(main.items()):
        if value is model and not name.startswith("_"):
            return name
    for parent in modules.parents[id(model)]:
        for name, part in parent.named_children():
            if part is model:
                return str(name)
    return type(model).__name__


def _belongs(parameter: Tensor, others: Set[int]) -> bool:
    return not parameter.requires_grad or (parameter.grad is not None and id(parameter) not in others)


def _wrapped(optimizer: Any) -> Any:
    """Return the optimizer inside of one that passes its calls on, as Accelerate and Lightning have one."""
    for name in ("optimizer", "_optimizer"):
        inner = optimizer.__dict__.get(name)
        if inner is not None and torch.optim.Optimizer in type(inner).__mro__:
            return inner
    return None


def _size(module: nn.Module) -> tuple[int, int]:
    """Of two modules with the same parameters the inner one is the smaller."""
    return sum(1 for _ in module.parameters()), sum(1 for _ in module.modules())
