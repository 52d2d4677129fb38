"""Activations that are functions: seen by a TorchFunctionMode around the forward pass of a step that is sampled."""

import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vgtui.watching.handles import Handle, MakeHook

MAX_NODES = 64
"""Nodes of autograd's graph that are looked at between an activation and the next layer."""
MAX_FRAMES = 16
"""How far up the stack torch.compile is looked for."""
_NAMES: dict[str, tuple[str, ...]] = {
    "ReLU": ("relu", "relu_"),
    "ReLU6": ("relu6",),
    "Tanh": ("tanh", "tanh_"),
    "Sigmoid": ("sigmoid", "sigmoid_", "expit"),
    "GELU": ("gelu",),
    "SiLU": ("silu",),
    "Mish": ("mish",),
    "ELU": ("elu", "elu_"),
    "SELU": ("selu", "selu_"),
    "CELU": ("celu", "celu_"),
    "LeakyReLU": ("leaky_relu", "leaky_relu_"),
    "Softplus": ("softplus",),
    "Softsign": ("softsign",),
    "Hardswish": ("hardswish",),
    "Hardtanh": ("hardtanh", "hardtanh_"),
    "Hardsigmoid": ("hardsigmoid",),
    "LogSigmoid": ("logsigmoid",),
}
KINDS: dict[Any, str] = {
    getattr(place, name): kind
    for kind, names in _NAMES.items()
    for name in names
    for place in (functional, torch, Tensor, torch.special)
    if hasattr(place, name)
}
"""The class of the module that does the same, by function."""
PARTS = ("Sigmoid", "Tanh")
"""Activations that are often a part of something, such as a gate: they count if their output is passed on as it is."""


class Activation(NamedTuple):
    """The use of an activation that is a function.

    Attributes:
        kind: The class of the module that does the same.
        shape: The shape of its output.
        node: Its node in autograd's graph.
    """

    kind: str
    shape: tuple[int, ...]
    node: Any

    def fits(self, weight: Tensor, axis: int) -> bool:
        """Return whether it may be what follows a layer: it has as many units as the layer's weight has rows."""
        return len(self.shape) > 1 and weight.ndim > 0 and self.shape[axis % len(self.shape)] in weight.shape[:2]


Look: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any]], None]


class Functions:
    """Has each activation that is a function noted, as long as a model's forward pass runs."""

    def __init__(self, note: Callable[[str, Tensor], None], look: Look | None = None) -> None:
        """Prepare to look.

        Args:
            note: Called with the kind of each activation and its output; it must not raise.
            look: Called with each function that is about to be called, and its arguments; it must not raise.
        """
        self._mode = _Mode(note, look)
        self._depths: dict[int, int] = {}
        """How many modules run within each other, by thread."""

    def hook(self, model: nn.Module, make_hook: MakeHook) -> list[Handle]:
        """Begin.

        Args:
            model: The model. Where not it is called but a part of it, that is looked at.
            make_hook: Applied to each function that is hooked.

        Returns:
            The hooks. When they are removed, `end` must be called.
        """
        enter, leave = make_hook(self._enter), make_hook(self._leave)
        handles: list[Handle] = []
        for module in (model, *(child for child in model.children() if any(True for _ in child.children()))):
            handles.append(module.register_forward_pre_hook(enter, prepend=True))
            handles.append(module.register_forward_hook(leave, always_call=True))
        return handles

    def end(self) -> None:
        """Look no more, even if a forward pass was interrupted."""
        if self._depths.pop(threading.get_ident(), 0):
            _remove(self._mode)

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        thread = threading.get_ident()
        depth = self._depths.get(thread, 0)
        if not depth:
            if not (module.training and torch.is_grad_enabled()) or _is_compiled():
                return
            self._mode.__enter__()
        self._depths[thread] = depth + 1

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        thread = threading.get_ident()
        if not (depth := self._depths.get(thread, 0)):
            return
        if depth == 1:
            del self._depths[thread]
            _remove(self._mode)
        else:
            self._depths[thread] = depth - 1


def is_passed_on(node: Any, start: Any) -> bool:
    """Return whether what a node gives reaches another one without being a factor of something.

    Args:
        node: A node of autograd's graph, such as a sigmoid's.
        start: The node from which to look back, such as that of a layer's inputs.
    """
    waiting, seen = [start], 0
    while waiting and seen < MAX_NODES:
        entry = waiting.pop(0)
        seen += 1
        if entry is node:
            return True
        if entry is None:
            continue
        inputs = [below for below, _ in entry.next_functions if below is not None]
        if not entry.name().startswith(("Mul", "Div")) or len(inputs) == 1:  # a mask, or a number, is no factor
            waiting += inputs
    return False


class _Mode(TorchFunctionMode):  # type: ignore[misc]
    """Calls each function as it is, and has activations noted."""

    def __init__(self, note: Callable[[str, Tensor], None], look: Look | None) -> None:
        super().__init__()
        self._note = note
        self._look = look

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._look is not None:
            self._look(func, args, kwargs or {})
        result = func(*args, **(kwargs or {}))
        if (kind := KINDS.get(func)) is not None and isinstance(result, Tensor):
            self._note(kind, result)
        return result


def _remove(mode: TorchFunctionMode) -> None:
    """Take a mode away, and leave those that were entered since, such as that of set_default_device()."""
    above: list[Any] = []
    while torch._C._len_torch_function_stack():
        entered = torch._C._pop_torch_function_stack()
        if entered is mode:
            break
        above.append(entered)
    for entered in reversed(above):
        torch._C._push_on_torch_function_stack(entered)


def _is_compiled() -> bool:
    """Return whether what runs now was called by code that torch.compile has made, whose guards know every mode."""
    frame: Any = sys._getframe()
    for _ in range(MAX_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_filename.endswith("_dynamo/eval_frame.py"):
            return True
        frame = frame.f_back
    return False
