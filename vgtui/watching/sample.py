"""One sampled step of a PyTorch model: its hooks gather numbers on the device, and one copy brings them to the host."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.telemetry import SATURATION_SHARE
from vgtui.watching.clipping import BEFORE
from vgtui.watching.layers import Layer, dense
from vgtui.watching.mesh import local
from vgtui.watching.ranks import LOCAL

MAX_UPDATED = 2**24
"""The number of parameters up to which the last update is measured: it takes a copy of all weights."""
SINGLE = (
    "loss", "accuracy", "scale", "scale_left", "input_rms", "sample_spread", "zero_share", "padding_share", "kept",
    "target_least", "target_greatest", "target_mean_square", "target_variance",
)  # fmt: skip
"""What is gathered as one number a step."""
THROUGH_TIME = "through time"
"""The field that has several numbers for a layer: the norm of the error signal at each step of time."""
MIN_TIMES = 4
"""Steps of time, or uses of a module in one step, of which a profile is made."""
MAX_TIMES = 1024
"""Uses of a module in one step that are measured."""
MIN_BYTES = 4
"""The size of a number whose mean can be taken: half precision has too few digits."""

THREE = 3
"""Dimensions of the inputs of a layer that runs over time."""

MakeHook = Callable[[Callable[..., None]], Callable[..., None]]
"""Makes a hook of a function, one that raises nothing into the training."""


class Handle(Protocol):
    """What registering a hook returns."""

    def remove(self) -> None:
        """Take the hook away."""


class Sample:
    """One sampled step. Everything stays on its device until `send`."""

    def __init__(self, step: int, layers: Sequence[Layer], activated: Set[int] = frozenset()) -> None:
        """Prepare to sample a step; `arm` begins.

        Args:
            step: The number of updates before the step.
            layers: The layers of the model.
            activated: The indices of layers that an activation follows: their own outputs need no description.
        """
        self._step = step
        self._layers = layers
        self._activated = activated
        self._indices = {id(layer.module): index for index, layer in enumerate(layers)}
        self._values: dict[tuple[str, int], Tensor] = {}
        self._current: int | None = None
        self._handles: list[Handle] = []
        self._weights: list[Tensor] | None = None
        self._loss_kind = ""
        self._guard: MakeHook = lambda function: function
        self._is_first = True
        self._uses: dict[int, list[Tensor]] = defaultdict(list)
        self._matrix_inputs: Tensor | None = None
        """The inputs of the last matrix that was used."""
        self.output: Any = None
        """The node of the model's output in autograd's graph."""
        self.used: set[int] = set()
        """The layers that were used."""
        self.is_seen = False
        """Whether the forward pass was hooked."""
        self.began_back = 0.0
        """When backpropagation began; 0 if it was not seen."""
        self.is_half = False
        """Whether a layer computes in float16."""
        self.norm_values: int | None = None
        """The fewest values over which a BatchNorm takes a mean."""
        self.is_normalized = False
        """Whether the first layer used normalizes its inputs."""

    def arm(
        self,
        model: nn.Module,
        activations: Sequence[nn.Module],
        make_hook: MakeHook,
        before_clipping: Iterable[int],
        loss_kind: str = "",
        has_ranks: bool = False,
    ) -> None:
        """Hook what is to be seen of the coming step: outputs and error signals, and gradients as they are made.

        Args:
            model: The model.
            activations: The activation modules.
            make_hook: Applied to each function that is hooked.
            before_clipping: The indices of the layers whose gradients are measured as they are made.
            loss_kind: The kind of the loss, as LossFunction has it, to work the targets out.
            has_ranks: Whether gradients are measured before they are exchanged with other processes.
        """
        self._loss_kind = loss_kind
        self._guard = make_hook
        on_layer, on_activation = make_hook(self._on_layer), make_hook(self._on_activation)
        for layer in self._layers:
            if layer.traced:
                self._handles.append(layer.module.register_forward_hook(on_layer))
                self.is_seen = True
                if isinstance(layer.module, nn.RNNBase):
                    self._handles.append(layer.module.register_forward_pre_hook(make_hook(_with_gradient)))
        if self.is_seen:
            self._handles.append(model.register_forward_hook(make_hook(self._on_model)))
        self._handles += [module.register_forward_hook(on_activation) for module in activations]
        for index, layer in enumerate(self._layers if has_ranks else ()):
            if layer.traced and layer.weight.requires_grad and layer.weight.is_leaf and layer.shards is None:
                keep = make_hook(lambda gradient, index=index: self._keep(LOCAL, index, _norm(dense(gradient))))
                self._handles.append(layer.weight.register_hook(keep))
        for index in before_clipping:
            weight = self._layers[index].weight
            if weight.requires_grad and weight.is_leaf:
                hook = make_hook(lambda weight, index=index: self._keep(BEFORE, index, _norm(dense(weight.grad))))
                self._handles.append(weight.register_post_accumulate_grad_hook(hook))

    def disarm(self) -> None:
        """Take every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def release(self) -> None:
        """Let go of autograd's graph, whose hooks hold the sample."""
        self.output = self._matrix_inputs = None

    def forget(self) -> None:
        """Drop all that was gathered, as the gradients were made again since."""
        self._values.clear()
        self._uses.clear()

    def read_gradients(self, scale: Tensor | None, scale_left: Tensor | float | None, with_update: bool) -> bool:
        """Take the norms of the gradients and weights as they are now.

        Args:
            scale: The factor by which a GradScaler has multiplied the loss, if there is one.
            scale_left: The factor that the gradients still have, if any.
            with_update: Whether read_update() follows.

        Returns:
            Whether any layer has a gradient.
        """
        self.disarm()
        self._keep_times()
        gradients = {index: layer.weight.grad for index, layer in enumerate(self._layers)}
        known = {index: dense(gradient) for index, gradient in gradients.items() if gradient is not None}
        self._keep_norms("grad_norm", known)
        weights = [local(layer.weight.detach()) for layer in self._layers]
        self._keep_norms("weight_norm", dict(enumerate(weights)))
        if not self._step:
            for index, weight in enumerate(weights):
                if self._layers[index].is_matrix and weight.numel() > 1:
                    least, greatest = weight.aminmax()
                    self._keep("equal", index, (least == greatest).float())
        if scale is not None:
            self._keep("scale", 0, scale)
        if scale_left is not None:
            self._keep("scale_left", 0, torch.as_tensor(scale_left, dtype=torch.float32).mean())
        if with_update and sum(weight.numel() for weight in weights) <= MAX_UPDATED:
            self._weights = [weight.clone() for weight in weights]
        return bool(known)

    def read_update(self) -> None:
        """Measure by how much the update has moved the weights."""
        if self._weights is not None:
            pairs = zip(self._layers, self._weights, strict=True)
            moved = {index: local(layer.weight.detach()) - old for index, (layer, old) in enumerate(pairs)}
            self._keep_norms("update", moved)
            self._weights = None

    def send(self, loss: Any, accuracy: Any) -> "Arrival":
        """Send everything to the host.

        Args:
            loss: The step's loss, a number or a tensor.
            accuracy: The step's accuracy, the same.
        """
        for name, value in (("loss", loss), ("accuracy", accuracy)):
            if value is not None:
                number = local(torch.as_tensor(value).detach())
                if not (number.is_meta or number.is_complex()):  # neither is a loss, nor a reason to stop
                    self._keep(name, 0, (number if number.is_floating_point() else number.float()).mean())
        return Arrival(self._step, len(self._layers), self._values)

    def _keep(self, name: str, index: int, value: Tensor) -> None:
        self._values[name, index] = value

    def _keep_norms(self, name: str, tensors: dict[int, Tensor]) -> None:
        """Keep the norm of each tensor, by one fused operation for all on a device."""
        for (device, _), indices in _grouped(tensors).items():
            norms = torch._foreach_norm([tensors[index].detach() for index in indices], 2, dtype=_wide(device))
            for index, norm in zip(indices, norms, strict=True):
                self._keep(name, index, norm)

    def _on_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        index = self._indices.get(id(module))
        if index is None:  # a replica, as DataParallel makes them
            return
        self.used.add(index)
        if not (module.training and torch.is_grad_enabled()):
            return
        self._current = index
        given, out = _tensor(inputs), _tensor(output)
        if given is not None:
            self._on_inputs(index, module, local(given.detach()))
            if isinstance(module, nn.RNNBase) and given.requires_grad and given.ndim == THREE:
                given.register_hook(self._guard(partial(self._keep_time, index, 1 if module.batch_first else 0)))
        if out is not None:
            self.is_half |= out.dtype == torch.float16
            if index not in self._activated:
                self._keep_spread(index, local(out.detach()))
            if out.requires_grad:
                out.register_hook(self._guard(partial(self._on_signal, index)))

    def _on_inputs(self, index: int, module: nn.Module, given: Tensor) -> None:
        """Look at what a layer is given."""
        layer = self._layers[index]
        if isinstance(module, nn.Embedding):
            if module.padding_idx is not None:
                self._keep("padding_share", 0, torch.count_nonzero(given == module.padding_idx) / max(1, given.numel()))
            self._is_first = False
        if not given.is_floating_point() or not given.numel():
            return
        if self._is_first:
            self._is_first = False
            self.is_normalized = is_norm(module)
            self._keep("input_rms", 0, _norm(given) / given.numel() ** 0.5)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and given.ndim > 1:
            values = given.numel() // max(1, given.shape[1])
            self.norm_values = min(values, self.norm_values or values)
        if layer.is_matrix and given.ndim > 1:
            self._matrix_inputs = given

    def _on_signal(self, index: int, signal: Tensor) -> None:
        """Look at the error signal of a layer's outputs, during backpropagation."""
        self.began_back = self.began_back or time.perf_counter()
        signal = local(signal)
        norm = _norm(signal)
        self._keep("delta_norm", index, norm)
        if len(uses := self._uses[index]) < MAX_TIMES:
            uses.append(norm)
        if ("kept", 0) not in self._values:
            # the first signal of the pass: no gradient of this layer is made yet, so one that is there is an old one
            gradient = self._layers[index].weight.grad
            self._keep("kept", 0, torch.zeros(()) if gradient is None else _norm(dense(gradient)))
        if signal.dtype == torch.float16:
            self._keep("zero_share", 0, 1 - torch.count_nonzero(signal) / max(1, signal.numel()))

    def _on_model(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Look at the outputs of the whole model, and at their gradient if that tells the targets."""
        if not torch.is_grad_enabled():
            return
        if (given := self._matrix_inputs) is not None and len(given) > 1:
            self._matrix_inputs = None
            wide = given.float() if given.element_size() < MIN_BYTES else given
            size = _norm(wide).clamp_min(torch.finfo(torch.float32).tiny)
            self._keep("sample_spread", 0, _norm(wide - wide.mean(0)) / size)
        if not (isinstance(output, Tensor) and output.requires_grad):
            return
        self.output = output.grad_fn
        if self._loss_kind in TARGETS:
            outputs = local(output.detach())
            output.register_hook(self._guard(partial(self._keep_targets, outputs)))

    def _keep_targets(self, outputs: Tensor, signal: Tensor) -> None:
        """Work out the targets from the gradient of the outputs, for a loss that is a mean."""
        targets = TARGETS[self._loss_kind](outputs.float(), local(signal).float() * outputs.numel())
        self._keep("target_least", 0, targets.min())
        self._keep("target_greatest", 0, targets.max())
        self._keep("target_mean_square", 0, (targets * targets).mean())
        if targets.ndim and len(targets) > 1:
            self._keep("target_variance", 0, targets.var(0).mean())

    def _keep_time(self, index: int, axis: int, signal: Tensor) -> None:
        """Keep the norm of the error signal at each step of time."""
        wide = local(signal.detach()).movedim(axis, 0).flatten(1)
        if len(wide) >= MIN_TIMES:
            self._keep(THROUGH_TIME, index, torch.linalg.vector_norm(wide, dim=1, dtype=_wide(wide.device)))

    def _keep_times(self) -> None:
        """Make a profile over time of each layer that was used many times in one step; the last use comes first."""
        for index, norms in self._uses.items():
            if len(norms) >= MIN_TIMES and (THROUGH_TIME, index) not in self._values:
                self._keep(THROUGH_TIME, index, torch.stack(norms[::-1]))
        self._uses.clear()

    def _on_activation(self, module: nn.Module, inputs: Any, output: Any) -> None:
        out, index = _tensor(output), self._current
        if out is None or index is None or not (module.training and torch.is_grad_enabled()):
            return
        values = local(out.detach())
        self._keep_spread(index, values)
        if isinstance(module, nn.ReLU | nn.ReLU6) and values.ndim > 1:
            axis = self._layers[index].units_axis % values.ndim
            greatest = values.amax([number for number in range(values.ndim) if number != axis])
            self._keep("dead", index, torch.count_nonzero(greatest == 0) / greatest.numel())
        elif isinstance(module, nn.Sigmoid | nn.Tanh):
            slopes = values * (1 - values) if isinstance(module, nn.Sigmoid) else 1 - values * values
            steepest = 0.25 if isinstance(module, nn.Sigmoid) else 1.0
            self._keep("derivative_rms", index, _norm(slopes) / slopes.numel() ** 0.5)
            flat = torch.count_nonzero(slopes < SATURATION_SHARE * steepest)
            self._keep("saturated", index, flat / slopes.numel())

    def _keep_spread(self, index: int, values: Tensor) -> None:
        """Keep the mean and the standard deviation of a layer's outputs."""
        if values.is_floating_point() and values.numel():
            values = values.float() if values.element_size() < MIN_BYTES else values
            mean = values.mean()
            self._keep("activation_mean", index, mean)
            # several times faster than var_mean on the CPU, and as exact
            self._keep("activation_std", index, _norm(values - mean) / values.numel() ** 0.5)


class Arrival:
    """Numbers on their way from the devices; the training does not wait for a device that computes on its own."""

    def __init__(self, step: int, layers: int, values: dict[tuple[str, int], Tensor]) -> None:
        """Begin the copy to the host, one for each device and dtype.

        Args:
            step: The number of updates before the step.
            layers: The number of layers.
            values: A number by field and index of its layer, 0 for the fields in SINGLE.
        """
        self.step = step
        self.seconds: float | None = None
        """The time of the step."""
        self.own_seconds: float | None = None
        """The time of the step until backpropagation began."""
        self._layers = layers
        self._parts: list[tuple[list[tuple[tuple[str, int], int]], Tensor]] = []
        self._events: list[torch.cuda.Event] = []
        for (device, _), keys in _grouped(values).items():
            packed = torch.cat([values[key].reshape(-1) for key in keys])
            if device.type == "cuda":
                host = torch.empty(len(packed), dtype=packed.dtype, pin_memory=True)
                packed = host.copy_(packed, non_blocking=True)
                event = torch.cuda.Event()
                event.record(torch.cuda.current_stream(device))
                self._events.append(event)
            self._parts.append(([(key, values[key].numel()) for key in keys], packed))

    def is_here(self) -> bool:
        """Return whether the copy is done."""
        return all(event.query() for event in self._events)

    def wait(self) -> None:
        """Wait until the copy is done."""
        for event in self._events:
            event.synchronize()

    def numbers(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, float], dict[int, NDArray[np.float64]]]:
        """Return what has arrived.

        Returns:
            An array of a number for each layer by field, masked where unknown; the fields in SINGLE; and the profile
            over time of each layer that has one.
        """
        known: dict[str, dict[int, float]] = defaultdict(dict)
        through_time: dict[int, NDArray[np.float64]] = {}
        for keys, values in self._parts:
            numbers = iter(values.tolist())
            for (name, index), length in keys:
                if name == THROUGH_TIME:
                    through_time[index] = np.array([next(numbers) for _ in range(length)], np.float64)
                else:
                    known[name][index] = next(numbers)
        single = {name: known.pop(name)[0] for name in SINGLE if name in known}
        return {name: self._row(entries) for name, entries in known.items()}, single, through_time

    def _row(self, entries: dict[int, float]) -> NDArray[np.float64]:
        if len(entries) == self._layers:
            return np.array([entries[index] for index in range(self._layers)])
        values = [entries.get(index, 0.0) for index in range(self._layers)]
        return np.ma.MaskedArray(values, mask=[index not in entries for index in range(self._layers)])


def _grouped(tensors: dict[Any, Tensor]) -> dict[tuple[torch.device, torch.dtype], list[Any]]:
    """Group the keys of tensors that one operation can take together."""
    found: dict[tuple[torch.device, torch.dtype], list[Any]] = defaultdict(list)
    for key, tensor in tensors.items():
        found[tensor.device, tensor.dtype].append(key)
    return found


def _norm(values: Tensor) -> Tensor:
    """Return the Euclidean norm, summed in float64: in float32 the squares of starving layers are 0."""
    values = torch.view_as_real(values.detach().resolve_conj()) if values.is_complex() else local(values.detach())
    return torch.linalg.vector_norm(values, dtype=_wide(values.device))


def _wide(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64


def is_norm(module: nn.Module) -> bool:
    """Return whether a module normalizes what it is given."""
    return "Norm" in type(module).__name__


def _with_gradient(module: nn.Module, inputs: Any) -> Any:
    """Give a layer that runs over time inputs whose gradient is computed; their values are the same."""
    if not (isinstance(inputs, tuple) and inputs and module.training and torch.is_grad_enabled()):
        return None
    given = inputs[0]
    if not isinstance(given, Tensor) or given.requires_grad or not given.is_floating_point():
        return None
    return (given.detach().requires_grad_(), *inputs[1:])


TARGETS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda outputs, gradient: outputs - gradient / 2,
    "bce": lambda outputs, gradient: outputs - gradient * outputs * (1 - outputs),
    "bce_with_logits": lambda outputs, gradient: outputs.sigmoid() - gradient,
}
"""The targets by the kind of the loss: its gradient, times the number of entries of which it is the mean, undone."""


def _tensor(output: Any) -> Tensor | None:
    """Return the tensor that a module gives, the first of several."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None
