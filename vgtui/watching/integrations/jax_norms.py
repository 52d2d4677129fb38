"""Norms of arrays in a step that JAX compiles."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def norms_when_due(count: Any, every: int, groups: Sequence[Sequence[Any] | None], otherwise: Any = None) -> Any:
    """Return the norms of arrays, computed in one step of `every` alone.

    A call of the host from within the step would be simpler for users, and makes a small compiled step three times as
    slow.

    Args:
        count: The number of updates before the step.
        every: The number of steps from one measurement to the next.
        groups: Arrays, as many in each group; None for a group that is not known.
        otherwise: What to return in the other steps, (groups, arrays); NaN without it.
    """
    size = max(len(group) for group in groups if group is not None)
    unknown = jnp.full(size, jnp.nan, jnp.float32)

    def measure() -> Any:
        return jnp.stack([unknown if group is None else jnp.stack(list(map(norm, group))) for group in groups])

    kept = jnp.full((len(groups), size), jnp.nan, jnp.float32) if otherwise is None else otherwise
    return jax.lax.cond(count % every == 0, measure, lambda: kept)


def norm(values: Any) -> Any:
    """Return the Euclidean norm, scaled by the largest entry, as squares of starving layers are 0 in float32."""
    sizes = jnp.abs(values).astype(jnp.float32)
    largest = jnp.max(sizes, initial=0.0)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)
    squares = jnp.square(sizes / scale)
    for _ in range(squares.ndim):  # one axis after another: short sums lose fewer digits
        squares = squares.sum(-1)
    return scale * jnp.sqrt(squares)
