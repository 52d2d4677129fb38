"""Which modules are to be hooked so that some layers of a model are seen: the fewer, the less a sampled step costs."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from torch import nn

from vgtui.watching.layers import Layer, is_activation


class Uses:
    """In which order a model uses its layers and activations, as its first steps have shown."""

    def __init__(self, layers: Sequence[Layer], activations: Sequence[nn.Module], used: Sequence[object]) -> None:
        """Note the order.

        Args:
            layers: The layers, in the order of their first use.
            activations: The activation modules.
            used: The modules in the order of their uses.
        """
        self._all = range(len(layers))
        self._activations = list(activations)
        self._places = {id(layer.module): place for place, layer in enumerate(layers) if layer.has_output}
        counts = Counter(map(id, used))
        steps = max(1, min((counts[key] for key in self._places if counts[key]), default=1))
        self._reused = {place for key, place in self._places.items() if counts[key] > steps}
        self._after: dict[int, dict[int, nn.Module]] = defaultdict(dict)
        current: int | None = None
        for module in used:
            if (place := self._places.get(id(module))) is not None:
                current = place
            elif current is not None and isinstance(module, nn.Module) and is_activation(module):
                self._after[current][id(module)] = module
        self._is_known = bool(counts)

    def hooked(self, turn: range) -> tuple[set[int], list[nn.Module]]:
        """Return what is to be hooked for some layers to be seen.

        The layer that is used next, and those that are used several times, are among it: what follows them is not the
        output of another.

        Args:
            turn: The places of the layers.

        Returns:
            The places of the layers to be hooked, and the activation modules.
        """
        if len(turn) == len(self._all) or not self._is_known:
            return set(self._all), self._activations
        after = next((place for place in self._all[turn.stop :] if place in self._places.values()), None)
        layers = {*turn, *self._reused, *(() if after is None else (after,))}
        found: dict[int, nn.Module] = {}
        for place in turn:
            found |= self._after.get(place, {})
        return layers, list(found.values())
