"""One sampled step of a PyTorch model: its hooks gather numbers on the device, and one copy brings them to the host."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.telemetry import SATURATION_SHARE
from vgtui.watching.arrival import THROUGH_TIME, Arrival
from vgtui.watching.clipping import BEFORE
from vgtui.watching.compiling import has_compiled
from vgtui.watching.finite import LOSSES, SUMS, FirstNonFinite
from vgtui.watching.functional import PARTS, Activation, Functions, is_passed_on
from vgtui.watching.handles import Handle, MakeHook
from vgtui.watching.layers import Layer, dense
from vgtui.watching.measures import Measures
from vgtui.watching.mesh import local
from vgtui.watching.norms import norm_of, norms_of, sampled, widest
from vgtui.watching.ranks import LOCAL
from vgtui.watching.signals import MIN_TIMES, Signals, reaches
from vgtui.watching.uses import Uses

MISSED = "missed"
"""The field for whether every entry by which a layer's update is estimated has no gradient."""
MIN_BYTES = 4
"""The size of a number whose mean can be taken: half precision has too few digits."""

THREE = 3
"""Dimensions of the inputs of a layer that runs over time."""


class Sample:
    """One sampled step. Everything stays on its device until `send`.

    Attributes:
        is_seen: Whether the forward pass was hooked.
        began_back: When backpropagation began; 0 if it was not seen.
        is_half: Whether a layer computes in float16.
        norm_values: The fewest values over which a BatchNorm takes a mean.
        is_normalized: Whether the first layer used normalizes its inputs.
    """

    is_seen = False
    began_back = 0.0
    is_half = False
    norm_values: int | None = None
    is_normalized = False

    def __init__(
        self,
        step: int,
        layers: Sequence[Layer],
        measures: Measures,
        activated: Set[int] = frozenset(),
        made: dict[int, Tensor] | None = None,
        foreign: Set[int] = frozenset(),
        turn: range | None = None,
        has_functions: bool = True,
    ) -> None:
        """Prepare to sample a step; `arm` begins.

        Args:
            step: The number of updates before the step.
            layers: The layers of the model.
            measures: What is measured beside the norms.
            activated: The indices of layers that an activation follows: their own outputs need no description.
            made: The norms of the gradients as they were made, by the parameter's id, if they are there already.
            foreign: The indices of layers that no known optimizer has: their gradients are told as they were made, as
                another optimizer may have set them to 0 since, and their updates not at all.
            turn: The layers that are measured; all by default.
            has_functions: Whether the model may have activations that are functions.
        """
        self._has_functions = has_functions
        self.functional: set[int] = set()
        """The layers that an activation follows which is a function, and not that of a module."""
        self.turn = range(len(layers)) if turn is None else turn
        self._step = step
        self._layers = layers
        self._measures = measures
        self._activated = activated
        self._indices = {id(layer.module): index for index, layer in enumerate(layers) if layer.has_output}
        self._of_module = _by_module(layers)
        self._values: dict[tuple[str, int], Tensor] = {}
        self._current: int | None = None
        self._functions: Functions | None = None
        self._is_activated = False
        """Whether an activation followed the last use of a layer."""
        self._activated_output: Tensor | None = None
        """The output of the last activation that is a function; a module's may be that of its function."""
        self._pending: tuple[int, Activation, Tensor] | None = None
        """A layer, and the activation after it that may be a part of something else."""
        self._handles: list[Handle] = []
        self._module_handles: list[Handle] = []
        self._weights: dict[int, Tensor] = {}
        """The weights before their update."""
        self._loss_kind = ""
        self._guard: MakeHook = lambda function: function
        self._is_first = True
        self._signals = Signals()
        self._made = {} if made is None else made
        self._foreign = foreign
        self.closed: set[int] = set()
        """The layers whose gradients were read."""
        self._matrix_inputs: Tensor | None = None
        """The inputs of the last matrix that was used."""
        self.trail = FirstNonFinite()
        """What goes through the modules."""
        self.output: Any = None
        """The node of the model's output in autograd's graph."""
        self.used: set[int] = set()
        """The layers that were used."""
        self.used_for_gradients: set[int] = set()
        """Those that were used while gradients were enabled."""

    @property
    def has_begun(self) -> bool:
        """Whether a gradient was made since the step is sampled."""
        return bool(self._made or self._signals.norms())

    def arm(
        self,
        model: nn.Module,
        uses: Uses,
        make_hook: MakeHook,
        before_clipping: Collection[int],
        loss_kind: str = "",
        has_ranks: bool = False,
        is_close: bool = True,
    ) -> None:
        """Hook what is to be seen of the coming step: outputs and error signals, and gradients as they are made.

        Args:
            model: The model.
            uses: What is to be hooked for the layers to be seen.
            make_hook: Applied to each function that is hooked.
            before_clipping: The indices of the layers whose gradients are measured as they are made.
            loss_kind: The kind of the loss, as LossFunction has it, to work the targets out.
            has_ranks: Whether gradients are measured before they are exchanged with other processes.
            is_close: Whether every module is looked at for numbers that are not finite.
        """
        self._loss_kind = loss_kind
        self._guard = make_hook
        on_layer, on_activation = make_hook(self._on_layer), make_hook(self._on_activation)
        hooked, followers = uses.hooked(self.turn)
        for index in sorted(hooked):
            layer = self._layers[index]
            if layer.traced and layer.has_output:
                self._module_handles.append(layer.module.register_forward_hook(on_layer))
                self.is_seen = True
                if isinstance(layer.module, nn.RNNBase):
                    self._module_handles.append(layer.module.register_forward_pre_hook(make_hook(_with_gradient)))
        if self.is_seen:
            if is_close:
                self.trail.arm(make_hook)
            self._module_handles.append(model.register_forward_hook(make_hook(self._on_model)))
        look = self._measures.look if self.is_whole else None
        wants = self._has_functions or look is not None
        if wants and all(layer.traced for layer in self._layers) and not has_compiled():
            self._functions = Functions(make_hook(self._on_function), look)
            self._module_handles += self._functions.hook(model, make_hook)
        self._module_handles += [module.register_forward_hook(on_activation) for module in followers]
        if self.is_whole:
            self._module_handles += self._measures.arm(make_hook, norm_of)
        for index, layer in enumerate(self._layers if has_ranks else ()):
            if layer.traced and layer.weight.requires_grad and layer.weight.is_leaf and layer.shards is None:
                keep = make_hook(lambda gradient, index=index: self._keep(LOCAL, index, norm_of(dense(gradient))))
                self._handles.append(layer.weight.register_hook(keep))
        # of layers whose turn it is not, one stands for those whose clipping tells that of all
        measured = {*before_clipping, *self._foreign}.intersection(self.turn) or set(self.turn[-1:])
        measured = measured if before_clipping else set()
        parameters = [entry for index in measured for entry in self._layers[index].parameters]
        self._handles += hook_made(self._made, parameters, make_hook)

    def disarm(self) -> None:
        """Take every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.disarm_modules()

    def disarm_modules(self) -> None:
        """Take the hooks on modules away: what they have gathered stays."""
        for handle in self._module_handles:
            handle.remove()
        self._module_handles.clear()
        self.trail.disarm()
        if self._functions:
            self._functions.end()

    def release(self) -> None:
        """Let go of autograd's graph, whose hooks hold the sample."""
        self.output = self._matrix_inputs = self._activated_output = self._pending = None

    def forget(self) -> None:
        """Drop all that was gathered, as the gradients are made again."""
        self._values.clear()
        self._made.clear()
        self.closed.clear()
        self._is_first = True
        self._signals = Signals()
        self.trail.forget()
        self._measures.forget()

    def read_gradients(
        self,
        among: Sequence[int],
        scale: Tensor | None,
        scale_left: Tensor | float | None,
        with_update: bool,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> bool:
        """Take the norms of the gradients and weights as they are now.

        Args:
            among: The indices of the layers whose gradients are whole.
            scale: The factor by which a GradScaler has multiplied the loss, if there is one.
            scale_left: The factor that the gradients still have, if any.
            with_update: Whether read_update() follows.
            optimizer: The optimizer that updates them, if it is known.
            optimizer: The optimizer whose state is measured.

        Returns:
            Whether any layer has a gradient.
        """
        self._keep_signals(among)
        self.closed.update(among)
        has_any = any(self._layers[index].weight.grad is not None for index in among)
        among = [index for index in among if index in self.turn]
        gradients = {index: self._layers[index].weight.grad for index in among}
        known = {index: dense(gradient) for index, gradient in gradients.items() if gradient is not None}
        self._keep_norms("grad_norm", known)
        self._add_parts(among)
        # those that another optimizer updates are as they were before its update
        read = [index for index in self.turn if index in among or index not in self.closed]
        weights = {index: local(self._layers[index].weight.detach()) for index in read}
        self._keep_norms("weight_norm", weights)
        self._measures.read(known, self._keep)
        self._measures.read_state(optimizer, known, self._keep_norms, self._keep)
        if not self._step:
            for index, weight in weights.items():
                if self._layers[index].is_matrix and weight.numel() > 1:
                    least, greatest = weight.aminmax()
                    self._keep("equal", index, (least == greatest).float())
        if scale is not None:
            self._keep("scale", 0, scale)
        if scale_left is not None:
            self._keep("scale_left", 0, torch.as_tensor(scale_left, dtype=torch.float32).mean())
        if with_update:
            self._note_weights([index for index in among if index not in self._foreign], known)
        return has_any or any(name == "grad_norm" for name, _ in self._values)

    def _note_weights(self, among: Sequence[int], gradients: dict[int, Tensor]) -> None:
        """Copy what read_update() compares."""
        for index in among:
            weight = local(self._layers[index].weight.detach())
            entries = sampled(weight)
            self._weights[index] = entries.clone()
            if len(entries) < weight.numel() and index in gradients and gradients[index].shape == weight.shape:
                self._keep(MISSED, index, (torch.count_nonzero(sampled(gradients[index])) == 0).float())

    def read_update(self, among: Sequence[int]) -> None:
        """Measure by how much the update has moved the weights.

        The update of a layer with many weights is estimated from a sample of its entries, as a copy of all would be
        dear: to 0.3 % of what it is, where all entries are updated; less exactly where few are, as in an embedding.

        Args:
            among: The indices of the layers that were updated.
        """
        old = {index: self._weights.pop(index) for index in among if index in self._weights}
        weights = {index: local(self._layers[index].weight.detach()) for index in old}
        self._keep_norms("update", {index: sampled(weights[index]) - old[index] for index in old})
        for index, weight in weights.items():
            if len(old[index]) < weight.numel():
                self._values["update", index] *= math.sqrt(weight.numel() / len(old[index]))

    def send(self, loss: Any, accuracy: Any, losses: Tensor | None = None) -> "Arrival":
        """Send everything to the host.

        Args:
            loss: The step's loss, a number or a tensor.
            accuracy: The step's accuracy, the same.
            losses: Losses of steps before it that are still on their device.
        """
        for name, values in ((SUMS, self.trail.sums()), (LOSSES, losses)):
            if values is not None:
                self._keep(name, 0, values)
        for name, value in (("loss", loss), ("accuracy", accuracy)):
            if value is not None:
                number = local(torch.as_tensor(value).detach())
                if not (number.is_meta or number.is_complex()):  # neither is a loss, nor a reason to stop
                    self._keep(name, 0, (number if number.is_floating_point() else number.float()).mean())
        return Arrival(self._step, len(self._layers), self._values, self.turn)

    @property
    def is_whole(self) -> bool:
        """Whether all layers are measured."""
        return len(self.turn) == len(self._layers)

    def _keep(self, name: str, index: int, value: Tensor) -> None:
        self._values[name, index] = value

    def _keep_norms(self, name: str, tensors: dict[int, Tensor]) -> None:
        """Keep the norm of each tensor."""
        for index, size in zip(tensors, norms_of(list(tensors.values())), strict=True):
            self._keep(name, index, size)

    def _add_parts(self, among: Sequence[int]) -> None:
        """Add the gradients of the other parameters from which a weight is computed; keep all as they were made."""
        for index in among:
            layer = self._layers[index]
            for part in layer.parts:
                if part.grad is not None:
                    self._add("grad_norm", index, norm_of(dense(part.grad)))
            made = [self._made.get(id(entry)) for entry in layer.parameters if entry.grad is not None]
            if made and all(size is not None for size in made):
                name = "grad_norm" if index in self._foreign else BEFORE
                self._values.pop((name, index), None)
                for size in made:
                    self._add(name, index, size)

    def _add(self, name: str, index: int, size: Tensor) -> None:
        before = self._values.get((name, index))
        self._keep(name, index, size if before is None else torch.hypot(before, size))

    def _on_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        index = self._indices.get(id(module))
        if index is None:  # a replica, as DataParallel makes them
            return
        self.used |= self._of_module[id(module)]
        if torch.is_grad_enabled():
            self.used_for_gradients |= self._of_module[id(module)]
        if not (module.training and torch.is_grad_enabled()):
            return
        self._signals.note_use()
        self._measures.see_layer(index)
        given, out = _tensor(inputs), _tensor(output)
        self._settle(given)
        self._current, self._is_activated = index, False
        self.is_half |= out is not None and out.dtype == torch.float16
        if index in self.turn:
            self._on_use(index, module, given, out)

    def _on_use(self, index: int, module: nn.Module, given: Tensor | None, out: Tensor | None) -> None:
        """Look at what a layer is given and gives, and see to its error signal."""
        if given is not None:
            self._measures.see_inputs(module, given)
            self._on_inputs(index, module, local(given.detach()))
            if isinstance(module, nn.RNNBase) and given.requires_grad and given.ndim == THREE:
                given.register_hook(self._guard(partial(self._keep_time, index, 1 if module.batch_first else 0)))
        if out is not None:
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
            self._keep("input_rms", 0, norm_of(given) / given.numel() ** 0.5)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and given.ndim > 1:
            values = given.numel() // max(1, given.shape[1])
            self.norm_values = min(values, self.norm_values or values)
        if layer.is_matrix and given.ndim > 1:
            self._matrix_inputs = given

    def _on_signal(self, index: int, signal: Tensor) -> None:
        """Look at the error signal of a layer's outputs, during backpropagation."""
        self.began_back = self.began_back or time.perf_counter()
        signal = local(signal)
        weight = self._layers[index].weight
        if index in self.closed or not reaches(weight):
            return
        gradient = None if weight.grad is None else dense(weight.grad)
        if self._signals.add(index, norm_of(signal), gradient) and index not in self._foreign:
            # the first signal of a pass: no gradient of this layer is made yet, so one that is there is an old one; of
            # several passes one begins without, unless it is from an earlier step
            old = norm_of(signal.new_zeros(1) if gradient is None else gradient)
            before = self._values.get(("kept", 0))
            self._keep("kept", 0, old if before is None else torch.minimum(before.to(old.device), old))
        if signal.dtype == torch.float16:
            self._keep("zero_share", 0, 1 - torch.count_nonzero(signal) / max(1, signal.numel()))

    def _on_model(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Look at the outputs of the whole model, and at their gradient if that tells the targets."""
        if not torch.is_grad_enabled():
            return
        self._settle(_tensor(output))
        if (given := self._matrix_inputs) is not None and len(given) > 1:
            self._matrix_inputs = None
            wide = given.float() if given.element_size() < MIN_BYTES else given
            size = norm_of(wide).clamp_min(torch.finfo(torch.float32).tiny)
            self._keep("sample_spread", 0, norm_of(wide - wide.mean(0)) / size)
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
            self._keep(THROUGH_TIME, index, torch.linalg.vector_norm(wide, dim=1, dtype=widest(wide.device)))

    def _keep_signals(self, among: Sequence[int]) -> None:
        """Keep the norms of the error signals, and a profile over time of each layer that was used many times."""
        signals, profiles = self._signals.norms(), self._signals.profiles()
        for index in among:
            if index in signals:
                self._keep("delta_norm", index, signals[index])
            if index in profiles and (THROUGH_TIME, index) not in self._values:
                self._keep(THROUGH_TIME, index, profiles[index])

    def _on_activation(self, module: nn.Module, inputs: Any, output: Any) -> None:
        out, index = _tensor(output), self._current
        if out is None or index is None or not (module.training and torch.is_grad_enabled()):
            return
        if out is self._activated_output:  # its function was seen
            self.functional.discard(index)
            return
        self._pending, self._is_activated = None, True
        kinds = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh)
        self._describe(
            index, next((kind.__name__ for kind in kinds if isinstance(module, kind)), ""), local(out.detach())
        )

    def _on_function(self, kind: str, out: Tensor) -> None:
        """Look at the output of an activation that is a function: the first one after a layer."""
        index = self._current
        if index is None or self._is_activated or self._pending or not torch.is_grad_enabled():
            return
        layer, activation = self._layers[index], Activation(kind, tuple(out.shape), out.grad_fn)
        if not activation.fits(layer.weight, layer.units_axis):
            return
        if kind in PARTS:
            self._pending = index, activation, out.detach()
            return
        self._is_activated, self._activated_output = True, out
        self.functional.add(index)
        self._describe(index, kind, local(out.detach()))

    def _settle(self, reached: Tensor | None) -> None:
        """Describe an activation that may have been a part of something, if what comes next is given it as it is."""
        pending, self._pending = self._pending, None
        if pending and reached is not None:
            index, activation, values = pending
            if is_passed_on(activation.node, reached.grad_fn):
                self.functional.add(index)
                self._describe(index, activation.kind, values)

    def _describe(self, index: int, kind: str, values: Tensor) -> None:
        """Keep the numbers of an activation's outputs."""
        if index not in self.turn:
            return
        self._keep_spread(index, values)
        if kind in ("ReLU", "ReLU6") and values.ndim > 1:
            axis = self._layers[index].units_axis % values.ndim
            greatest = values.amax([number for number in range(values.ndim) if number != axis])
            self._keep("dead", index, torch.count_nonzero(greatest == 0) / greatest.numel())
        elif kind in ("Sigmoid", "Tanh"):
            values = sampled(values)
            slopes = values * (1 - values) if kind == "Sigmoid" else 1 - values * values
            steepest = 0.25 if kind == "Sigmoid" else 1.0
            self._keep("derivative_rms", index, norm_of(slopes) / slopes.numel() ** 0.5)
            flat = torch.count_nonzero(slopes < SATURATION_SHARE * steepest)
            self._keep("saturated", index, flat / slopes.numel())

    def _keep_spread(self, index: int, values: Tensor) -> None:
        """Keep the mean and the standard deviation of a layer's outputs; of many, those of a sample."""
        if values.is_floating_point() and values.numel():
            values = sampled(values)
            values = values.float() if values.element_size() < MIN_BYTES else values
            mean = values.mean()
            self._keep("activation_mean", index, mean)
            # several times faster than var_mean on the CPU, and as exact
            self._keep("activation_std", index, norm_of(values - mean) / values.numel() ** 0.5)


def hook_made(made: dict[int, Tensor], parameters: Iterable[nn.Parameter], make_hook: MakeHook) -> list[Handle]:
    """Keep the norms of gradients as backpropagation makes them, before anything clips them.

    Args:
        made: Takes the norms, by the parameter's id.
        parameters: The parameters.
        make_hook: Applied to the function that is hooked.

    Returns:
        The hooks.
    """

    def keep(parameter: Tensor) -> None:
        if parameter.grad is not None:
            made[id(parameter)] = norm_of(dense(parameter.grad))

    hook = make_hook(keep)
    return [
        parameter.register_post_accumulate_grad_hook(hook)
        for parameter in parameters
        if not isinstance(parameter, nn.parameter.UninitializedParameter)
        if parameter.requires_grad and parameter.is_leaf and parameter.is_floating_point()
    ]


def _by_module(layers: Sequence[Layer]) -> dict[int, set[int]]:
    """Return the layers that each module has, by its id."""
    found: dict[int, set[int]] = defaultdict(set)
    for index, layer in enumerate(layers):
        found[id(layer.module)].add(index)
    return found


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
