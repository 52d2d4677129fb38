"""Changes of a PyTorch model's modules: activations, initialization, normalization, recurrence.

Each function looks for what it would change and raises ChangeError where there is nothing; the edit that it returns
makes the change.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from vgtui.watching.errors import ChangeError
from vgtui.watching.layers import is_activation
from vgtui.watching.subject import NORMS, SEALED, SOFTMAX, Subject, has_weights

Edit = Callable[[], None]
"""Makes a change that was found to be possible."""

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
"""Layers with a matrix that a signal goes through."""
INITIALIZATIONS: dict[str, Callable[[torch.Tensor], object]] = {
    "kaiming_normal_": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "kaiming_uniform_": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "xavier_normal_": nn.init.xavier_normal_,
    "xavier_uniform_": nn.init.xavier_uniform_,
    "orthogonal_": nn.init.orthogonal_,
}
ACTIVATIONS = (
    *("ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "ReLU6", "Softplus"),
    *("Hardswish", "Tanh", "Softsign", "Sigmoid", "Hardtanh", "Hardsigmoid", "LogSigmoid", "Identity"),
)
"""What may be put in an activation's place."""
SATURATING = ("Sigmoid", "Tanh", "Softsign", "Hardsigmoid", "Hardtanh", "LogSigmoid")
"""Activations whose derivative tends to 0 on both sides."""
OUTPUTS: dict[str | None, Callable[[], nn.Module]] = {
    None: nn.Identity,
    "Sigmoid": nn.Sigmoid,
    "LogSoftmax": lambda: nn.LogSoftmax(dim=-1),
}
"""What may be put in the place of an output's activation."""
GROUPS = (32, 16, 8, 4, 2, 1)
"""Numbers of groups of a GroupNorm, the largest that fits first."""
DEFAULT_MEMORY = 50
"""Steps of time that a recurrent layer is to remember where a change does not say."""
MIN_MEMORY = 3
CONTRACTION = 0.95
"""The factor by which a step of time changes a state under orthogonal recurrent weights."""


def change_activation(subject: Subject, value: Any) -> Edit:
    """Replace each hidden activation of a class by one of another: "Sigmoid>ReLU"."""
    old, _, new = str(value).partition(">")
    if new not in ACTIVATIONS:
        raise ChangeError("activation", f'{value!r} is not a change such as "Sigmoid>ReLU"')
    order = subject.in_order()
    found = {id(module): module for module in hidden_activations(order) if type(module).__name__ == old}
    if not found:
        raise ChangeError("activation", f"no hidden activation is a {old}")

    def edit() -> None:
        for module in found.values():
            fresh = getattr(nn, new)()
            if (weight := _weight_before(order, module)) is not None:
                fresh.to(device=weight[1].device, dtype=weight[1].dtype)
                subject.replace(module, fresh, weight[0])
            else:
                subject.replace(module, fresh)

    return edit


def change_output_activation(subject: Subject, value: Any) -> Edit:
    """Take the activation of the output away, or put another one in its place."""
    if not (value is None or isinstance(value, str)) or value not in OUTPUTS:
        raise ChangeError("output_activation", f"{value!r} is not None, which takes it away, nor Sigmoid or LogSoftmax")
    order = subject.in_order()
    last = _last_weighted(order)
    hidden = {id(module) for module in order[:last]}
    found = [module for module in order[last + 1 :] if is_activation(module) or isinstance(module, SOFTMAX)]
    if not found:
        raise ChangeError("output_activation", "no activation comes after the last layer with weights")
    if id(found[-1]) in hidden:
        name = type(found[-1]).__name__
        raise ChangeError("output_activation", f"one {name} is used for the output and between layers")
    return lambda: subject.replace(found[-1], OUTPUTS[value]())


def change_initialization(subject: Subject, value: Any) -> Edit:
    """Draw the weights of all linear and convolutional layers anew, with biases of 0."""
    if not isinstance(value, str) or value not in INITIALIZATIONS:
        raise ChangeError("initialization", f"no initialization {value!r}; it may be {', '.join(INITIALIZATIONS)}")
    embedded = {id(module.weight) for module in subject.root.modules() if isinstance(module, nn.Embedding)}
    found: dict[int, tuple[nn.Parameter, nn.Parameter | None]] = {}
    for module in subject.root.modules():
        weight = module._parameters.get("weight")  # not one that a parametrization computes
        if not isinstance(module, WEIGHTED) or weight is None or id(weight) in embedded:
            continue
        if weight.requires_grad and weight.is_floating_point():
            found[id(weight)] = weight, module._parameters.get("bias")
    if not found:
        raise ChangeError("initialization", "no linear or convolutional layer has a weight that is trained")

    def edit() -> None:
        with torch.no_grad():
            for weight, bias in found.values():
                fresh = torch.empty_like(weight, dtype=torch.float32)
                INITIALIZATIONS[value](fresh)
                weight.copy_(fresh)
                if bias is not None:
                    bias.zero_()
        subject.forget(entry for pair in found.values() for entry in pair if entry is not None)

    return edit


def change_normalization(subject: Subject, value: Any) -> Edit:
    """Put a norm after each hidden layer that an activation follows, and that has none."""
    if value not in ("BatchNorm", "LayerNorm"):
        raise ChangeError("normalization", f"{value!r} is neither BatchNorm nor LayerNorm")
    found = list(_without_norm(subject))
    if value == "BatchNorm" and any(isinstance(module, SEALED) for module in subject.root.modules()):
        found = [module for module in found if not isinstance(module, nn.Linear)]  # they see one position at a time
    if not found:
        raise ChangeError("normalization", f"no hidden layer lacks a norm that {value} could be")

    def edit() -> None:
        for module in found:
            subject.replace(module, nn.Sequential(module, _norm_after(module, value)))

    return edit


def standardize_inputs(subject: Subject, value: Any) -> Edit:
    """Put a BatchNorm without scale and shift before the first layer."""
    if value is not True:
        raise ChangeError("standardize_inputs", f"{value!r} is not True")
    first = next((module for module in subject.in_order() if has_weights(module) or isinstance(module, NORMS)), None)
    if not isinstance(first, WEIGHTED):
        problem = "the model has no layer" if first is None else f"the first layer is a {type(first).__name__}"
        raise ChangeError("standardize_inputs", f"{problem}, not a linear or convolutional one")
    weight = first.weight

    def edit() -> None:
        if isinstance(first, nn.Linear):
            norm = nn.BatchNorm1d(first.in_features, affine=False)
        else:
            norm = _batch_norm(first)(first.in_channels, affine=False)
        subject.replace(first, nn.Sequential(norm.to(device=weight.device, dtype=weight.dtype), first))

    return edit


def change_batch_norm(subject: Subject, value: Any) -> Edit:
    """Replace each BatchNorm by a GroupNorm, which keeps its scale and shift."""
    if value != "GroupNorm":
        raise ChangeError("batch_norm", f"{value!r} is not GroupNorm")
    found = [module for module in subject.root.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not found:
        raise ChangeError("batch_norm", "the model has no BatchNorm")

    def edit() -> None:
        for module in found:
            groups = 1 if isinstance(module, nn.BatchNorm1d) else _groups(module.num_features)
            norm = nn.GroupNorm(groups, module.num_features, module.eps, affine=False)
            if module.affine:
                norm.affine, norm.weight, norm.bias = True, module.weight, module.bias
            subject.replace(module, norm)

    return edit


def change_recurrence(subject: Subject, value: Any) -> Edit:
    """Replace each nn.RNN by an nn.GRU whose update gates are biased to remember: "GRU", or "GRU:50" for 50 steps."""
    kind, _, steps = str(value).partition(":")
    if kind != "GRU" or not (steps.isdecimal() or not steps):
        raise ChangeError("recurrent", f'{value!r} is neither "GRU" nor "GRU:50" with the steps to remember')
    memory = _memory("recurrent", int(steps) if steps else DEFAULT_MEMORY)
    found = [module for module in subject.root.modules() if type(module) in (nn.RNN, nn.RNNCell)]
    if not found:
        raise ChangeError("recurrent", "the model has no nn.RNN")

    def edit() -> None:
        for module in found:
            weight = next(module.parameters())
            where = {"device": weight.device, "dtype": weight.dtype}
            if isinstance(module, nn.RNNCell):
                fresh = nn.GRUCell(module.input_size, module.hidden_size, **where)
            else:
                names = ("num_layers", "batch_first", "dropout", "bidirectional")
                shape = {name: getattr(module, name) for name in names}
                fresh = nn.GRU(module.input_size, module.hidden_size, **shape, **where)
            _remember(fresh, memory)
            subject.replace(module, fresh)

    return edit


def change_memory(subject: Subject, value: Any) -> Edit:
    """Bias the gates of each LSTM and GRU to remember over so many steps of time."""
    memory = _memory("remember", value)
    gated = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell)
    found = [module for module in subject.root.modules() if isinstance(module, gated) and module.bias]
    if not found:
        raise ChangeError("remember", "the model has no nn.LSTM and no nn.GRU with a bias")

    def edit() -> None:
        for module in found:
            subject.forget(_remember(module, memory))

    return edit


def change_recurrent_weights(subject: Subject, value: Any) -> Edit:
    """Draw the recurrent weights of each layer that runs over time anew, orthogonal and a little contracting."""
    if value != "orthogonal":
        raise ChangeError("recurrent_weights", f'{value!r} is not "orthogonal"')
    found = [module for module in subject.root.modules() if isinstance(module, nn.RNNBase | nn.RNNCellBase)]
    if not found:
        raise ChangeError("recurrent_weights", "the model has no layer of PyTorch's that runs over time")
    weights = [
        weight for module in found for name, weight in module.named_parameters(recurse=False) if "weight_hh" in name
    ]

    def edit() -> None:
        with torch.no_grad():
            for weight in weights:
                for gate in weight.split(weight.shape[1]):
                    fresh = torch.empty_like(gate, dtype=torch.float32)
                    gate.copy_(nn.init.orthogonal_(fresh, gain=CONTRACTION))
        subject.forget(weights)

    return edit


def change_norm_first(subject: Subject, value: Any) -> Edit:
    """Let each transformer layer normalize first, with a final norm after the last."""
    if value is not True:
        raise ChangeError("norm_first", f"{value!r} is not True")
    layers = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
    found = [module for module in subject.root.modules() if isinstance(module, layers) and not module.norm_first]
    if not found:
        raise ChangeError("norm_first", "no layer of a transformer normalizes last")
    kinds = (nn.TransformerEncoder, nn.TransformerDecoder)
    stacks = [module for module in subject.root.modules() if isinstance(module, kinds)]

    def edit() -> None:
        for layer in found:
            layer.norm_first = True
        for stack in [stack for stack in stacks if stack.layers[-1] in found]:
            stack.use_nested_tensor = False  # the fast path of layers that normalize last
            if stack.norm is None:
                like = stack.layers[-1].norm1
                place = {"device": like.weight.device, "dtype": like.weight.dtype} if like.elementwise_affine else {}
                stack.norm = nn.LayerNorm(like.normalized_shape, like.eps, **place).train(stack.training)
                subject.added(stack.norm, like)

    return edit


def hidden_activations(order: list[nn.Module]) -> list[nn.Module]:
    """Return the activations after which a layer comes."""
    return [module for module in order[: _last_weighted(order) + 1] if is_activation(module)]


def _last_weighted(order: list[nn.Module]) -> int:
    """Return the place of the last layer; -1 without any."""
    return max((index for index, module in enumerate(order) if has_weights(module)), default=-1)


def _weight_before(order: list[nn.Module], activation: nn.Module) -> tuple[nn.Module, nn.Parameter] | None:
    """Return the layer that an activation follows, with one of its parameters."""
    layers = [module for module in order[: order.index(activation)] if has_weights(module)]
    return (layers[-1], next(layers[-1].parameters())) if layers else None


def _without_norm(subject: Subject) -> Iterator[nn.Module]:
    """Yield hidden layers that are trained and lead to an activation with no norm between.

    Without a single activation among the modules, they are functions: then one follows each hidden layer.
    """
    order = subject.in_order()
    functional = not any(is_activation(module) for module in order)
    seen: set[int] = set()
    for module, following in pairwise(order[: _last_weighted(order) + 1]):
        follows = is_activation(following) or (functional and isinstance(following, WEIGHTED))
        if isinstance(module, WEIGHTED) and follows and id(module) not in seen and module.weight.requires_grad:
            seen.add(id(module))
            yield module


def _norm_after(module: nn.Module, kind: str) -> nn.Module:
    weight = module.weight
    if isinstance(module, nn.Linear):
        norm = (nn.BatchNorm1d if kind == "BatchNorm" else nn.LayerNorm)(module.out_features)
    elif kind == "BatchNorm":
        norm = _batch_norm(module)(module.out_channels)
    else:
        norm = nn.GroupNorm(1, module.out_channels)  # over channels and places
    return norm.to(device=weight.device, dtype=weight.dtype)


def _batch_norm(conv: nn.Module) -> Any:
    return {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[conv.weight.ndim]


def _groups(channels: int) -> int:
    """Return the largest number of groups that divides the channels, of two channels at least where possible."""
    return next(groups for groups in GROUPS if channels % groups == 0 and (channels >= 2 * groups or groups == 1))


def _memory(setting: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= MIN_MEMORY:
        raise ChangeError(setting, f"{value!r} is not a number of steps of time to remember, {MIN_MEMORY} at least")
    return int(value)


def _remember(module: nn.Module, steps: int) -> list[nn.Parameter]:
    """Initialize gates for memories of 1 to so many steps (chrono initialization, Tallec & Ollivier 2018, §2).

    A unit that keeps the share u / (1 + u) of its state at each step forgets in about 1 + u steps, so that its gate's
    bias is log u with u drawn from 1 to steps - 1. In PyTorch it is the GRU's update gate z that keeps, as
    h' = (1 - z) n + z h; in an LSTM the forget gate keeps, and the input gate has the negative of its bias.

    Args:
        module: A GRU or an LSTM, or a cell of one.
        steps: The longest memory.

    Returns:
        The biases, each of which is the sum of two.
    """
    size = module.hidden_size
    changed: list[nn.Parameter] = []
    with torch.no_grad():
        for name, bias in module.named_parameters():
            if name.startswith("bias_ih"):
                log_u = torch.empty(size).uniform_(1, steps - 1).log_()
                other = module.get_parameter(name.replace("bias_ih", "bias_hh"))
                gates = {1: log_u} if isinstance(module, nn.GRU | nn.GRUCell) else {0: -log_u, 1: log_u}
                for gate, values in gates.items():
                    rows = slice(gate * size, (gate + 1) * size)
                    bias[rows] = values.to(bias)
                    other[rows] = 0
                changed += [bias, other]
    return changed


TABLE: dict[str, Callable[[Subject, Any], Edit]] = {
    "activation": change_activation,
    "output_activation": change_output_activation,
    "initialization": change_initialization,
    "normalization": change_normalization,
    "standardize_inputs": standardize_inputs,
    "batch_norm": change_batch_norm,
    "recurrent": change_recurrence,
    "remember": change_memory,
    "recurrent_weights": change_recurrent_weights,
    "norm_first": change_norm_first,
}
"""What finds and makes a change of modules, by setting."""
ADDS_PARAMETERS = ("activation", "normalization", "recurrent", "norm_first")
"""Changes that make new parameters, or may do so."""
