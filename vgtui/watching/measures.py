"""What people who train large models log of every layer, measured on the sampled step of a PyTorch model alone.

Zeros in the gradient, the optimizer's state, the gradient noise scale of accumulated micro-batches. The attention's
logits are in `attention.py`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgtui.watching.attention import AttentionLogits
from vgtui.watching.handles import MakeHook
from vgtui.watching.layers import Layer

MAX_COUNTED = 2**18
"""Entries of a gradient that are looked at for zeros; of a larger one, evenly spaced ones."""
MAX_STATE = 2**24
"""Entries of an optimizer's state that are measured, all layers together."""
MEANS = ("exp_avg", "momentum_buffer")
"""Names of the running mean of the gradients in an optimizer's state."""
SQUARES = ("exp_avg_sq", "square_avg", "sum")
"""Names of the running mean, or the sum, of their squares."""

Keep = Callable[[str, int, Tensor], None]
"""Keeps a number of a layer, by its field and the layer's index, until the sample is sent."""


class Measures:
    """What is measured beside the norms; from one sample to the next it knows how many micro-batches a step has."""

    def __init__(self, layers: Sequence[Layer], is_distributed: bool = False) -> None:
        """Prepare to measure.

        Args:
            layers: The layers of the model.
            is_distributed: Whether processes exchange gradients, so that those of a micro-batch are not seen whole.
        """
        self._layers = layers
        self._is_distributed = is_distributed
        self._attention = AttentionLogits(layers)
        self._is_armed = False
        self._expected = 0
        """The number of micro-batches of the last sample."""
        self._made: dict[int, Tensor] = {}
        """The norm of the gradient that was made last, by layer."""
        self._norms: dict[int, list[Tensor]] = {}
        """The norms of the gradients of the micro-batches, by layer."""
        self._totals: dict[int, Tensor] = {}
        """The norms of their sums."""
        self._backwards = 0
        self._samples = 0

    @property
    def look(self) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], None] | None:
        """What is to be told of each function that the forward pass calls; None if nothing is looked for."""
        return self._attention.look if self._attention.may_look else None

    def arm(self, guard: MakeHook, norm: Callable[..., Tensor]) -> Iterator[Any]:
        """Hook the coming step.

        Args:
            guard: Applied to each function that is hooked.
            norm: The norm of a tensor, on its device.

        Yields:
            A handle of each hook.
        """
        self.forget()
        self._is_armed = True
        trained = {
            index: layer.weight
            for index, layer in enumerate(self._layers)
            if layer.weight.requires_grad and layer.weight.is_leaf
        }
        if not trained or self._is_distributed:
            return
        last = max(trained)
        yield trained[last].register_post_accumulate_grad_hook(guard(self._count))
        if self._expected > 1:
            for index, weight in trained.items():
                yield weight.register_hook(guard(partial(self._note_gradient, index, norm)))
                yield weight.register_post_accumulate_grad_hook(guard(partial(self._note_total, index, norm)))

    def forget(self) -> None:
        """Drop what was gathered."""
        self._backwards = self._samples = 0
        self._made.clear()
        self._norms.clear()
        self._totals.clear()
        self._attention.forget()

    def see_inputs(self, module: nn.Module, given: Tensor) -> None:
        """Note how many samples a micro-batch has: the length of the first inputs of a layer."""
        if not self._samples and given.ndim:
            axis = 1 if isinstance(module, nn.RNNBase) and not module.batch_first and given.ndim == 3 else 0
            self._samples = given.shape[axis]

    def see_layer(self, index: int) -> None:
        """Note which layer was used last."""
        self._attention.layer = index

    def read(self, gradients: dict[int, Tensor], keep: Keep) -> None:
        """Measure the gradients of the step, and what was gathered while they were made.

        Args:
            gradients: The gradient by the index of the layer; of a sparse one, the entries that it stores.
            keep: Keeps a number.
        """
        for index, gradient in gradients.items():
            if self._layers[index].shards is not None:  # of a part of the weight
                continue
            keep("grad_zero_share", index, zero_share(gradient, self._layers[index].weight.numel()))
        for index, largest in self._attention.largest.items():
            keep("max_attention_logit", index, largest)
        count = self._backwards
        for index, total in self._totals.items():
            norms = self._norms.get(index, [])
            if len(norms) == count and self._samples:
                spread = count * torch.stack(norms).square().sum() / total.square()
                keep("noise_scale", index, self._samples * count * (spread - 1).clamp_min(0) / (count - spread))
        self._expected = count
        if self._is_armed:
            self._attention.end_step()
        self._is_armed = False
        self.forget()

    def read_state(
        self,
        optimizer: Any,
        among: Collection[int],
        keep_norms: Callable[[str, dict[int, Tensor]], None],
        keep: Keep,
    ) -> None:
        """Measure what the optimizer keeps of earlier gradients.

        Args:
            optimizer: A PyTorch optimizer, or None.
            among: The indices of the layers that are measured.
            keep_norms: Keeps the norms of tensors by the index of the layer.
            keep: Keeps a number.
        """
        state = getattr(optimizer, "state", None)
        if state is None or not hasattr(state, "get"):
            return
        means: dict[int, Tensor] = {}
        squares: dict[int, Tensor] = {}
        for index in among:
            layer = self._layers[index]
            kept = state.get(layer.weight)  # [] would make an entry
            if isinstance(kept, dict) and layer.shards is None:
                for found, names in ((means, MEANS), (squares, SQUARES)):
                    for name in names:
                        value = kept.get(name)
                        if isinstance(value, Tensor) and value.shape == layer.weight.shape:
                            found.setdefault(index, value.detach())
        if sum(value.numel() for value in (*means.values(), *squares.values())) > MAX_STATE:
            return
        keep_norms("momentum_norm", means)
        for index, value in squares.items():
            keep("second_moment_norm", index, value.sum())

    def _count(self, weight: Tensor) -> None:
        self._backwards += 1

    def _note_gradient(self, index: int, norm: Callable[..., Tensor], gradient: Tensor) -> None:
        self._made[index] = norm(gradient)

    def _note_total(self, index: int, norm: Callable[..., Tensor], weight: Tensor) -> None:
        """Take the gradient that was added to the sum; autograd.grad makes some that are not."""
        norms = self._norms.setdefault(index, [])
        if index in self._made:
            norms.append(self._made.pop(index))
        if len(norms) >= self._expected and weight.grad is not None:
            self._totals[index] = norm(weight.grad)


def zero_share(gradient: Tensor, entries: int) -> Tensor:
    """Measure which share of a gradient is exactly 0.

    Args:
        gradient: The gradient; of a sparse one, the entries that it stores.
        entries: The number of its entries.

    Returns:
        The share; of a large gradient, that of MAX_COUNTED evenly spaced entries at least.
    """
    every = entries // MAX_COUNTED
    if every > 1 and gradient.numel() == entries and gradient.is_contiguous():
        # an odd distance, which no row's length divides: zeros often fill rows and columns
        gradient = gradient.detach().view(-1)[:: every - 1 + every % 2]
        entries = gradient.numel()
    return 1 - torch.count_nonzero(gradient.detach()) / max(1, entries)


def complete(fields: dict[str, NDArray[np.float64]], is_accumulating: bool) -> None:
    """Finish what has arrived on the host, in place.

    Args:
        fields: A number for each layer by field.
        is_accumulating: Whether the step began with gradients of earlier steps, so that its sum is not its own.
    """
    if "second_moment_norm" in fields:
        fields["second_moment_norm"] = np.sqrt(fields["second_moment_norm"])
    if (noise := fields.get("noise_scale")) is not None:
        values, gradients = np.ma.getdata(noise), np.ma.getdata(fields["grad_norm"])
        with np.errstate(invalid="ignore"):  # no estimate where the noise hides the gradient, or there is none
            unknown = (values < 0) | np.isinf(values) | (gradients == 0) | is_accumulating
        fields["noise_scale"] = np.ma.MaskedArray(values, mask=np.ma.getmaskarray(noise) | unknown)
    if (logits := fields.get("max_attention_logit")) is not None:  # of a mask that leaves nothing
        fields["max_attention_logit"] = np.ma.MaskedArray(
            np.ma.getdata(logits), mask=np.ma.getmaskarray(logits) | np.isneginf(np.ma.getdata(logits))
        )
