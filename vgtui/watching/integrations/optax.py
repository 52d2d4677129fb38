"""For JAX, and so Flax and Equinox: optimizer = vgtui.watching.integrations.optax.watch(optax.adam(1e-3))."""

import os
from collections import deque
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vgtui.watching.errors import ArgumentError
from vgtui.watching.guarded import Guarded
from vgtui.watching.integrations.jax_norms import norms_when_due
from vgtui.watching.integrations.parameters import Path, Rows, find_rows
from vgtui.watching.integrations.reports import Reports, check_steps


class WatchState(NamedTuple):
    """The state of a watched optimizer.

    Attributes:
        count: The number of updates.
        norms: Those of the gradients, weights and updates of each layer when they were last measured, (3, layers).
        inner: The state of the optimizer itself.
    """

    count: Any
    norms: Any
    inner: Any


class Watched(optax.GradientTransformationExtraArgs):  # type: ignore[misc]
    """What `watch` returns: an optimizer with step() and close()."""

    _watching: "_Watching"

    def step(self, state: Any, loss: Any = None) -> None:
        """Say that a step is done. Nothing waits for the device.

        Args:
            state: The state that update() has returned, or what holds it, such as a TrainState of Flax.
            loss: The loss of the step.

        Raises:
            ArgumentError: There is no state of a watched optimizer in it.
        """
        self._watching.step(state, loss)

    def close(self) -> None:
        """Tell viewers that the training has ended, and complete the recording. The end of the process does so too."""
        self._watching.close()


def watch(
    optimizer: optax.GradientTransformation,
    *,
    name: str = "model",
    every: int = 25,
    layers: Sequence[str] = (),
    record: str | os.PathLike[str] | None = None,
) -> Watched:
    """Make an optimizer whose steps `vgtui attach` shows: the same updates, and the norms of each layer in its state.

    Give the parameters to update(), and call step(state, loss) after each step, outside jax.jit. Put a whole chain into
    watch(): the gradients are then those that backpropagation made, before any clipping.

    Args:
        optimizer: What makes updates of gradients.
        name: The name for `vgtui attach`.
        every: The number of steps from one measurement to the next: a compiled step does not know the time.
        layers: Names of layers, or of what holds layers, in the order of their use, such as ["embed", "layers",
            "head"]. A tree of parameters does not tell it: without it they are sorted by name.
        record: A new file that keeps every frame, for `vgtui replay`.

    Returns:
        The optimizer. Its state is a WatchState, whose `inner` is the state that it had.

    Raises:
        TypeError: An argument is plainly wrong.
    """
    check_steps(every)
    if isinstance(layers, str) or not all(isinstance(entry, str) for entry in layers):
        raise ArgumentError("layers", f"{layers!r} is not a list of names")
    inner = optax.with_extra_args_support(optimizer)
    watching = _Watching(Reports(name, "JAX", 1, record), every)

    def init(parameters: Any) -> WatchState:
        rows, _ = _rows(parameters, layers)
        return WatchState(
            jnp.zeros((), jnp.int32),
            jnp.full((3, len(rows.places)), jnp.nan, jnp.float32),
            inner.init(parameters),
        )

    def update(updates: Any, state: WatchState, params: Any = None, **extra: Any) -> tuple[Any, WatchState]:
        changes, new = inner.update(updates, state.inner, params, **extra)
        rows, leaves = _rows(updates, layers)
        watching.begin(rows, leaves)
        norms = state.norms
        if rows.places:
            groups = [_chosen(tree, rows) for tree in (updates, params, changes)]
            norms = norms_when_due(state.count, every, groups, norms)
        return changes, WatchState(state.count + 1, norms, new)

    watched = Watched(init, update)
    watched._watching = watching
    return watched


class _Watching:
    """The host's side: brings norms over when they are there."""

    def __init__(self, reports: Reports, every: int) -> None:
        self._reports = reports
        self._every = every
        self._rows = Rows((), ())
        self._about: tuple[int | None, str | None, str, str] = (None, None, "", "")
        self._calls: int | None = None
        self._waiting: deque[tuple[Any, Any, Any]] = deque()

    def begin(self, rows: Rows, leaves: Sequence[Any]) -> None:
        """Note what is trained, while the step is compiled."""
        self._rows = rows
        dtype = str(leaves[0].dtype) if leaves else ""
        self._about = sum(prod(leaf.shape) for leaf in leaves), None, jax.default_backend(), dtype

    def step(self, state: Any, loss: Any) -> None:
        found = _find(state)
        if found is None:
            raise ArgumentError("state", "holds no state of this optimizer; it takes what its update() returns")
        Guarded(self._step, self)(found, loss)

    def close(self) -> None:
        Guarded(self._deliver, self)(True)
        self._reports.close()

    def spend(self, seconds: float) -> None:
        """Take no notice: the number of steps from one measurement to the next is the user's own decision."""

    def give_up(self) -> None:
        self._reports.give_up()

    def _step(self, state: WatchState, loss: Any) -> None:
        if self._calls is None:
            self._calls = int(state.count) - 1
        calls, self._calls = self._calls, self._calls + 1
        if calls % self._every == 0 and self._reports.is_due(calls):
            # copies: the next step may be given the memory of what it is called with
            copies = [None if array is None else jnp.copy(array) for array in (state.count, state.norms, loss)]
            self._waiting.append((copies[0], copies[1], copies[2]))
        self._deliver(False)

    def _deliver(self, wait: bool) -> None:
        while self._waiting and (wait or self._waiting[0][1].is_ready()):
            count, norms, loss = self._waiting.popleft()
            step = (int(count) - 1) // self._every * self._every
            number = None if loss is None or loss.size != 1 else float(loss.reshape(()))
            if step >= 0 and self._rows.places:
                numbers = np.asarray(norms, np.float64)
                self._reports.report(step, self._rows.infos, numbers, loss=number, about=self._about)


def _find(state: Any) -> WatchState | None:
    """Return the state of a watched optimizer in whatever holds it."""
    if isinstance(state, WatchState):
        return state
    leaves = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, WatchState))
    return next((part for part in leaves if isinstance(part, WatchState)), None)


def _rows(tree: Any, first: Sequence[str]) -> tuple[Rows, list[Any]]:
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
