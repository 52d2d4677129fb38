"""The layers with weights of a PyTorch model: by their names, in the order of their first use."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vgtui.wire.frames import LayerInfo

WRAPPER = "_orig_mod"
"""Where torch.compile keeps what it compiles; names go without it."""
_NO_ACTIVATION = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A module with a weight of its own. traced: whether its output can be looked at, as in compiled code it cannot."""

    name: str
    module: nn.Module
    weight: nn.Parameter
    traced: bool

    @property
    def kind(self) -> str:
        return "Linear" if isinstance(self.module, nn.Linear) else type(self.module).__name__

    @property
    def units_axis(self) -> int:
        """The axis of its output that has a place for every unit or channel."""
        return 1 if self.kind.startswith(("Conv", "BatchNorm", "InstanceNorm", "GroupNorm")) else -1

    def info(self, activation: str) -> LayerInfo:
        shape = tuple(self.weight.shape)
        fan_in, fan_out = _fans(shape)
        if self.kind == "Embedding":
            fan_in, fan_out = fan_out, fan_in
        return LayerInfo(self.name, fan_in, fan_out, self.kind, shape, activation)


def find_layers(model: nn.Module) -> list[Layer] | None:
    """In the order of named_modules; a shared weight counts once. None while a lazy module waits for its input."""
    found: list[Layer] = []
    seen: set[int] = set()
    for name, module, is_compiled in _modules(model):
        weights = [weight for weight in module.parameters(recurse=False) if id(weight) not in seen]
        if any(isinstance(weight, nn.parameter.UninitializedParameter) for weight in weights):
            return None
        seen.update(map(id, weights))
        weights = [weight for weight in weights if weight.is_floating_point()]  # what is quantized learns nothing
        if weights:
            found.append(Layer(name or type(module).__name__, module, _main(module, weights), not is_compiled))
    return found


def traceable(model: nn.Module) -> list[nn.Module]:
    """The modules that can be seen in use: those with parameters of their own, and activations."""
    return [
        module
        for _, module, is_compiled in _modules(model)
        if not is_compiled and (is_activation(module) or any(True for _ in module.parameters(recurse=False)))
    ]


def activations(model: nn.Module) -> list[nn.Module]:
    """The modules that are an activation function, and can be looked at."""
    return [module for _, module, is_compiled in _modules(model) if not is_compiled and is_activation(module)]


def is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == nn.ReLU.__module__ and not isinstance(module, _NO_ACTIVATION)


def in_order_of_use(layers: list[Layer], used: list[nn.Module]) -> list[Layer]:
    """The layers by their first use; one that was not seen in use stays behind the layer that it follows by name."""
    first = {id(module): place for place, module in reversed(list(enumerate(used)))}
    keys: list[tuple[int, int]] = []
    place = -1
    for number, layer in enumerate(layers):
        place = first.get(id(layer.module), place)
        keys.append((place, number))
    return [layers[number] for _, number in sorted(keys)]


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    """Every module with its name, and whether it is, or is part of, what torch.compile or TorchScript runs."""
    compiled: set[str] = set()
    for path, module in model.named_modules():
        parts = path.split(".") if path else []
        is_compiled = (
            WRAPPER in parts
            or getattr(module, "_compiled_call_impl", None) is not None
            or isinstance(module, torch.jit.ScriptModule)
            or any(".".join(parts[:length]) in compiled for length in range(len(parts)))
        )
        if is_compiled:
            compiled.add(path)
        yield ".".join(part for part in parts if part != WRAPPER), module, is_compiled


def _main(module: nn.Module, weights: list[nn.Parameter]) -> nn.Parameter:
    """The weight among a module's own parameters: what is called so, or else the largest of the highest rank."""
    called = getattr(module, "weight", None)
    if any(called is weight for weight in weights):
        assert isinstance(called, nn.Parameter)
        return called
    return max(weights, key=lambda weight: (min(weight.ndim, 2), weight.numel()))


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Fan-in and fan-out as torch.nn.init has them; of a norm's vector, its length."""
    if len(shape) < 2:
        length = shape[0] if shape else 1
        return length, length
    field = 1
    for extent in shape[2:]:
        field *= extent
    return shape[1] * field, shape[0] * field


def dense(gradient: Tensor) -> Tensor:
    """A gradient's entries; of a sparse one those that are there."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient
