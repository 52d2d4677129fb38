"""The layers of a PyTorch model that have weights, by their names, in the order of their first use."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from vgtui.watching.mesh import WRAPPERS, Shards, local, spread_weights
from vgtui.wire.frames import LayerInfo

WRAPPER = "_orig_mod"
"""The attribute in which torch.compile keeps what it compiles; names leave it out."""
_NO_ACTIVATION = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A module with a weight of its own.

    Attributes:
        name: The module's name in the model.
        module: The module.
        weight: Its weight, the main one of several.
        traced: Whether its output can be seen; in compiled code it cannot.
        shards: How its weight is spread over processes; None if each has all of it.
    """

    name: str
    module: nn.Module
    weight: nn.Parameter
    traced: bool
    shards: Shards | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its whole weight."""
        return tuple(self.weight.shape) if self.shards is None else self.shards.shape

    @property
    def holds_any(self) -> bool:
        """Whether this process holds any of its weight."""
        return bool(local(self.weight).numel())

    @property
    def kind(self) -> str:
        """The framework's word for it."""
        return "Linear" if isinstance(self.module, nn.Linear) else type(self.module).__name__

    @property
    def is_matrix(self) -> bool:
        """Whether its weight is a matrix or a kernel that mixes inputs: no norm's scale, embedding or token."""
        if isinstance(self.module, nn.Embedding | nn.EmbeddingBag) or len(self.shape) < 2:
            return False
        if isinstance(self.module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention | ParametrizationList):
            return True
        return getattr(self.module, "weight", None) is self.weight

    @property
    def units_axis(self) -> int:
        """The axis of its output along which its units or channels are."""
        return 1 if self.kind.startswith(("Conv", "BatchNorm", "InstanceNorm", "GroupNorm")) else -1

    def info(self, activation: str) -> LayerInfo:
        """Describe the layer for a header. activation: the kind that follows it, "" if none is known."""
        shape = self.shape
        fan_in, fan_out = _fans(shape)
        if self.kind == "Embedding":
            fan_in, fan_out = fan_out, fan_in
        return LayerInfo(self.name, fan_in, fan_out, self.kind, shape, activation, self.is_matrix)


def find_layers(model: nn.Module) -> list[Layer] | None:
    """Find the layers of a model.

    Args:
        model: The model.

    Returns:
        The layers in the order of named_modules(), where a shared weight counts once. None while a lazy module waits
        for its first input.
    """
    found: list[Layer] = []
    seen: set[int] = set()
    spread = spread_weights(model)
    for name, module, is_compiled in _modules(model):
        weights = [weight for weight in module.parameters(recurse=False) if id(weight) not in seen]
        if any(isinstance(weight, nn.parameter.UninitializedParameter) for weight in weights):
            return None
        seen.update(map(id, weights))
        weights = [weight for weight in weights if weight.is_floating_point()]  # quantized weights learn nothing
        if weights:
            main = _main(module, weights)
            shards = spread.get(id(main))
            found.append(Layer(name or type(module).__name__, module, main, not is_compiled, shards))
    return found


def traceable(model: nn.Module) -> list[nn.Module]:
    """Return the modules whose use can be seen: those with parameters of their own, and activations."""
    return [
        module
        for _, module, is_compiled in _modules(model)
        if not is_compiled and (is_activation(module) or any(True for _ in module.parameters(recurse=False)))
    ]


def activations(model: nn.Module) -> list[nn.Module]:
    """Return the activation modules whose outputs can be seen."""
    return [module for _, module, is_compiled in _modules(model) if not is_compiled and is_activation(module)]


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is an activation function."""
    return is_function(module) and not isinstance(module, _NO_ACTIVATION)


def is_function(module: nn.Module) -> bool:
    """Return whether a module is an activation function, or a softmax."""
    return bool(type(module).__module__ == nn.ReLU.__module__)


def in_order_of_use(layers: list[Layer], used: list[nn.Module]) -> list[Layer]:
    """Sort layers by their first use.

    Args:
        layers: The layers, in the order of their names.
        used: The modules in the order of their uses.

    Returns:
        The sorted layers. One whose use was not seen stays behind the layer before it.
    """
    first = {id(module): use for use, module in reversed(list(enumerate(used)))}
    keys: list[tuple[int, int]] = []
    use = -1
    for index, layer in enumerate(layers):
        use = first.get(id(layer.module), use)
        keys.append((use, index))
    return [layers[index] for _, index in sorted(keys)]


def activations_after(layers: list[Layer], used: list[nn.Module]) -> dict[int, str]:
    """Return the kind of the activation that was used next after each layer, by the id of the layer's module."""
    modules = {id(layer.module) for layer in layers}
    found: dict[int, str] = {}
    current: int | None = None
    for module in used:
        if id(module) in modules:
            current = id(module)
        elif current is not None and is_activation(module):
            found.setdefault(current, type(module).__name__)
    return found


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    """Yield each module with its name, and whether it is, or is part of, what torch.compile or TorchScript runs."""
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
        yield ".".join(part for part in parts if part not in WRAPPERS), module, is_compiled


def _main(module: nn.Module, weights: list[nn.Parameter]) -> nn.Parameter:
    """Choose a module's main weight: its attribute `weight`, or else the largest parameter of the highest rank."""
    called = getattr(module, "weight", None)
    if any(called is weight for weight in weights):
        assert isinstance(called, nn.Parameter)
        return called
    return max(weights, key=lambda weight: (min(weight.ndim, 2), weight.numel()))


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan-in and fan-out as torch.nn.init has them; of a norm's vector, its length twice."""
    if len(shape) < 2:
        length = shape[0] if shape else 1
        return length, length
    field = 1
    for extent in shape[2:]:
        field *= extent
    return shape[1] * field, shape[0] * field


def dense(gradient: Tensor) -> Tensor:
    """Return the entries of a gradient that this process holds; of a sparse one, those that it stores."""
    return gradient.coalesce().values() if gradient.is_sparse else local(gradient)
