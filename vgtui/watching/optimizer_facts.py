"""What an optimizer does with a gradient, as far as a verdict depends on it."""

import math
from dataclasses import dataclass
from typing import Any, Self

SECOND_MOMENTS = (
    "exp_avg_sq", "square_avg", "sum", "exp_inf", "acc_delta", "exp_avg_sq_row", "state2", "max_exp_avg_sq", "v",
)  # fmt: skip
"""Names of the state in which optimizers keep the gradient's own size, to divide by it."""
SIGNED = ("Rprop", "Lion", "SignSGD", "LARS", "LAMB", "Muon")
"""Optimizers whose step does not grow with the gradient, without such a state."""


@dataclass(frozen=True, slots=True)
class OptimizerFacts:
    """What an optimizer does with a gradient.

    Attributes:
        name: Its class; empty without one.
        is_adaptive: Whether it divides the gradient by the gradient's own size.
        learning_rate: The rate of the group with most parameters; NaN if unknown.
        weight_decay: The weight decay of that group.
        is_decoupled: Whether the decay is apart from the gradient.
    """

    name: str = ""
    is_adaptive: bool = False
    learning_rate: float = math.nan
    weight_decay: float = 0.0
    is_decoupled: bool = False

    @classmethod
    def of(cls, optimizer: Any) -> Self:
        """Read the facts of a PyTorch optimizer, or of None."""
        groups = getattr(optimizer, "param_groups", None)
        if not groups:
            return cls()
        group = groups[0]
        if len(groups) > 1:
            group = max(groups, key=lambda entry: sum(weight.numel() for weight in entry["params"]))
        name = type(optimizer).__name__
        state: dict[str, Any] = next(iter(optimizer.state.values()), {}) if optimizer.state else {}
        is_adaptive = name in SIGNED or "Ada" in name or "RMS" in name or any(key in state for key in SECOND_MOMENTS)
        return cls(
            name=name,
            is_adaptive=is_adaptive,
            learning_rate=_number(group.get("lr")),
            weight_decay=_number(group.get("weight_decay", 0.0)),
            is_decoupled="AdamW" in name or bool(group.get("decoupled_weight_decay", False)),
        )


def _number(value: Any) -> float:
    """Return a number of an optimizer's group; NaN of a tensor on another device, for which nothing waits."""
    if getattr(value, "is_cuda", False):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
