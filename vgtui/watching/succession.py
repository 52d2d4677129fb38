"""Watchers that follow one another in a process, as in a notebook whose cell is run again."""

import weakref
from typing import Protocol


class Watching(Protocol):
    """What a watcher is asked here."""

    @property
    def updates(self) -> int:
        """How many updates it has seen."""

    def close(self) -> None:
        """End it."""


_living: "weakref.WeakKeyDictionary[Watching, tuple[str, type, int]]" = weakref.WeakKeyDictionary()
"""Those that have not ended, with what tells whether one follows another: a name, and a model's class and identity."""


class Succession:
    """Ends the watchers whose place a new one takes.

    These are those of the same name and the same class of model that watch the same model, or whose model is trained no
    more: it had no update between the beginning of the new watcher and its first update.
    """

    def __init__(self, watcher: Watching, name: str, model: object) -> None:
        """Begin a watcher; those of the same model end."""
        mine = (name, type(model), id(model))
        self._earlier: list[tuple[weakref.ref[Watching], int]] = []
        for other, its in list(_living.items()):
            if its == mine:
                other.close()
            elif its[:2] == mine[:2]:
                self._earlier.append((weakref.ref(other), other.updates))
        _living[watcher] = mine

    def take_place(self) -> None:
        """End the earlier ones that are trained no more, at the first update."""
        earlier, self._earlier = self._earlier, []
        for reference, updates in earlier:
            other = reference()
            if other is not None and other in _living and other.updates == updates:
                other.close()


def end(watcher: Watching) -> None:
    """Forget a watcher that has ended."""
    _living.pop(watcher, None)
