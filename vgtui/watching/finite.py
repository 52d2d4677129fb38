"""Which module of a sampled step is the first whose output, or whose gradient, is not finite.

Every tensor that a module is given or gives is looked at once: its sum is not finite if an entry is not, and reaches
the host with all else that is sampled. What lies between two modules is the code of the module that calls them.
"""

import math
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.observations import Observations, Origin
from vgtui.watching.handles import Handle, MakeHook

SUMS, LOSSES = "sums", "losses"
"""What a sampled step has many numbers of: tensors between modules, and steps before it."""
MAX_STEPS = 100
"""Steps that are sampled, due or not, to find where a number came from that is not finite."""
FIRST_SAMPLES, EVERY_SAMPLE = 4, 8
"""Sampled steps at the beginning that are looked at, and of later ones each so many."""
MAX_TENSORS = 10_000
"""Tensors that are looked at in one step, and gradients: a module may be called without end."""
ADDABLE = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
HALF = frozenset({torch.float16, torch.bfloat16})
PLAIN = (Tensor, nn.Parameter)
"""Not of a subclass: one that is spread over processes has no sum here."""
PRODUCTS = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear, nn.Identity, nn.modules.dropout._DropoutNd, nn.Flatten)
"""Modules that make no number that is not finite of gradients that are."""


@dataclass(slots=True)
class _Seen:
    """A tensor between modules.

    Attributes:
        maker: The module whose output it is; None if it was made by other code.
        caller: The module in whose code it was made, or that called its maker; None outside the model.
        is_computed: Whether it has a gradient. One that has none may be a mask, of which ∞ is a part.
        takers: The modules that were given it.
    """

    maker: str | None
    caller: str | None
    is_computed: bool
    takers: list[str] = field(default_factory=list)


class FirstNonFinite:
    """Looks at what goes through the modules of a model during one step."""

    def __init__(self, modules: Mapping[str, nn.Module] | None = None) -> None:
        """Prepare to look at a step.

        Args:
            modules: The modules that are hooked, by their dotted names.
        """
        self._modules = modules or {}
        self._names: dict[int, str] = {}
        self._handles: list[Handle] = []
        self._calls: list[str] = []
        """The modules that are being called, the innermost last."""
        self._seen: list[_Seen] = []
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        """Where a tensor is among those seen, by its id."""
        self._outputs: list[Tensor] = []
        self._signals: list[Tensor] = []
        self._places: list[int] = []
        """For each signal, of which tensor it is the gradient."""
        self._guard: MakeHook = lambda function: function

    def arm(self, make_hook: MakeHook) -> None:
        """Hook the modules for the coming step.

        Args:
            make_hook: Applied to each function that is hooked.
        """
        self._guard = make_hook
        self._names = {id(module): name for name, module in self._modules.items()}
        before, after = make_hook(self._before), make_hook(self._after)
        for module in self._modules.values():
            self._handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            self._handles.append(module.register_forward_hook(after, with_kwargs=True))

    def disarm(self) -> None:
        """Take every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._known.clear()

    def forget(self) -> None:
        """Drop all that was seen, as the gradients were made again since."""
        self._known.clear()
        for gathered in (self._seen, self._outputs, self._signals, self._places):
            gathered.clear()

    def sums(self) -> Tensor | None:
        """Return the sums of all outputs, then those of all signals, on one device; None without any."""
        found, self._outputs, self._signals = [*self._outputs, *self._signals], [], []
        if not found:
            return None
        device = found[-1].device
        return torch.stack([value if value.device == device else value.to(device) for value in found])

    def origin(self, sums: NDArray[np.float64]) -> Origin | None:
        """Say where the first number that is not finite came from.

        Args:
            sums: What sums() has returned, on the host.

        Returns:
            The module, and in which pass; None if nothing was seen that cannot be.
        """
        outputs, signals = sums[: len(self._seen)], sums[len(self._seen) :]
        computed = np.array([seen.is_computed for seen in self._seen], dtype=bool)
        broken = np.isnan(outputs) | (np.isposinf(outputs) & computed)
        if broken.any():
            seen = self._seen[int(np.argmax(broken))]
            # -∞ alone may be a mask, as long as nothing is made of it that is worse
            masked = [self._seen[place] for place in np.flatnonzero(np.isneginf(outputs) & computed)]
            return _of_output(next((one for one in masked if seen.maker in one.takers), seen))
        if not np.isfinite(signals).all():
            return self._of_gradient(self._seen[self._places[int(np.argmin(np.isfinite(signals)))]])
        return None

    def _of_gradient(self, seen: _Seen) -> Origin:
        """Say what has made the gradient of a tensor from finite ones: what was given it, or the code around."""
        if not seen.takers and seen.caller is None:
            return Origin("loss", "")
        # of two modules, one of which is in the other, the inner one; products of finite numbers are finite
        doubtful = [name for name in seen.takers if not isinstance(self._modules[name], PRODUCTS)]
        if not doubtful and seen.takers and isinstance(self._modules.get(seen.caller or ""), nn.Sequential):
            doubtful = seen.takers
        return Origin("gradient", doubtful[-1] if doubtful else (seen.caller or ""))

    def _before(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        name = self._names.get(id(module))
        if name is None or not torch.is_grad_enabled():
            return
        if not name:
            self._calls.clear()
        for tensor in _tensors((given, named)):
            if (seen := self._look(tensor, None)) is not None:
                seen.takers.append(name)
        self._calls.append(name)

    def _after(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        name = self._names.get(id(module))
        if name is None or not torch.is_grad_enabled():
            return
        while self._calls and self._calls.pop() != name:  # a call that was broken off has no end
            pass
        for tensor in _tensors(output):
            if (seen := self._look(tensor, name)) is not None:
                seen.caller = self._calls[-1] if self._calls else None

    def _look(self, tensor: Tensor, maker: str | None) -> _Seen | None:
        """Look at a tensor if it is a new one, and return what is known of it."""
        reference, place = self._known.get(id(tensor), (None, 0))
        if reference is not None and reference() is tensor:
            return self._seen[place]
        if len(self._seen) >= MAX_TENSORS:
            return None
        place = len(self._seen)
        seen = _Seen(maker, self._calls[-1] if self._calls else None, tensor.requires_grad)
        self._known[id(tensor)] = weakref.ref(tensor), place
        self._seen.append(seen)
        self._outputs.append(_sum(tensor))
        if tensor.requires_grad:
            tensor.register_hook(self._guard(partial(self._on_signal, place)))
        return seen

    def _on_signal(self, place: int, signal: Tensor) -> None:
        if len(self._places) < MAX_TENSORS and type(signal) is Tensor and signal.dtype in ADDABLE:
            self._places.append(place)
            self._signals.append(_sum(signal))


class Losses:
    """The losses of all steps, measured or not: at which of them was the first that is not finite?"""

    def __init__(self) -> None:
        self.broken_from: int | None = None
        """The step of the first loss that is not finite."""
        self._waiting: list[tuple[int, Tensor]] = []
        """Those on a device, which nobody waits for."""
        self._sent: deque[list[int]] = deque()

    def add(self, step: int, loss: Any) -> None:
        """Take in the loss of a step. Whatever is not one number is passed over."""
        if self.broken_from is not None or isinstance(loss, bool):
            return
        if isinstance(loss, Tensor):
            if type(loss) not in PLAIN or loss.numel() != 1 or loss.dtype not in ADDABLE or loss.is_meta:
                return
            if loss.device.type != "cpu":
                if len(self._waiting) < MAX_TENSORS:  # a loss may be written over, as by a CUDA graph
                    self._waiting.append((step, loss.detach().reshape(()).float().clone()))
                return
            loss = loss.item()
        if isinstance(loss, Real) and not math.isfinite(loss):
            self.broken_from = step

    def send(self) -> Tensor | None:
        """Return those that are on a device, as one tensor there."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return None
        self._sent.append([step for step, _ in waiting])
        device = waiting[-1][1].device
        return torch.stack([loss.to(device) for _, loss in waiting])

    def arrived(self, losses: NDArray[np.float64]) -> None:
        """Take in what send() has returned, on the host."""
        for step, loss in zip(self._sent.popleft(), losses.tolist(), strict=True):
            if self.broken_from is None and not math.isfinite(loss):
                self.broken_from = step


class Search:
    """Decides which steps are sampled to find where the first number came from that is not finite.

    Attributes:
        modules: The modules that can be hooked, by their dotted names.
        first: What goes through the modules in the first step, of which the layers are not known yet.
    """

    def __init__(self, modules: Mapping[str, nn.Module] | None = None) -> None:
        """Begin a search.

        Args:
            modules: The modules that can be hooked, by their dotted names.
        """
        self.modules = modules or {}
        self.first = self.trail()
        self._losses = Losses()
        self.goes_on = False
        """Whether a number was seen that is not finite, and not yet where it came from."""
        self._samples = 0
        self._steps = 0
        """How many steps were sampled."""

    def trail(self) -> FirstNonFinite:
        """Return what looks at a step."""
        return FirstNonFinite(self.modules)

    def looks_closely(self, is_exact: bool, is_whole: bool) -> bool:
        """Return whether the coming sampled step looks at every module, which is dear: a few do.

        Args:
            is_exact: Whether the user has said which steps are sampled: then each is looked at.
            is_whole: Whether it measures all layers.
        """
        self._samples += 1
        is_turn = self._samples <= FIRST_SAMPLES or self._samples % EVERY_SAMPLE == 0
        return self.goes_on or (is_whole and (is_exact or is_turn))

    def add_loss(self, step: int, loss: Any) -> None:
        """Take in the loss of a step, sampled or not."""
        was_sound = self._losses.broken_from is None
        self._losses.add(step, loss)
        self.goes_on |= was_sound and self._losses.broken_from is not None

    def losses(self) -> Tensor | None:
        """Return the losses that are still on their device, for arrived()."""
        return self._losses.send()

    def wants(self) -> bool:
        """Return whether the coming step is to be sampled, due or not, and count it."""
        wants = self.goes_on and self._steps < MAX_STEPS
        self._steps += wants
        return wants

    def arrived(
        self,
        seen: Observations,
        trail: FirstNonFinite,
        fields: Mapping[str, NDArray[np.float64]],
        many: Mapping[str, NDArray[np.float64]],
    ) -> Observations:
        """Add to what was seen of a step where the first number came from, and decide whether the search goes on.

        Args:
            seen: What was seen of it.
            trail: What went through its modules.
            fields: A number for each layer by field.
            many: The sums of `trail` and the losses that were sent, by SUMS and LOSSES.
        """
        if LOSSES in many:
            self._losses.arrived(many[LOSSES])
        origin = trail.origin(many[SUMS]) if SUMS in many else None
        is_broken, is_lost = (
            not np.isfinite(np.ma.filled(fields[name], 0.0)).all() for name in ("grad_norm", "weight_norm")
        )
        # once the weights are broken, the outputs say nothing of the cause
        self.goes_on = (self.goes_on or is_broken) and not (is_lost or origin or seen.has_scaler)
        return replace(seen, origin=origin, broken_from=self._losses.broken_from)


def _of_output(seen: _Seen) -> Origin:
    if seen.maker is not None:
        return Origin("output", seen.maker)
    return Origin("inputs", "") if seen.caller is None else Origin("code", seen.caller)


def _sum(tensor: Tensor) -> Tensor:
    """Return the sum in float32: the fastest of all that a NaN or ∞ goes through."""
    values = tensor.detach()
    if values.dtype is torch.float32:
        return values.sum()
    return values.sum(dtype=torch.float32) if values.dtype in HALF else values.sum().float()


def _tensors(value: Any, depth: int = 3) -> Iterator[Tensor]:
    """Yield the tensors in what a module is given or gives, of whose entries a sum can be taken."""
    if type(value) in PLAIN:
        if value.dtype in ADDABLE and value.layout == torch.strided and not value.is_meta:
            yield value
    elif depth and isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part, depth - 1)
    elif depth and isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part, depth - 1)
