"""One sampled step of a PyTorch model: what its hooks gather on the device, and its way to the host in one copy."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.telemetry import SATURATION_SHARE
from vgtui.watching.layers import Layer, dense

MOST_UPDATED = 2**24
"""Parameters up to which the last update is measured: it takes a copy of all weights."""
SINGLE = ("loss", "accuracy", "scale")
"""What is gathered as one number a step."""
LEAST_BYTES = 4
"""Of a number that a mean can be taken of: half precision has too few digits."""
BEFORE = "before clipping"
"""What is gathered beside the fields of LayerMeasurements: the gradients' norms as they were made."""

Hooked = Callable[[Callable[..., None]], Callable[..., None]]
"""Makes a hook of a function, one that raises nothing into the training."""


class Handle(Protocol):
    def remove(self) -> None: ...


class Sample:
    """The step after `step` updates. Everything stays on its device until `send`."""

    def __init__(self, step: int, layers: Sequence[Layer], activated: Set[int] = frozenset()) -> None:
        """activated: the layers with an activation after them, whose own outputs need not be described."""
        self.step = step
        self._activated = activated
        self.was_read = False
        self._layers = layers
        self._places = {id(layer.module): place for place, layer in enumerate(layers)}
        self._values: dict[tuple[str, int], Tensor] = {}
        self._current: int | None = None
        self._handles: list[Handle] = []
        self._weights: list[Tensor] | None = None

    def arm(self, activations: Sequence[nn.Module], hooked: Hooked, as_made: Iterable[int]) -> None:
        """Look at the outputs and error signals of the coming step; as_made: at these gradients ahead of clipping."""
        on_layer, on_activation = hooked(self._on_layer), hooked(self._on_activation)
        for layer in self._layers:
            if layer.traced:
                self._handles.append(layer.module.register_forward_hook(on_layer))
        self._handles += [module.register_forward_hook(on_activation) for module in activations]
        for place in as_made:
            weight = self._layers[place].weight
            if weight.requires_grad and weight.is_leaf:
                hook = hooked(lambda weight, place=place: self._keep(BEFORE, place, _norm(dense(weight.grad))))
                self._handles.append(weight.register_post_accumulate_grad_hook(hook))

    def disarm(self) -> None:
        """Take every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def read_gradients(self, scale: Tensor | None, with_update: bool) -> bool:
        """Take the norms of the gradients and weights as they are now. Returns whether there was any gradient.

        scale: of the loss, where a GradScaler has one. with_update: read_update() follows.
        """
        self.disarm()
        if self.was_read:  # a closure was called again, so what was looked at is of a pass before
            self._values.clear()
        self.was_read = True
        gradients = {place: layer.weight.grad for place, layer in enumerate(self._layers)}
        known = {place: dense(gradient) for place, gradient in gradients.items() if gradient is not None}
        self._keep_norms("grad_norm", known)
        weights = [layer.weight.detach() for layer in self._layers]
        self._keep_norms("weight_norm", dict(enumerate(weights)))
        if scale is not None:
            self._keep("scale", 0, scale)
        if with_update and sum(weight.numel() for weight in weights) <= MOST_UPDATED:
            self._weights = [weight.clone() for weight in weights]
        return bool(known)

    def read_update(self) -> None:
        """Take by how much the update has moved the weights."""
        if self._weights is not None:
            pairs = zip(self._layers, self._weights, strict=True)
            moved = {place: layer.weight.detach() - old for place, (layer, old) in enumerate(pairs)}
            self._keep_norms("update", moved)
            self._weights = None

    def send(self, loss: Any, accuracy: Any) -> "Arrival":
        """On the way to the host, with two numbers of the whole step, plain ones or tensors."""
        for name, value in (("loss", loss), ("accuracy", accuracy)):
            if value is not None:
                number = torch.as_tensor(value).detach()
                if not (number.is_meta or number.is_complex()):  # which are no loss, and no reason to stop
                    self._keep(name, 0, (number if number.is_floating_point() else number.float()).mean())
        return Arrival(self.step, len(self._layers), self._values)

    def _keep(self, name: str, place: int, value: Tensor) -> None:
        self._values[name, place] = value

    def _keep_norms(self, name: str, tensors: dict[int, Tensor]) -> None:
        """By one fused norm for all that are on a device."""
        for (device, _), places in _grouped(tensors).items():
            norms = torch._foreach_norm([tensors[place].detach() for place in places], 2, dtype=_wide(device))
            for place, norm in zip(places, norms, strict=True):
                self._keep(name, place, norm)

    def _on_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if not (module.training and torch.is_grad_enabled()):
            return
        self._current = place = self._places.get(id(module))
        if place is None:  # a replica, as DataParallel makes them
            return
        if (out := _tensor(output)) is not None:
            if place not in self._activated:
                self._keep_spread(place, out.detach())
            if out.requires_grad:
                out.register_hook(lambda signal: self._keep("delta_norm", place, _norm(signal)))

    def _on_activation(self, module: nn.Module, inputs: Any, output: Any) -> None:
        out, place = _tensor(output), self._current
        if out is None or place is None or not (module.training and torch.is_grad_enabled()):
            return
        values = out.detach()
        self._keep_spread(place, values)
        if isinstance(module, nn.ReLU | nn.ReLU6) and values.ndim > 1:
            axis = self._layers[place].units_axis % values.ndim
            greatest = values.amax([number for number in range(values.ndim) if number != axis])
            self._keep("dead", place, torch.count_nonzero(greatest == 0) / greatest.numel())
        elif isinstance(module, nn.Sigmoid | nn.Tanh):
            slopes = values * (1 - values) if isinstance(module, nn.Sigmoid) else 1 - values * values
            steepest = 0.25 if isinstance(module, nn.Sigmoid) else 1.0
            self._keep("derivative_rms", place, _norm(slopes) / slopes.numel() ** 0.5)
            flat = torch.count_nonzero(slopes < SATURATION_SHARE * steepest)
            self._keep("saturated", place, flat / slopes.numel())

    def _keep_spread(self, place: int, values: Tensor) -> None:
        """Mean and standard deviation."""
        if values.is_floating_point() and values.numel():
            values = values.float() if values.element_size() < LEAST_BYTES else values
            mean = values.mean()
            self._keep("activation_mean", place, mean)
            # several times faster than var_mean on the CPU, and as exact
            self._keep("activation_std", place, _norm(values - mean) / values.numel() ** 0.5)


class Arrival:
    """Numbers on their way from the devices: where a device computes behind the program's back, nobody waits for it."""

    def __init__(self, step: int, layers: int, values: dict[tuple[str, int], Tensor]) -> None:
        self.step = step
        self._layers = layers
        self._parts: list[tuple[list[tuple[str, int]], Tensor]] = []
        self._events: list[torch.cuda.Event] = []
        for (device, _), keys in _grouped(values).items():
            packed = torch.stack([values[key] for key in keys])
            if device.type == "cuda":
                host = torch.empty(len(keys), dtype=packed.dtype, pin_memory=True)
                packed = host.copy_(packed, non_blocking=True)
                event = torch.cuda.Event()
                event.record(torch.cuda.current_stream(device))
                self._events.append(event)
            self._parts.append((keys, packed))

    def is_here(self) -> bool:
        return all(event.query() for event in self._events)

    def wait(self) -> None:
        for event in self._events:
            event.synchronize()

    def numbers(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
        """By field an entry a layer, masked where unknown; and what is one number a step."""
        known: dict[str, dict[int, float]] = defaultdict(dict)
        for keys, values in self._parts:
            for (name, place), value in zip(keys, values.tolist(), strict=True):
                known[name][place] = value
        single = {name: known.pop(name)[0] for name in SINGLE if name in known}
        return {name: self._row(entries) for name, entries in known.items()}, single

    def _row(self, entries: dict[int, float]) -> NDArray[np.float64]:
        if len(entries) == self._layers:
            return np.array([entries[place] for place in range(self._layers)])
        values = [entries.get(place, 0.0) for place in range(self._layers)]
        return np.ma.MaskedArray(values, mask=[place not in entries for place in range(self._layers)])


def _grouped(tensors: dict[Any, Tensor]) -> dict[tuple[torch.device, torch.dtype], list[Any]]:
    """The keys of tensors that can be worked on as one."""
    found: dict[tuple[torch.device, torch.dtype], list[Any]] = defaultdict(list)
    for key, tensor in tensors.items():
        found[tensor.device, tensor.dtype].append(key)
    return found


def _norm(values: Tensor) -> Tensor:
    """The Euclidean norm; squares are summed in float64, as in float32 those of starving layers are 0."""
    values = torch.view_as_real(values.detach().resolve_conj()) if values.is_complex() else values.detach()
    return torch.linalg.vector_norm(values, dtype=_wide(values.device))


def _wide(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # which has no float64


def _tensor(output: Any) -> Tensor | None:
    """The tensor that a module gives, the first of several."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None
