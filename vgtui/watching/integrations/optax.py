"""For JAX, and so Flax and Equinox: optimizer = vgtui.watching.integrations.optax.watch(optax.adam(1e-3))."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vgtui.watching.errors import ArgumentError
from vgtui.watching.integrations.parameters import Path, Rows, find_rows
from vgtui.watching.integrations.reports import Reports, check_steps

FRAMEWORK = "JAX"


class WatchState(NamedTuple):
    """The number of updates, and the state of the optimizer that is watched."""

    count: Any
    inner: Any


class Watched(optax.GradientTransformationExtraArgs):  # type: ignore[misc]
    """An optimizer that is watched."""

    _reports: Reports

    @property
    def path(self) -> str | None:
        """The socket that viewers attach to; None if there is none."""
        return self._reports.path

    def close(self) -> None:
        """Tell viewers that the training has ended, and complete the recording. The end of the process does so too."""
        jax.effects_barrier()  # norms of the last steps may be on their way
        self._reports.close()


def watch(
    optimizer: optax.GradientTransformation,
    *,
    name: str = "model",
    every: int = 10,
    layers: Sequence[str] = (),
    record: str | os.PathLike[str] | None = None,
) -> Watched:
    """Make a gradient transformation that changes nothing and reports the norms of each layer to `vgtui attach`.

    Give the parameters to update(), and the loss as `value=loss` to have it shown. It works inside jax.jit, where the
    norms are computed in every step that is reported, and nothing waits for them. In optax.chain, put the whole chain
    into watch(): the gradients are then those that backpropagation made, before any clipping.

    Args:
        optimizer: What makes updates of gradients.
        name: The name for `vgtui attach`.
        every: The number of steps from one report to the next: a compiled step does not know the time.
        layers: Names of layers, or of what holds layers, in the order of their use, such as ["embed", "layers",
            "head"]. A tree of parameters does not tell it: without it they are sorted by name.
        record: A new file that keeps every frame, for `vgtui replay`.

    Returns:
        The same optimizer, whose state counts the updates too: WatchState.inner is the state that it had.

    Raises:
        TypeError: An argument is plainly wrong.
    """
    check_steps(every)
    if isinstance(layers, str) or not all(isinstance(entry, str) for entry in layers):
        raise ArgumentError("layers", f"{layers!r} is not a list of names")
    inner = optax.with_extra_args_support(optimizer)
    reports = Reports(name, FRAMEWORK, 1, record)

    def init(parameters: Any) -> WatchState:
        return WatchState(jnp.zeros((), jnp.int32), inner.init(parameters))

    def update(gradients: Any, state: WatchState, params: Any = None, **extra: Any) -> tuple[Any, WatchState]:
        updates, new = inner.update(gradients, state.inner, params, **extra)
        rows, leaves = _rows(gradients, layers)
        if rows.places:
            groups = [_chosen(tree, rows) for tree in (gradients, params, updates)]
            report = partial(_report, reports, rows, _about(leaves))
            report_norms(state.count, every, groups, report, extra.get("value"))
        return updates, WatchState(state.count + 1, new)

    watched = Watched(init, update)
    watched._reports = reports
    return watched


def report_norms(
    count: Any, every: int, groups: Sequence[Sequence[Any] | None], report: Callable[..., None], *more: Any
) -> None:
    """Call a function with the norms of arrays, in this step or in a compiled one, if it is one to be reported.

    Args:
        count: The number of updates before the step.
        every: The number of steps from one report to the next.
        groups: Arrays, as many in each group; None for a group that is not known.
        report: Is called on the host with the count, the norms, (groups, arrays), and `more`. It must raise nothing.
        more: Further arrays.
    """
    size = max(len(group) for group in groups if group is not None)

    def tell() -> None:
        norms = [
            jnp.full(size, jnp.nan, jnp.float32) if group is None else jnp.stack([_norm(array) for array in group])
            for group in groups
        ]
        jax.debug.callback(report, count, jnp.stack(norms), *more)

    jax.lax.cond(count % every == 0, tell, lambda: None)


def _report(reports: Reports, rows: Rows, about: tuple[Any, ...], count: Any, norms: Any, loss: Any) -> None:
    step = int(count)
    if reports.is_due(step):
        number = None if loss is None or np.size(loss) != 1 else float(np.asarray(loss).reshape(()))
        reports.report(step, rows.infos, np.asarray(norms, np.float64), loss=number, about=about)


def _rows(tree: Any, first: Sequence[str] = ()) -> tuple[Rows, list[Any]]:
    """Return the layers that are shown of a tree of arrays, and its leaves."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    paths = [_path(keys) for keys, _ in found]
    shapes = [tuple(leaf.shape) for _, leaf in found]
    return find_rows(paths, shapes, is_ordered=False, first=first), [leaf for _, leaf in found]


def _path(keys: Sequence[Any]) -> Path:
    """Return the words of a path, without those that every parameter of Flax has."""
    words = [getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))) for key in keys]
    if len(words) > 1 and words[0] == "params":
        words = words[1:]
    if len(words) > 1 and words[-1] == "value":
        words = words[:-1]
    return tuple(words)


def _chosen(tree: Any, rows: Rows) -> list[Any] | None:
    """Return the arrays of a tree that are shown; None without a tree."""
    leaves = jax.tree.leaves(tree)
    return [leaves[place] for place in rows.places] if leaves else None


def _norm(values: Any) -> Any:
    """Return the Euclidean norm, scaled by the largest entry, as squares of starving layers are 0 in float32."""
    sizes = jnp.abs(values).astype(jnp.float32)
    largest = jnp.max(sizes, initial=0.0)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)
    squares = jnp.square(sizes / scale)
    for _ in range(squares.ndim):  # one axis after another: short sums lose fewer digits
        squares = squares.sum(-1)
    return scale * jnp.sqrt(squares)


def _about(leaves: Sequence[Any]) -> tuple[int, None, str, str]:
    return sum(prod(leaf.shape) for leaf in leaves), None, jax.default_backend(), str(leaves[0].dtype)
