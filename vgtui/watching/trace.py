"""The steps of a model until its first update: which modules it uses, and the norms of its first gradients."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from vgtui.watching.compiling import has_compiled
from vgtui.watching.functional import PARTS, Activation, Functions, is_passed_on
from vgtui.watching.handles import Handle
from vgtui.watching.layers import is_compiled, traceable
from vgtui.watching.sample import hook_made

MAX_USES = 2**16
"""Uses of modules that are remembered until the first update: a model may be used for long before it is trained."""


class Trace:
    """Notes the uses of a model's layers and activations, in their order, until it is stopped.

    Attributes:
        used: The modules, and the activations that are functions, as often as they were used.
        made: The norms of the gradients as they were made, by the parameter's id.
    """

    def __init__(self) -> None:
        """Begin with nothing; `begin` hooks a model."""
        self.used: list[nn.Module | Activation] = []
        self.made: dict[int, Tensor] = {}
        self._handles: list[Handle] = []
        self._on_gradients: list[Handle] = []
        self._functions: Functions | None = None
        self._pending: Activation | None = None
        """An activation that may be a part of something else."""

    def begin(self, model: nn.Module, make_hook: Callable[..., Any], with_gradients: bool) -> None:
        """Hook a model.

        Args:
            model: The model.
            make_hook: Applied to each function that is hooked.
            with_gradients: Whether gradients are whole when they are made.
        """
        note_use = make_hook(self._note_use)
        # before its call: a module with parts in it is used before they are
        for module in traceable(model):
            self._handles.append(module.register_forward_pre_hook(note_use))
        if not (is_compiled(model) or has_compiled()):
            self._functions = Functions(make_hook(self._note_function))
            self._handles += self._functions.hook(model, make_hook)
        if with_gradients:
            self._on_gradients = hook_made(self.made, model.parameters(), make_hook)

    def stop(self) -> None:
        """Take every hook away."""
        for handle in self._on_gradients:
            handle.remove()
        self._on_gradients.clear()
        self.leave_modules()

    def leave_modules(self) -> None:
        """Take the hooks on modules away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._pending = None
        if self._functions:
            self._functions.end()
            self._functions = None

    def _note_use(self, module: nn.Module, inputs: Any) -> None:
        pending, self._pending = self._pending, None
        if len(self.used) >= MAX_USES:
            return
        given = inputs[0] if inputs else None
        if pending and isinstance(given, Tensor) and is_passed_on(pending.node, given.grad_fn):
            self.used.append(pending._replace(node=None))
        self.used.append(module)

    def _note_function(self, kind: str, output: Tensor) -> None:
        activation = Activation(kind, tuple(output.shape), output.grad_fn)
        if kind in PARTS:
            self._pending = self._pending or activation
        elif len(self.used) < MAX_USES:
            self.used.append(activation._replace(node=None))
