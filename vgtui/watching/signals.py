"""The norms of the error signals of a sampled step: those of all uses of a layer, and of all passes, together."""

from collections import defaultdict

import torch
from torch import Tensor

MIN_TIMES = 4
"""Steps of time, or uses of a module in one step, of which a profile is made."""
MAX_TIMES = 1024
"""Uses of a module in one step that are kept for a profile."""
OUTSIDE = -1
"""The number of the pass of autograd's engine outside of any."""


class Signals:
    """Gathers the norm of the error signal of each use of each layer.

    A layer's norm is the root of the sum of the squares over its uses, and over the passes whose gradients add up.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._norms: dict[int, Tensor] = {}
        self._uses: dict[int, list[Tensor]] = defaultdict(list)
        self._is_new = True
        """Whether a layer was used, outside of backpropagation, since the last signal."""

    def note_use(self) -> None:
        """Note that a layer is used: a new pass follows, unless backpropagation runs the layer again."""
        if torch._C._current_graph_task_id() == OUTSIDE:
            self._is_new = True

    def add(self, index: int, norm: Tensor, gradient: Tensor | None) -> bool:
        """Add the error signal of a use of a layer.

        Args:
            index: The layer.
            norm: The norm of the signal.
            gradient: The gradient that the layer's weight has already; of a pass whose gradients are made from nothing,
                the ones before it, as those of SAM's first step, do not count.

        Returns:
            Whether it is the first one of a pass.
        """
        is_first, self._is_new = self._is_new, False
        if is_first:
            self._begin_pass(gradient)
        before = self._norms.get(index)
        self._norms[index] = norm if before is None else torch.hypot(before, norm)
        if len(uses := self._uses[index]) < MAX_TIMES:
            uses.append(norm)
        return is_first

    def _begin_pass(self, gradient: Tensor | None) -> None:
        self._uses.clear()  # the passes of several batches are no steps of time
        if gradient is None:
            self._norms.clear()
        elif self._norms:
            adds_up = torch.count_nonzero(gradient) > 0
            self._norms = {index: norm * adds_up.to(norm.device) for index, norm in self._norms.items()}

    def norms(self) -> dict[int, Tensor]:
        """Return the norm for each layer that has any."""
        return dict(self._norms)

    def profiles(self) -> dict[int, Tensor]:
        """Return the norms of each layer that was used many times in one step; the last use comes first."""
        return {index: torch.stack(uses[::-1]) for index, uses in self._uses.items() if len(uses) >= MIN_TIMES}


def reaches(weight: Tensor) -> bool:
    """Return whether the present pass of autograd's engine makes the gradient of a weight.

    One that computes other gradients does not, as that of a gradient penalty.
    """
    if not (weight.requires_grad and weight.is_leaf):
        return True
    try:
        node = torch.autograd.graph.get_gradient_edge(weight).node
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:  # a pass of autograd.grad(), which may give the weight's gradient to the caller
        return True
