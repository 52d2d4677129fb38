"""The layers of a model that is known by its parameters alone: their paths, shapes and order."""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import prod

from vgtui.wire.frames import LayerInfo

MAIN = ("kernel", "weight", "embedding", "embeddings", "scale", "gamma", "w")
"""The words for the main weight of a layer, which its name leaves out."""
EMBEDDINGS = ("embedding", "embeddings")
LAST_IS_OUTPUT = ("kernel",)
"""Weights whose last axis is that of the outputs; of others it is the first."""
MATRIX = 2
"""The dimensions from which a weight may mix inputs."""

Path = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The layers to be shown.

    Attributes:
        places: The place of each one's weight among all parameters.
        infos: What a header says of each.
    """

    places: tuple[int, ...]
    infos: tuple[LayerInfo, ...]


def find_rows(
    paths: Sequence[Path], shapes: Sequence[tuple[int, ...]], *, is_ordered: bool = True, first: Sequence[str] = ()
) -> Rows:
    """Choose the parameters that are shown: each with two dimensions or more, and one of each layer without any.

    Args:
        paths: The path of each parameter, such as ("encoder", 0, "kernel").
        shapes: Its shape.
        is_ordered: Whether the parameters are in the order of their use. Otherwise they are sorted by their names, with
            Dense_2 ahead of Dense_10.
        first: Names of layers, or of what holds layers, in the order of their use; those that are not named follow.
    """
    groups: dict[Path, list[int]] = defaultdict(list)
    for place, path in enumerate(paths):
        groups[path[:-1]].append(place)
    chosen: list[int] = []
    for places in groups.values():
        matrices = [place for place in places if len(shapes[place]) >= MATRIX]
        chosen += matrices or [max(places, key=lambda place: (paths[place][-1:] in _MAIN_ENDS, prod(shapes[place])))]
    chosen.sort(key=lambda place: (_rank(paths[place], first), [] if is_ordered else _natural(paths[place]), place))
    parents = Counter(paths[place][:-1] for place in chosen)
    return Rows(
        tuple(chosen),
        tuple(_info(paths[place], shapes[place], parents[paths[place][:-1]] == 1) for place in chosen),
    )


def _info(path: Path, shape: tuple[int, ...], is_alone: bool) -> LayerInfo:
    word = str(path[-1]) if path else ""
    shown = path[:-1] if is_alone and word in MAIN and len(path) > 1 else path
    if len(shape) < MATRIX:
        fan_in = fan_out = prod(shape)
    elif word in LAST_IS_OUTPUT:
        fan_in, fan_out = prod(shape[:-1]), prod(shape[:-2]) * shape[-1]
    else:
        fan_in, fan_out = prod(shape[1:]), shape[0] * prod(shape[2:])
    if is_embedding := word in EMBEDDINGS:
        fan_in, fan_out = shape[0], shape[-1]
    return LayerInfo(
        ".".join(map(str, shown)) or "model",
        fan_in,
        fan_out,
        shape=shape,
        is_matrix=len(shape) >= MATRIX and not is_embedding,
    )


def _rank(path: Path, first: Sequence[str]) -> int:
    """Return the place of the longest name in `first` with which a path begins."""
    name = ".".join(map(str, path)) + "."
    found = [(-len(entry), place) for place, entry in enumerate(first) if name.startswith(entry.rstrip(".") + ".")]
    return min(found)[1] if found else len(first)


def _natural(path: Path) -> list[list[tuple[int, int | str]]]:
    """Sort numbers in names by their value."""
    return [
        [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"([0-9]+)", str(word)) if part]
        for word in path
    ]


_MAIN_ENDS = {(word,) for word in MAIN}
