"""The largest logit of every attention of a PyTorch model, seen as its functions are called in a forward pass.

Seen are `scaled_dot_product_attention`, `nn.MultiheadAttention`, and a softmax over the last axis of scores. Logits are
computed once more from queries and keys, for a bounded number of them: the largest of a sample of queries is a lower
bound of the largest one.
"""

import logging
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from vgtui.watching.layers import Layer

log = logging.getLogger("vgtui")

MAX_LOGITS = 2**21
"""Logits of one attention that are computed: 8 MB in single precision."""
MIN_BYTES = 4
"""The size of a number in which logits are computed."""
FOUR = 4
"""Dimensions of queries and keys: samples, heads, positions, features."""

Found: TypeAlias = tuple[Sequence[Tensor], Tensor]
"""The weights that the attention itself has, and its largest logit."""


class AttentionLogits:
    """Notes the largest logit of every attention whose function is called.

    Attributes:
        layer: The index of the layer that was used last, to which an attention without weights of its own belongs.
        largest: The largest logit by the index of the layer, each a tensor.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        """Prepare to look for attention in a model with these layers."""
        self.layer: int | None = None
        self.largest: dict[int, Tensor] = {}
        self._weights = {id(layer.weight): index for index, layer in enumerate(layers)}
        self.may_look = True
        """Whether the model may have any."""
        self._has_found = False

    def look(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Look at a function that is about to be called, if it is an attention."""
        if (look := LOOKS.get(func)) is not None:
            try:
                self._note(look, args, named)
            except Exception:  # of unusual arguments, about which the function itself may complain
                log.debug("an attention that is not understood", exc_info=True)

    def end_step(self) -> None:
        """Look no more at a model whose step had no attention."""
        self.may_look = self._has_found

    def forget(self) -> None:
        """Drop what was gathered."""
        self.layer = None
        self.largest.clear()

    def _note(self, look: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not torch.is_grad_enabled():
            return
        device = next(value.device for value in (*args, *named.values()) if isinstance(value, Tensor))
        off = torch._C.DisableTorchFunction  # what we compute ourselves is none of the model's business
        with off(), torch.no_grad(), torch.autocast(device.type, enabled=False):
            found = look(*args, **named)
        if found is None:
            return
        weights, logit = found
        owners = [self._weights[id(weight)] for weight in weights if id(weight) in self._weights]
        index = owners[0] if owners else self.layer
        if index is not None:
            before = self.largest.get(index)
            self.largest[index] = logit if before is None else torch.maximum(before, logit)
            self._has_found = True


def largest_logit(
    query: Tensor, key: Tensor, *masks: Tensor, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """Compute the largest scaled logit of an attention, of those that its masks leave.

    Args:
        query: (samples, heads, queries, features).
        key: (samples, heads, keys, features), or with fewer heads that share the queries' heads evenly.
        masks: Broadcast to (samples, heads, queries, keys): true where a key takes part, or numbers to add.
        is_causal: Whether a query sees no later key.
        scale: The factor of the products; None is 1/√features.

    Returns:
        The logit, of MAX_LOGITS of them at most; −∞ if the masks leave none.
    """
    shape = (*query.shape[:3], key.shape[2])
    chosen, rows = _places(shape, query.device)
    places = (chosen[:, None], slice(None), rows[None])
    asked = _wide(query[places].transpose(1, 2)).unflatten(1, (key.shape[1], -1))
    given = _wide(key[chosen]).unsqueeze(2)
    logits = (asked @ given.mT).flatten(1, 2) * (query.shape[3] ** -0.5 if scale is None else scale)
    for mask in masks:
        seen = mask.expand(shape)[places].transpose(1, 2)
        logits = logits.masked_fill(~seen, -torch.inf) if seen.dtype == torch.bool else logits + seen
    if is_causal:
        later = torch.arange(shape[3], device=query.device) > rows[:, None]
        logits = logits.masked_fill(later, -torch.inf)
    return logits.amax()


def _of_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Found | None:
    """Look at scaled_dot_product_attention."""
    if not 2 <= query.ndim <= FOUR or query.ndim != key.ndim:
        return None
    while query.ndim < FOUR:  # heads are behind samples
        place = min(1, query.ndim - 2)
        query, key = query.unsqueeze(place), key.unsqueeze(place)
        if attn_mask is not None and attn_mask.ndim > 2:
            attn_mask = attn_mask.unsqueeze(place)
    masks = () if attn_mask is None else (attn_mask,)
    return (), largest_logit(query, key, *masks, is_causal=is_causal, scale=scale)


def _of_heads(*args: Any, **named: Any) -> Found | None:
    """Look at multi_head_attention_forward, the function of nn.MultiheadAttention."""
    given = _HEADS.bind(*args, **named)
    given.apply_defaults()
    of = given.arguments
    if of["bias_k"] is not None or of["add_zero_attn"] or of["static_k"] is not None:
        return None  # there are keys beside those of the inputs
    query, key, heads = of["query"], of["key"], of["num_heads"]
    if query.ndim == 2:
        query, key = query.unsqueeze(1), key.unsqueeze(1)
    if of["use_separate_proj_weight"]:
        weights = [of[name] for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight")]
        owners = weights
    else:
        weights = of["in_proj_weight"].chunk(3)
        owners = [of["in_proj_weight"]]
    biases = (None,) * 3 if of["in_proj_bias"] is None else of["in_proj_bias"].chunk(3)
    # positions are ahead of samples here
    shape = (query.shape[1], heads, query.shape[0], key.shape[0])
    chosen, rows = _places(shape, query.device)
    asked = functional.linear(query[rows[:, None], chosen[None]], weights[0], biases[0])
    offered = functional.linear(key[:, chosen], weights[1], biases[1])
    split = [part.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3) for part in (asked, offered)]
    masks = []
    if (mask := of["attn_mask"]) is not None:
        masks.append(mask.unflatten(0, shape[:2]) if mask.ndim == 3 else mask)
    if (padding := of["key_padding_mask"]) is not None:
        masks.append(padding.reshape(-1, 1, 1, shape[3]))
    # true is what takes no part here
    masks = [~mask if mask.dtype == torch.bool else mask for mask in masks]
    places = (chosen[:, None], slice(None), rows[None])
    return owners, largest_logit(*split, *(mask.expand(shape)[places].transpose(1, 2) for mask in masks))


def _of_softmax(scores: Tensor, dim: int | None = None, *_: Any, **__: Any) -> Found | None:
    """Look at a softmax over the last axis: of scores with heads, or of a square matrix for each sample."""
    if dim is None or dim % scores.ndim != scores.ndim - 1 or not scores.requires_grad:
        return None
    if scores.ndim != FOUR and not (scores.ndim == 3 and scores.shape[-1] == scores.shape[-2]):
        return None
    rows = scores.detach().flatten(0, -2)
    return (), _wide(rows[_spaced(len(rows), MAX_LOGITS // rows.shape[-1], rows.device)]).amax()


_HEADS = signature(functional.multi_head_attention_forward)
LOOKS: dict[Any, Callable[..., Any]] = {
    functional.scaled_dot_product_attention: _of_product,
    functional.multi_head_attention_forward: _of_heads,
    functional.softmax: _of_softmax,
    torch.softmax: _of_softmax,
    Tensor.softmax: _of_softmax,
}
"""What looks at the arguments of each function."""


def _places(shape: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Choose samples and queries of an attention, (samples, heads, queries, keys), so that MAX_LOGITS are computed."""
    samples, heads, queries, keys = shape
    chosen = _spaced(samples, MAX_LOGITS // (heads * keys), device)
    return chosen, _spaced(queries, MAX_LOGITS // (heads * keys * len(chosen)), device)


def _spaced(count: int, most: int, device: torch.device) -> Tensor:
    """Choose evenly spaced places, the last one among them."""
    most = min(count, max(most, 1))
    return (torch.arange(1, most + 1, device=device) * count).div(most, rounding_mode="floor") - 1


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.element_size() < MIN_BYTES else values
