"""vgtui: a terminal microscope for the vanishing gradient problem."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from vgtui.watching.emitter import Emitter as Emitter
    from vgtui.watching.watcher import Watcher

__version__ = "0.1.0"


def watch(
    model: "torch.nn.Module",
    optimizer: "torch.optim.Optimizer | None" = None,
    *,
    name: str | None = None,
    every: str | int = "100ms",
    record: "str | os.PathLike[str] | None" = None,
    scaler: "torch.amp.GradScaler | None" = None,
) -> "Watcher":
    """Let `vgtui attach`, in another terminal of this machine, see which layers of a PyTorch model starve.

    Call watcher.step(loss=loss) once a training step to show the loss as well. Watching raises nothing into the
    training and changes no number of it: what is not possible, a recording or a socket, is a warning of the logger
    "vgtui".

    Args:
        model: The model that is trained.
        optimizer: Its optimizer, with which every update is seen. Without it, call watcher.step() between backward()
            and zero_grad().
        name: The name for `vgtui attach`, else the model's class.
        every: How often a step is sampled while there is a viewer: a time such as "100ms", or a number of steps.
        record: A new file that keeps every frame, for `vgtui replay`.
        scaler: The GradScaler that scales the loss, so that its scale is taken out of the norms. Without it, one is
            found where scaler.step(optimizer) makes the updates. It takes effect with an optimizer.

    Returns:
        A context manager, or a plain object with step() and close().

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: An argument is plainly wrong, such as a model that is not a torch.nn.Module.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("vgtui.watch needs PyTorch: pip install torch (https://pytorch.org)") from error
    from vgtui.watching.watcher import Watcher

    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"vgtui.watch takes a torch.nn.Module, and {type(model).__name__} is not one")
    return Watcher(model, optimizer, name, every, record, scaler)


def __getattr__(name: str) -> Any:
    """Import `vgtui.Emitter` when it is used, so that the command line does not pay for it."""
    if name == "Emitter":
        from vgtui.watching.emitter import Emitter

        return Emitter
    raise AttributeError(f"module 'vgtui' has no attribute {name!r}")
