"""Which process of a distributed training differs from the others."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vgtui.wire.frames import RankInfo

MAX_FACTOR = 10.0
"""A loss or a gradient this many times the others' is odd."""
MAX_SLOWNESS = 2.0
"""A time this many times the others' is odd."""
MIN_SHARE = 0.1
"""The share of a step below which a time is no matter."""


def odd_rank(ranks: Sequence[RankInfo]) -> str:
    """Say in a sentence which rank differs from the others, "" if none does.

    Args:
        ranks: A line for each rank.
    """
    for rank in ranks:
        is_lost = rank.loss is not None and not math.isfinite(rank.loss)
        if is_lost and any(other.loss is not None and math.isfinite(other.loss) for other in ranks):
            return f"rank {rank.rank}'s loss is not finite"
    for field, word in (("loss", "loss"), ("norm", "gradient")):
        if odd := _far_off([(rank.rank, getattr(rank, field)) for rank in ranks], MAX_FACTOR):
            return f"rank {odd[0]}'s {word} is {odd[1]:.3g}, {odd[2]:.0f} times the others'"
    if odd := _far_off([(rank.rank, rank.own_seconds) for rank in ranks], MAX_SLOWNESS):
        whole = [rank.seconds for rank in ranks if rank.seconds is not None]
        if not whole or odd[1] > MIN_SHARE * float(np.median(whole)):
            return f"rank {odd[0]} is slow: {1e3 * odd[1]:.3g} ms until backpropagation, {odd[2]:.0f} times the others'"
    return ""


def _far_off(values: list[tuple[int, Any]], factor: float) -> tuple[int, float, float] | None:
    """Return the rank of the greatest value, with it and how many times it is the median of the others."""
    known = [(float(value), rank) for rank, value in values if value is not None and np.isfinite(value)]
    if len(known) < 2:
        return None
    greatest, rank = max(known)
    usual = float(np.median([value for value, other in known if other != rank]))
    return (rank, greatest, greatest / usual) if usual > 0 and greatest >= factor * usual else None
