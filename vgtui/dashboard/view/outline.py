"""The named layers of a watched model as an outline: groups by module, which fold and unfold."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgtui.terminal.text import plain
from vgtui.wire.frames import LayerInfo

MAX_LABEL_WIDTH = 20
MIN_WORD = 2
"""Characters of a shortened word of a name, with the dot behind it."""
MIN_KIND_WIDTH = 12
"""In cells."""
MIN_GROUP_SIZE = 2
SEPARATORS = "./_"
"""Between the words of a name; those of a name are separated by the first of these that it has."""
SHORT = {"MultiheadAttention": "Attention"}
"""Short names of long kinds."""


class Outline:
    """The rows of a model with named layers. A folded group shows only the layer with the smallest gradient.

    Args:
        layers: The layers, from the input.
        folded: The groups to fold: prefixes of names, such as "encoder.layers".

    Attributes:
        names: The names of the layers, from the input.
        kinds: The kind of each layer.
        shapes: The shape of each layer's weight, as text.
        folded: The folded groups.
        rows: The layers that have a row, from the input.
        width: The width of labels in cells.
        kind_width: The width of kinds and shapes in cells.
    """

    def __init__(self, layers: Sequence[LayerInfo], folded: Sequence[str] = ()) -> None:
        self.names = [plain(layer.name) for layer in layers]
        self.kinds = [plain(layer.kind) for layer in layers]
        self.shapes = ["×".join(map(str, layer.shape)) for layer in layers]
        self._inside, self._groups = _groups_of(self.names)
        self.folded = self._inside.keys() & set(folded)
        self.rows: Sequence[int] = range(len(self.names))
        self._shown_for: dict[int, str] = {}
        labels = [*self.names, *map(self._group_label, self._inside)]
        self.width = min(max(map(len, labels)), MAX_LABEL_WIDTH)
        longest = max(len(self._kind_and_shape(layer)) for layer in self.rows)
        # kinds and shapes also get the cells that labels leave
        self.kind_width = max(MIN_KIND_WIDTH, min(longest, MIN_KIND_WIDTH + MAX_LABEL_WIDTH - self.width))

    def label(self, layer: int) -> str:
        """The name of a layer, or of the folded group that it represents, shortened where it is long."""
        group = self._shown_for.get(layer)
        if group is None:
            return shortened_name(self.names[layer], self.width)
        count = self._group_label(group).removeprefix(group)
        return shortened_name(group, self.width - len(count)) + count

    def _group_label(self, group: str) -> str:
        return f"{group} +{len(self._inside[group]) - 1}"

    def kind(self, layer: int) -> str:
        """A layer's kind and the shape of its weight, shortened to the room."""
        whole = self._kind_and_shape(layer)
        return whole if len(whole) <= self.kind_width else self._short_kind(layer)[: self.kind_width]

    def _kind_and_shape(self, layer: int) -> str:
        return f"{self._short_kind(layer)} {self.shapes[layer]}"

    def _short_kind(self, layer: int) -> str:
        return SHORT.get(self.kinds[layer], self.kinds[layer])

    def fit(self, norms: NDArray[np.float64]) -> None:
        """Choose the layer that represents each folded group.

        Args:
            norms: The gradient norm of each layer; the smallest in a group represents it.
        """
        if not self.folded:
            self.rows, self._shown_for = range(len(self.names)), {}
            return
        values = np.ma.filled(np.ma.masked_invalid(norms), np.inf).tolist()
        shown: dict[int, str | None] = {}
        done: set[str] = set()
        for layer in range(len(self.names)):
            group = self.group_of(layer)
            if group is None:
                shown[layer] = None
            elif group not in done:
                done.add(group)
                shown[min(self._inside[group], key=lambda inside: (values[inside], inside))] = group
        self.rows = sorted(shown)
        self._shown_for = {layer: group for layer, group in shown.items() if group is not None}

    def group_of(self, layer: int) -> str | None:
        """The outermost folded group that contains a layer."""
        return next((prefix for prefix in self._groups[layer] if prefix in self.folded), None)

    def row_of(self, layer: int) -> int:
        """The layer that has the row of this layer."""
        group = self.group_of(layer)
        return next((shown for shown, name in self._shown_for.items() if name == group), layer) if group else layer

    def toggle(self, layer: int) -> str | None:
        """Unfold the group that a row represents, or fold the innermost one around it; returns the group, if any."""
        if group := self.group_of(layer):
            self.folded.discard(group)
            return group
        group = next(reversed(self._groups[layer]), None)
        if group is not None:
            self.folded.add(group)
        return group

    def fold_around(self, layer: int) -> str | None:
        """Fold the group around a row; returns the group, if any."""
        present = self.group_of(layer)
        prefixes = self._groups[layer]
        outer = prefixes[: prefixes.index(present)] if present else prefixes
        if not outer:
            return None
        self.folded.add(outer[-1])
        return outer[-1]

    def toggle_all(self) -> None:
        """Unfold all groups if any is folded; otherwise fold the outermost ones."""
        if self.folded:
            self.folded.clear()
        else:
            self.folded = {groups[0] for groups in self._groups if groups}

    def show(self, layer: int) -> None:
        """Unfold the groups that hide a layer."""
        while group := self.group_of(layer):
            self.folded.discard(group)


MIN_TIED_WIDTH = 8
"""The minimum width to say that a weight has other names."""


@lru_cache(maxsize=4096)
def shortened_name(name: str, width: int) -> str:
    """A layer's name in at most this width, with its end, and with the numbers that tell blocks apart.

    Left out first is what is ahead of the number of the block, then the ends of the words after it. Of a weight that
    several modules share, the first one is named, and a + stands for the others.

    Args:
        name: The name, of words and numbers with dots, slashes or underscores between them.
        width: The number of cells, at least 4.
    """
    if len(name) <= width:
        return name
    name, tied, _ = name.partition(" + ")
    if tied and width > MIN_TIED_WIDTH:
        return f"{shortened_name(name, width - 2)} +"
    separator = next((sign for sign in SEPARATORS if sign in name), SEPARATORS[0])
    words = [f"{word}{separator}" for word in name.split(separator)]
    words[-1] = words[-1][:-1]
    numbered = [place for place, word in enumerate(words[:-1]) if _has_number(word)]
    kept = words[numbered[0] :] if numbered else words
    room = width - 1
    if not numbered or len("".join(kept)) <= room:
        return f"…{name[-room:]}"
    while (over := len("".join(kept)) - room) > 0:
        long = [place for place, word in enumerate(kept[:-1]) if len(word) > MIN_WORD and not _has_number(word)]
        if not long:
            break
        place = max(long, key=lambda place: len(kept[place]))
        word = kept[place]
        kept[place] = word[: max(len(word) - over - 1, MIN_WORD - 1)] + word[-1]
    words_ahead = "".join(kept[:-1])
    end = kept[-1][-max(room - len(words_ahead), 1) :]
    return f"…{words_ahead[: room - len(end)]}{end}"


def _has_number(word: str) -> bool:
    return any(map(str.isdecimal, word))


def _groups_of(names: Sequence[str]) -> tuple[dict[str, list[int]], list[list[str]]]:
    """Group layers by the prefixes of their names.

    Left out are groups of one layer, and groups with as many layers as the enclosing group or the model.

    Returns:
        The layers in each group, and the groups of each layer, the outermost first.
    """
    inside: dict[str, list[int]] = {}
    prefixes = [
        [".".join(parts[:length]) for length in range(1, len(parts))] for parts in (n.split(".") for n in names)
    ]
    for layer, groups in enumerate(prefixes):
        for group in groups:
            inside.setdefault(group, []).append(layer)
    kept: list[list[str]] = []
    for groups in prefixes:
        size, found = len(names), []
        for group in groups:
            if MIN_GROUP_SIZE <= len(inside[group]) < size:
                found.append(group)
                size = len(inside[group])
        kept.append(found)
    return {group: inside[group] for groups in kept for group in groups}, kept
