"""The layers of somebody's own model as an outline: by their names, in groups by module that fold and unfold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgtui.recordings.frames import LayerInfo
from vgtui.text import plain

LONGEST_LABEL = 20
LEAST_KIND = 12
LEAST_OF_GROUP = 2
SHORT = {"MultiheadAttention": "Attention"}
"""Kinds in fewer letters."""


class Outline:
    """names: of the layers from the input. A folded group, a prefix of names, shows the one that gets the least.

    rows: the layers that are shown, from the input.
    """

    def __init__(self, layers: Sequence[LayerInfo], folded: Sequence[str] = ()) -> None:
        self.names = [plain(layer.name) for layer in layers]
        self.kinds = [plain(layer.kind) for layer in layers]
        self.shapes = ["×".join(map(str, layer.shape)) for layer in layers]
        self.folded = {group for group in folded if len(self._inside(group)) >= LEAST_OF_GROUP}
        self.rows: Sequence[int] = range(len(self.names))
        self._shown_for: dict[int, str] = {}

    @property
    def width(self) -> int:
        """Cells that the longest label takes, within bounds."""
        return min(max(map(len, self.names)), LONGEST_LABEL)

    @property
    def kind_width(self) -> int:
        """Cells for kinds and shapes: what the labels leave of theirs is for them too."""
        longest = max(len(self.kind(layer, 99)) for layer in range(len(self.names)))
        return max(LEAST_KIND, min(longest, LEAST_KIND + LONGEST_LABEL - self.width))

    def label(self, layer: int) -> str:
        """The layer's name, or that of the folded group that it stands for; the end of it, where it is long."""
        group = self._shown_for.get(layer)
        words = self.names[layer] if group is None else f"{group} +{len(self._inside(group)) - 1}"
        return words if len(words) <= self.width else f"…{words[1 - self.width :]}"

    def kind(self, layer: int, room: int) -> str:
        """A layer's kind and the shape of its weight, as far as there is room."""
        kind = SHORT.get(self.kinds[layer], self.kinds[layer])
        whole = f"{kind} {self.shapes[layer]}"
        return whole if len(whole) <= room else kind[:room]

    def fit(self, norms: NDArray[np.float64]) -> None:
        """Let folded groups be shown by the layers that get the least gradient of these."""
        if not self.folded:
            self.rows, self._shown_for = range(len(self.names)), {}
            return
        values = np.ma.filled(np.ma.masked_invalid(norms), np.inf)
        shown: dict[int, str | None] = {}
        done: set[str] = set()
        for layer in range(len(self.names)):
            group = self.group_of(layer)
            if group is None:
                shown[layer] = None
            elif group not in done:
                done.add(group)
                shown[min(self._inside(group), key=lambda inside: (values[inside], inside))] = group
        self.rows = sorted(shown)
        self._shown_for = {layer: group for layer, group in shown.items() if group is not None}

    def group_of(self, layer: int) -> str | None:
        """The outermost folded group that a layer is in."""
        return next((prefix for prefix in self._prefixes(layer) if prefix in self.folded), None)

    def row_of(self, layer: int) -> int:
        """The layer that is shown where this one is."""
        group = self.group_of(layer)
        return next((shown for shown, name in self._shown_for.items() if name == group), layer) if group else layer

    def toggle(self, layer: int) -> str | None:
        """Unfold the group that a row stands for, or fold the smallest that its layer is in. Returns it, if any."""
        if group := self.group_of(layer):
            self.folded.discard(group)
            return group
        group = next(reversed(self._prefixes(layer)), None)
        if group is not None:
            self.folded.add(group)
        return group

    def fold_around(self, layer: int) -> str | None:
        """Fold the group around what a row stands for. Returns it, if there is one."""
        present = self.group_of(layer)
        prefixes = self._prefixes(layer)
        outer = prefixes[: prefixes.index(present)] if present else prefixes
        if not outer:
            return None
        self.folded.add(outer[-1])
        return outer[-1]

    def toggle_all(self) -> None:
        """Fold every outermost group, or where anything is folded, unfold all."""
        if self.folded:
            self.folded.clear()
        else:
            self.folded = {prefixes[0] for layer in range(len(self.names)) if (prefixes := self._prefixes(layer))}

    def show(self, layer: int) -> None:
        """Unfold whatever hides a layer."""
        while group := self.group_of(layer):
            self.folded.discard(group)

    def _prefixes(self, layer: int) -> list[str]:
        """The groups that a layer is in, the outermost first; one that holds all layers says nothing."""
        parts = self.names[layer].split(".")
        found: list[str] = []
        size = len(self.names)
        for group in (".".join(parts[:length]) for length in range(1, len(parts))):
            inside = len(self._inside(group))
            if LEAST_OF_GROUP <= inside < size:  # one that holds as many as the group around it is the same group
                found.append(group)
                size = inside
        return found

    def _inside(self, group: str) -> list[int]:
        return [layer for layer, name in enumerate(self.names) if name.startswith(f"{group}.")]
