"""A PyTorch model and its optimizer while a cure changes them in place."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from vgtui.watching.errors import ChangeError
from vgtui.watching.layers import WRAPPER, is_activation
from vgtui.watching.mesh import WRAPPERS

MAX_WRAPPERS = 8
"""Wrappers around a model or an optimizer, such as those of torch.compile, DDP and Accelerate."""
MAX_USES = 2**16
"""Uses of modules that are noted."""
SOFTMAX = (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)
"""Activations of outputs alone."""
SEALED = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
"""Modules whose parts are no layers with an activation of their own: nothing inside is replaced."""
NORMS = (
    *(nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm),
    *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
)
"""Modules that normalize."""
STATE_OF_ITS_OWN = ("Adagrad", "LBFGS")
"""Optimizers that make the state of their parameters once, at the beginning: none can join later."""


class Subject:
    """A model and its optimizer, which follows where modules are replaced.

    Attributes:
        model: The model as it was given, or the new root where that was replaced.
        root: The model without what is wrapped around it.
        optimizer: The innermost optimizer; None if there is none.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer | None, uses: Sequence[str] = ()) -> None:
        """Look at a model.

        Args:
            model: The model, which may be wrapped.
            optimizer: Its optimizer, which may be wrapped.
            uses: The names of its modules in the order of their uses, where that is known.
        """
        self.model = model
        self.root = unwrapped(model)
        self.optimizer = innermost(optimizer)
        self._uses = uses
        self._like: list[tuple[nn.Module, nn.Module]] = []
        """Each new module with the one whose group its parameters join."""

    def in_order(self) -> list[nn.Module]:
        """Return layers, norms and activations in the order of their uses, or else of their registration.

        One that is used several times is there several times. What is inside SEALED is left out.
        """
        relevant = self.relevant()
        order = [module for name in first_pass(self._uses) if (module := relevant.get(name)) is not None]
        if not order:
            return list(relevant.values())
        previous = None
        for module in relevant.values():
            if module not in order:  # its use was not seen; it stays behind the one before it
                last = max((index for index, other in enumerate(order) if other is previous), default=-1)
                order.insert(last + 1, module)
            previous = module
        return order

    def relevant(self) -> dict[str, nn.Module]:
        """Return layers, norms and activations by their names, in the order of their registration."""
        modules = self.root.named_modules()
        return {plain_name(name): module for name, module in modules if self._is_relevant(name, module)}

    def is_sealed(self, name: str) -> bool:
        """Return whether a module's name is that of a part of attention."""
        parts = name.split(".")
        return any(
            isinstance(self.root.get_submodule(".".join(parts[:length])), SEALED) for length in range(1, len(parts))
        ) or (bool(name) and isinstance(self.root, SEALED))

    def check_modules(self, setting: str, adds_parameters: bool) -> None:
        """Raise ChangeError for a model whose modules cannot be changed."""
        if any(isinstance(entry, nn.parameter.UninitializedParameter) for entry in self.root.parameters()):
            raise ChangeError(setting, "a lazy module waits for its first input; run the model on a batch first")
        if any(isinstance(module, torch.jit.ScriptModule) for module in self.root.modules()):
            raise ChangeError(setting, "TorchScript does not let modules be replaced; change the model before")
        if not adds_parameters:
            return
        if isinstance(self.model, DistributedDataParallel):
            problem = "new parameters are not exchanged between processes; change model.module, and wrap it again"
            raise ChangeError(setting, problem)
        if (kind := type(self.optimizer).__name__) in STATE_OF_ITS_OWN:
            raise ChangeError(setting, f"no parameters can join {kind} later; change the model before it is made")

    def replace(self, old: nn.Module, new: nn.Module, like: nn.Module | None = None) -> None:
        """Put a module in the place of another, wherever that is used.

        Args:
            old: A module of the model.
            new: Its replacement, which may contain it.
            like: The module whose group of the optimizer new parameters join; else the old one.
        """
        new.train(old.training)
        for parent in [module for module in self.model.modules() if module is not new]:
            for name, child in list(parent._modules.items()):
                if child is old:
                    setattr(parent, name, new)
        if self.model is old:
            self.model = new
        if self.root is old:
            self.root = new
        self.added(new, like or old)

    def added(self, new: nn.Module, like: nn.Module) -> None:
        """Note that the parameters of a new module join the group of another one's."""
        self._like.append((new, like))

    def settle(self, before: Iterable[nn.Parameter]) -> None:
        """Let the optimizer follow: new parameters join it, those that the model lost leave it with their state.

        Args:
            before: The model's parameters before any change.
        """
        if self.optimizer is None:
            return
        old = {id(parameter): parameter for parameter in before}
        now = {id(parameter) for parameter in self.root.parameters()}
        groups = {id(member): group for group in self.optimizer.param_groups for member in group["params"]}
        for module, like in self._like:
            group = next((groups[id(entry)] for entry in like.parameters() if id(entry) in groups), None)
            for parameter in module.parameters():
                if group is not None and id(parameter) not in groups and id(parameter) not in old:
                    group["params"].append(parameter)
                    groups[id(parameter)] = group
        gone = {key: parameter for key, parameter in old.items() if key not in now}
        for group in self.optimizer.param_groups:
            group["params"][:] = [member for member in group["params"] if id(member) not in gone]
        self.forget(gone.values())
        self._like.clear()

    def forget(self, parameters: Iterable[nn.Parameter]) -> None:
        """Drop what the optimizer knows of parameters, as they are gone or begin anew."""
        if self.optimizer is not None:
            for parameter in parameters:
                self.optimizer.state.pop(parameter, None)

    def _is_relevant(self, name: str, module: nn.Module) -> bool:
        if self.is_sealed(name):
            return False
        return isinstance(module, (*NORMS, *SOFTMAX)) or is_activation(module) or has_weights(module)


def has_weights(module: nn.Module) -> bool:
    """Return whether a module is a layer: it has parameters of its own, and is no activation."""
    if isinstance(module, SEALED):
        return True
    return not is_activation(module) and any(True for _ in module.parameters(recurse=False))


def first_pass(uses: Sequence[str]) -> Sequence[str]:
    """Return the uses up to where the model is used again: at its first module, after all of them were used."""
    wanted, seen = len(set(uses)), set[str]()
    for index, name in enumerate(uses):
        if len(seen) == wanted and name == uses[0]:
            return uses[:index]
        seen.add(name)
    return uses


def unwrapped(model: nn.Module) -> nn.Module:
    """Return a model without torch.compile's, DDP's and DataParallel's wrappers."""
    for _ in range(MAX_WRAPPERS):
        if isinstance(model, DistributedDataParallel | DataParallel):
            model = model.module
        elif isinstance(inner := model._modules.get(WRAPPER), nn.Module):
            model = inner
        else:
            break
    return model


def innermost(optimizer: Any) -> Any:
    """Return the optimizer inside its wrappers, as Accelerate and Lightning have one each."""
    for _ in range(MAX_WRAPPERS):
        inner = getattr(optimizer, "optimizer", None)
        if not isinstance(inner, torch.optim.Optimizer):
            break
        optimizer = inner
    return optimizer


def plain_name(name: str) -> str:
    """Return a module's name without wrappers, as torch.compile has one."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


@contextmanager
def noting_uses(root: nn.Module) -> Iterator[list[nn.Module]]:
    """Note the uses of layers, norms and activations, in their order, until the end of the block."""
    used: list[nn.Module] = []

    def note(module: nn.Module, inputs: Any) -> None:
        if len(used) < MAX_USES:
            used.append(module)

    relevant = Subject(root, None).relevant().values()
    handles = [module.register_forward_pre_hook(note) for module in relevant]
    try:
        yield used
    finally:
        for handle in handles:
            handle.remove()
