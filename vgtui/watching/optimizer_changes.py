"""Changes of a PyTorch optimizer: its rate, its decay, and what happens before and after its steps.

As in `module_changes`, a function raises ChangeError where there is nothing to change, and returns the edit.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch

from vgtui.watching.errors import ChangeError
from vgtui.watching.module_changes import Edit
from vgtui.watching.subject import Subject


class StepHook(Protocol):
    """What a cure does around each step of an optimizer. It holds no optimizer, so that a copy works on another one."""

    def install(self, optimizer: torch.optim.Optimizer) -> None:
        """Register it."""


class ClipGradients:
    """Clips the norm of all gradients before each step."""

    def __init__(self, most: float) -> None:
        self.most = most

    def install(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip before each step from now on, instead of what an earlier one of these does."""
        hooks = optimizer._optimizer_step_pre_hooks
        for key in [key for key, hook in hooks.items() if isinstance(hook, ClipGradients)]:
            del hooks[key]
        optimizer.register_step_pre_hook(self)

    def __call__(self, optimizer: torch.optim.Optimizer, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Clip, or have a closure that makes the gradients do it."""
        closure = named.get("closure", given[1] if len(given) > 1 else None)
        if closure is None:
            self._clip(optimizer)
            return None

        def closure_and_clipping() -> Any:
            result = closure()
            self._clip(optimizer)
            return result

        return given[:1], {**named, "closure": closure_and_clipping}

    def _clip(self, optimizer: torch.optim.Optimizer) -> None:
        scale = getattr(optimizer, "grad_scale", None)  # a fused optimizer unscales the gradients itself
        most = self.most if scale is None else self.most * float(scale)
        members = [member for group in optimizer.param_groups for member in group["params"]]
        torch.nn.utils.clip_grad_norm_(members, most)


class WarmUp:
    """Lets the rate rise from 0 over so many steps; between steps, the optimizer has its own rate."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._done = 0
        self._own: list[Any] = []

    def install(self, optimizer: torch.optim.Optimizer) -> None:
        """Begin with the next step."""
        before = optimizer.register_step_pre_hook(self)
        after = optimizer.register_step_post_hook(Restore(self))
        self._handles = [before, after]

    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Scale the rate for one step."""
        self.restore(optimizer)  # the last step has raised
        self._done += 1
        self._own = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * min(1.0, self._done / self.steps)

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Give the optimizer its own rate again."""
        for group, rate in zip(optimizer.param_groups, self._own, strict=False):
            group["lr"] = rate
        self._own = []

    def end_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Restore the rate; after the last step of the warm-up, end it."""
        self.restore(optimizer)
        if self._done >= self.steps:
            for handle in self._handles:
                handle.remove()


class Restore:
    """The end of a step in a warm-up."""

    def __init__(self, warm_up: WarmUp) -> None:
        self._warm_up = warm_up

    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """End the step."""
        self._warm_up.end_step(optimizer)


class ZeroGradients:
    """Clears the gradients after each step."""

    def install(self, optimizer: torch.optim.Optimizer) -> None:
        """Clear them after each step from now on."""
        optimizer.register_step_post_hook(self)

    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Clear them."""
        optimizer.zero_grad()


def change_rate(subject: Subject, value: Any) -> Edit:
    """Set the learning rate; groups with smaller ones keep their share of it."""
    rate = _positive("learning_rate", value)
    optimizer = _optimizer(subject, "learning_rate")
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    largest = max(rates)
    if largest == rate:
        raise ChangeError("learning_rate", f"it is {rate:g} already")

    def edit() -> None:
        for group, old in zip(optimizer.param_groups, rates, strict=True):
            share = old / largest if largest else 1.0
            if "initial_lr" in group:  # where a schedule begins
                begun = float(group["initial_lr"])
                _set(group, "initial_lr", begun * (rate / largest) if largest else rate)
            _set(group, "lr", rate * share)

    return edit


def change_decay(subject: Subject, value: Any) -> Edit:
    """Set the weight decay of the groups that have one; of all where none has."""
    decay = _positive("weight_decay", value, zero=True)
    optimizer = _optimizer(subject, "weight_decay")
    groups = [group for group in optimizer.param_groups if "weight_decay" in group]
    groups = [group for group in groups if group["weight_decay"]] or groups
    if not groups:
        raise ChangeError("weight_decay", f"{type(optimizer).__name__} has none")
    if all(group["weight_decay"] == decay for group in groups):
        raise ChangeError("weight_decay", f"it is {decay:g} already")

    def edit() -> None:
        for group in groups:
            group["weight_decay"] = decay

    return edit


def clip_gradients(subject: Subject, value: Any) -> Edit:
    """Clip the norm of all gradients before each step."""
    most = _positive("gradient_clip", value)
    optimizer = _optimizer(subject, "gradient_clip")
    hooks = step_hooks(optimizer)
    if any(isinstance(hook, ClipGradients) and hook.most == most for hook in hooks):
        raise ChangeError("gradient_clip", f"gradients are clipped to {most:g} already")
    return lambda: ClipGradients(most).install(optimizer)


def warm_up(subject: Subject, value: Any) -> Edit:
    """Let the rate rise from 0 over so many steps from now on; the script's own schedule counts as well."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < math.inf:
        raise ChangeError("warm_up", f"{value!r} is not a number of steps")
    optimizer = _optimizer(subject, "warm_up")
    return lambda: WarmUp(int(value)).install(optimizer)


def add_missing(subject: Subject, value: Any) -> Edit:
    """Let parameters that are in no group join the first one."""
    if value != "missing":
        raise ChangeError("optimizer", f"{value!r} is not missing, for the parameters that it does not have")
    optimizer = _optimizer(subject, "optimizer")
    known = {id(member) for group in optimizer.param_groups for member in group["params"]}
    missing = [entry for entry in subject.root.parameters() if entry.requires_grad and id(entry) not in known]
    if not missing:
        raise ChangeError("optimizer", "it has every parameter that is to be trained")
    # a group of their own would be one more than a schedule knows
    return lambda: optimizer.param_groups[0]["params"].extend(missing)


def clear_gradients(subject: Subject, value: Any) -> Edit:
    """Clear the gradients after each step."""
    if value is not True:
        raise ChangeError("zero_grad", f"{value!r} is not True")
    optimizer = _optimizer(subject, "zero_grad")
    if any(isinstance(hook, ZeroGradients) for hook in step_hooks(optimizer)):
        raise ChangeError("zero_grad", "gradients are cleared after each step already")
    return lambda: ZeroGradients().install(optimizer)


def step_hooks(optimizer: torch.optim.Optimizer) -> list[StepHook]:
    """Return the hooks of an optimizer that cures have made."""
    hooks = [*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()]
    return [hook for hook in hooks if isinstance(hook, ClipGradients | WarmUp | ZeroGradients)]


def _optimizer(subject: Subject, setting: str) -> Any:
    if not isinstance(subject.optimizer, torch.optim.Optimizer):
        raise ChangeError(setting, f"there is no optimizer of PyTorch, but {type(subject.optimizer).__name__}")
    return subject.optimizer


def _positive(setting: str, value: Any, zero: bool = False) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ChangeError(setting, f"{value!r} is not a positive number")
    return float(value)


def _set(group: dict[str, Any], name: str, value: float) -> None:
    """Set a number of a group, which may be a tensor that captured graphs read."""
    if isinstance(group[name], torch.Tensor):
        group[name].fill_(value)
    else:
        group[name] = value


TABLE: dict[str, Callable[[Subject, Any], Edit]] = {
    "learning_rate": change_rate,
    "weight_decay": change_decay,
    "gradient_clip": clip_gradients,
    "warm_up": warm_up,
    "optimizer": add_missing,
    "zero_grad": clear_gradients,
}
"""What finds and makes a change of the optimizer, by setting."""
