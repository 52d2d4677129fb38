"""The layers of a PyTorch model that have weights, by their names, in the order of their first use.

A layer is a module and one of its weights; a module with several matrices is several layers. A weight that is computed
from others, as weight_norm, spectral_norm and pruning do, stands for them: its numbers are those of what is trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from vgtui.watching.functional import Activation
from vgtui.watching.mesh import WRAPPERS, Shards, local, spread_weights
from vgtui.watching.parametrized import is_bias, is_matrix_name, kind_of, own_weights
from vgtui.wire.frames import LayerInfo

WRAPPER = "_orig_mod"
"""The attribute in which torch.compile keeps what it compiles; names leave it out."""
NAMELESS = ("weight", "in_proj_weight", "_flat_param")
"""Weights that are called as their module is."""
MAX_TIED_NAMES = 3
"""Names of a weight that several modules share."""
_NO_ACTIVATION = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)
_PLAIN = (nn.ParameterList, nn.ParameterDict)
"""Modules that only hold parameters: each of these is a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A module with a weight of its own.

    Attributes:
        name: The module's name in the model, with that of the weight if it is not `weight`.
        module: The module.
        weight: Its weight; of one that is computed from others, the largest of these.
        traced: Whether its output can be seen; in compiled code it cannot.
        tensor: What the module calls the weight.
        parts: The other parameters from which the weight is computed, such as weight_norm's magnitude.
        has_output: Whether the module's outputs and error signals are told with this weight: with one of several.
        shards: How its weight is spread over processes; None if each has all of it.
    """

    name: str
    module: nn.Module
    weight: nn.Parameter
    traced: bool
    tensor: str = "weight"
    parts: tuple[nn.Parameter, ...] = ()
    has_output: bool = True
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
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """The parameters that are the weight, or from which it is computed."""
        return (self.weight, *self.parts)

    @property
    def kind(self) -> str:
        """The framework's word for it."""
        if isinstance(self.module, nn.Linear):
            return "Linear" if self.tensor == "weight" else "Parameter"
        if self.tensor in NAMELESS or isinstance(self.module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
            return kind_of(self.module)
        return "Parameter"

    @property
    def is_matrix(self) -> bool:
        """Whether its weight is a matrix or a kernel that mixes inputs: no norm's scale, embedding or token."""
        if isinstance(self.module, nn.Embedding | nn.EmbeddingBag) or len(self.shape) < 2 or is_bias(self.tensor):
            return False
        return self.tensor in NAMELESS or is_matrix_name(self.tensor)

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


def find_layers(model: nn.Module, biases: bool = False) -> list[Layer] | None:
    """Find the layers of a model.

    Args:
        model: The model.
        biases: Whether every other parameter, such as a bias, is a layer too.

    Returns:
        The layers in the order of named_modules(), where a shared weight counts once, under the names of all that
        share it. None while a lazy module waits for its first input.
    """
    found: list[Layer] = []
    spread = spread_weights(model)
    places: dict[int, int] = {}
    """Where a weight is in `found`."""
    names: dict[int, list[str]] = {}
    for name, module, flag in _modules(model):
        weights = own_weights(module)
        if any(isinstance(part, nn.parameter.UninitializedParameter) for parts in weights.values() for part in parts):
            return None
        # quantized weights learn nothing
        weights = {tensor: parts for tensor, parts in weights.items() if parts[0].is_floating_point()}
        first = len(found)
        for tensor in _chosen(module, weights, biases):
            weight, *parts = weights[tensor]
            called = _name(name, tensor, module)
            if (place := places.get(id(weight))) is not None:
                names[place].append(called)
                continue
            places[id(weight)], names[len(found)] = len(found), [called]
            shards = spread.get(id(weight))
            found.append(Layer(called, module, weight, not flag, tensor, tuple(parts), False, shards))
        if len(found) > first:
            output = _with_output(found[first:])
            found[first + output] = replace(found[first + output], has_output=True)
    return [replace(layer, name=_joined(names[place])) for place, layer in enumerate(found)]


def _chosen(module: nn.Module, weights: dict[str, list[nn.Parameter]], biases: bool) -> list[str]:
    """Choose the weights of a module that are layers: its matrices, and its `weight`; else its largest parameter."""
    if biases or isinstance(module, _PLAIN):
        return list(weights)
    chosen = [
        tensor
        for tensor, (weight, *_) in weights.items()
        if tensor == "weight" or (weight.ndim > 1 and not is_bias(tensor))
    ]
    if chosen or not weights:
        return chosen
    return [max(weights, key=lambda tensor: (not is_bias(tensor), weights[tensor][0].numel()))]


def _name(path: str, tensor: str, module: nn.Module) -> str:
    if tensor in NAMELESS:
        return path or kind_of(module)
    return f"{path}.{tensor}" if path else tensor


def _joined(names: Sequence[str]) -> str:
    more = len(names) - MAX_TIED_NAMES
    return " + ".join(names[:MAX_TIED_NAMES]) + (f" + {more} more" if more > 0 else "")


def _with_output(layers: Sequence[Layer]) -> int:
    """Return which of a module's layers its outputs are told with: that of its `weight`, else its last matrix."""
    for place, layer in enumerate(layers):
        if layer.tensor in NAMELESS:
            return place
    return max(range(len(layers)), key=lambda place: (layers[place].weight.ndim > 1, place))


def census(model: nn.Module) -> tuple[int, ...]:
    """Return what is different once a module or a parameter of a model was added, replaced or compiled."""
    found: list[int] = []
    seen: set[int] = set()
    waiting: list[nn.Module | None] = [model]  # several times faster than modules()
    while waiting:
        module = waiting.pop()
        if module is None or id(module) in seen:
            continue
        seen.add(id(module))
        found += (id(module), module.__dict__.get("_compiled_call_impl") is not None)
        found += map(id, module._parameters.values())
        waiting += module._modules.values()
    return tuple(found)


def traceable(model: nn.Module) -> list[nn.Module]:
    """Return the modules whose use can be seen: those with parameters of their own, and activations."""
    return [
        module for _, module, flag in _modules(model) if not flag and (is_activation(module) or own_weights(module))
    ]


def is_compiled(model: nn.Module) -> bool:
    """Return whether a part of a model is what torch.compile or TorchScript runs."""
    return any(flag for _, _, flag in _modules(model))


def hookable(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that can have hooks, those that torch.compile or TorchScript does not run, by their names.

    There are none where no use of a layer can be seen.
    """
    if not traceable(model):
        return {}
    found = _modules(model)
    return {name: module for name, module, is_compiled in found if not (is_compiled or hasattr(module, WRAPPER))}


def activations(model: nn.Module) -> list[nn.Module]:
    """Return the activation modules whose outputs can be seen."""
    return [module for _, module, flag in _modules(model) if not flag and is_activation(module)]


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is an activation function."""
    return is_function(module) and not isinstance(module, _NO_ACTIVATION)


def is_function(module: nn.Module) -> bool:
    """Return whether a module is an activation function, or a softmax."""
    return bool(type(module).__module__ == nn.ReLU.__module__)


def in_order_of_use(layers: list[Layer], used: Sequence[object]) -> list[Layer]:
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


def activations_after(layers: list[Layer], used: Sequence[nn.Module | Activation]) -> dict[int, str]:
    """Return the kind of the activation that was used next after each layer, by the id of the layer's module."""
    of_module = {id(layer.module): layer for layer in layers}
    found: dict[int, str] = {}
    current: Layer | None = None
    for entry in used:
        if (layer := of_module.get(id(entry))) is not None:
            current = layer
        elif current is None:
            continue
        elif isinstance(entry, Activation):
            if entry.fits(current.weight, current.units_axis):
                found.setdefault(id(current.module), entry.kind)
        elif is_activation(entry):
            found.setdefault(id(current.module), type(entry).__name__)
    return found


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    """Yield each module with its name, and whether it is, or is part of, what torch.compile or TorchScript runs."""
    compiled: set[str] = set()
    for path, module in model.named_modules():
        parts = path.split(".") if path else []
        flag = (
            WRAPPER in parts
            or getattr(module, "_compiled_call_impl", None) is not None
            or isinstance(module, torch.jit.ScriptModule)
            or any(".".join(parts[:length]) in compiled for length in range(len(parts)))
        )
        if flag:
            compiled.add(path)
        if not isinstance(module, ParametrizationList):  # what it has is of the module that it is a part of
            yield ".".join(part for part in parts if part not in WRAPPERS), module, flag


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
