"""What lies between a model's last layer and its loss, read off the graph that autograd has built.

The graph's nodes keep their names and shapes after backward(), when the values are gone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.observations import LossFunction

MAX_NODES = 400
"""Nodes of the graph that are visited."""
_LAYERS = (
    "Addmm", "Mm", "Bmm", "Baddbmm", "Mv", "Convolution", "MkldnnConvolution", "CudnnConvolution", "NativeBatchNorm",
    "CudnnBatchNorm", "NativeLayerNorm", "NativeGroupNorm", "Embedding", "CudnnRnn", "MkldnnRnnLayer", "Linear",
    "torch::autograd::AccumulateGrad",
)  # fmt: skip
"""Where a layer begins: nothing below belongs to the loss."""
_VIEWS = (
    "View", "UnsafeView", "ReshapeAlias", "Reshape", "Squeeze", "Unsqueeze", "T", "Transpose", "Permute", "Slice",
    "Select", "Index", "ToCopy", "Clone", "Alias", "AsStrided", "Unbind", "Split", "Expand",
)  # fmt: skip
"""What changes the shape alone."""
_LOSSES = {
    "NllLoss": "nll",
    "NllLoss2D": "nll",
    "MseLoss": "mse",
    "BinaryCrossEntropy": "bce",
    "BinaryCrossEntropyWithLogits": "bce_with_logits",
    "L1Loss": "l1",
    "SmoothL1Loss": "smooth_l1",
    "HuberLoss": "huber",
}
_ACTIVATIONS = {
    "Softmax": "Softmax",
    "LogSoftmax": "LogSoftmax",
    "Sigmoid": "Sigmoid",
    "LogSigmoid": "LogSigmoid",
    "Relu": "ReLU",
    "LeakyRelu": "LeakyReLU",
    "Tanh": "Tanh",
    "Softplus": "Softplus",
    "Gelu": "GELU",
    "Elu": "ELU",
    "Log": "log",
}
_SINGULAR = {
    "Sqrt": "sqrt",
    "Rsqrt": "rsqrt",
    "Log": "log",
    "Log2": "log2",
    "Log10": "log10",
    "Div": "a division",
    "Reciprocal": "a division",
    "Norm": "a norm",
    "LinalgVectorNorm": "a norm",
    "Cdist": "cdist",
    "Pow": "a power",
    "Acos": "acos",
    "Asin": "asin",
    "Atan2": "atan2",
    "Std": "a standard deviation",
}
"""Functions whose slope, or value, is infinite somewhere."""


@dataclass(frozen=True, slots=True)
class _Loss:
    """A loss function in the graph: its kind, its node, and the node of what it is applied to."""

    kind: str
    node: Any
    below: Any


def describe_loss(loss: Any, output: Any = None) -> LossFunction | None:
    """Describe the loss function of a step.

    Args:
        loss: The loss, a tensor that still has its graph.
        output: The node of the model's output in that graph, if it is known.

    Returns:
        The description; None if there is no graph.
    """
    node = loss.grad_fn if isinstance(loss, Tensor) else None
    if node is None:
        return None
    nodes = list(_nodes(node))
    singular = tuple(dict.fromkeys(_SINGULAR[name] for entry in nodes if (name := _name(entry)) in _SINGULAR))
    found = _find_loss(nodes)
    if found is None:
        chain = list(_activations_below(node))
        return LossFunction("", tuple(chain), singular=singular)
    shape = _shape(_past_views(found.below)) or ()
    chain = list(_activations_below(found.below))
    softmax = next((entry for entry in _chain(found.below) if _name(entry) == "Softmax"), None)
    scores = next((entry for entry in _chain(found.below) if _name(entry) == "LogSoftmax"), None)
    return LossFunction(
        kind=found.kind,
        activations=tuple(chain),
        softmax_units=_extent(softmax),
        classes=_extent(scores),
        broadcast=_broadcast(found),
        is_mean=getattr(found.node, "_saved_reduction", 1) == 1,
        is_direct=_is_reached(_past_scores(found), output),
        outputs=tuple(shape),
        singular=singular,
    )


def _find_loss(nodes: list[Any]) -> _Loss | None:
    for node in nodes:
        name = _name(node)
        if kind := _LOSSES.get(name):
            below = _inputs(node)
            return _Loss(kind, node, below[0]) if len(below) == 1 else None
        if name == "Pow" and getattr(node, "_saved_exponent", None) == 2:
            difference = _past_views(_inputs(node)[0])
            if _name(difference) in ("Sub", "Rsub") and len(_inputs(difference)) == 1:
                return _Loss("mse", difference, _inputs(difference)[0])
        if name == "Abs" and (below := _inputs(node)):
            difference = _past_views(below[0])
            if _name(difference) in ("Sub", "Rsub") and len(_inputs(difference)) == 1:
                return _Loss("l1", difference, _inputs(difference)[0])
    return None


def _broadcast(found: _Loss) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the shapes of the outputs and of their difference to the targets, if that is larger."""
    if found.kind == "nll":
        return None
    expands = _name(found.below) == "Expand"
    outer = _shape(found.below) if expands else _shape(found.node)
    inner = _shape(_inputs(found.below)[0]) if expands and _inputs(found.below) else _shape(found.below)
    if outer is None or inner is None or not outer or math.prod(outer) <= math.prod(inner):
        return None
    return inner, outer


def _past_scores(found: _Loss) -> Any:
    """Return the node of the scores of a cross-entropy, which takes their log_softmax itself; else what is below."""
    is_scored = found.kind == "nll" and _name(found.below) == "LogSoftmax" and _inputs(found.below)
    return _inputs(found.below)[0] if is_scored else found.below


def _is_reached(node: Any, output: Any) -> bool:
    """Return whether nothing but changes of shape lies between a node and the model's output."""
    while output is not None and node is not output and _name(node) in _VIEWS and len(_inputs(node)) == 1:
        node = _inputs(node)[0]
    return node is not None and node is output


def _activations_below(node: Any) -> Iterator[str]:
    """Yield the activations between a node and the layer below it, the nearest to the layer last."""
    for entry in _chain(node):
        if (name := _name(entry)) in _ACTIVATIONS:
            yield _ACTIVATIONS[name]


def _chain(node: Any) -> Iterator[Any]:
    """Yield the nodes below one as long as there is one way down, to the layer that comes next."""
    for _ in range(MAX_NODES):
        if node is None or _name(node) in _LAYERS:
            return
        yield node
        below = _inputs(node)
        if len(below) != 1:
            return
        node = below[0]


def _nodes(node: Any) -> Iterator[Any]:
    """Yield the nodes between a loss and the layers below it, the nearest to the loss first."""
    waiting, seen = [node], {node}
    for _ in range(MAX_NODES):
        if not waiting:
            return
        current = waiting.pop(0)
        yield current
        for entry in _inputs(current):
            if entry not in seen and _name(entry) not in _LAYERS:
                seen.add(entry)
                waiting.append(entry)


def _past_views(node: Any) -> Any:
    while _name(node) in _VIEWS and len(_inputs(node)) == 1:
        node = _inputs(node)[0]
    return node


def _inputs(node: Any) -> list[Any]:
    return [entry for entry, _ in node.next_functions if entry is not None]


def _name(node: Any) -> str:
    name: str = node.name()
    return name.split("Backward", maxsplit=1)[0]


def _shape(node: Any) -> tuple[int, ...] | None:
    try:
        return tuple(node._input_metadata[0].shape)
    except Exception:  # not there in every version
        return None


def _extent(softmax: Any) -> int | None:
    """Return over how many units a softmax goes."""
    if softmax is None or (shape := _shape(softmax)) is None:
        return None
    dimension = int(getattr(softmax, "_saved_dim", -1))
    if dimension >= 2**63:  # a negative number, as unsigned
        dimension -= 2**64
    return shape[dimension] if -len(shape) <= dimension < len(shape) else None
