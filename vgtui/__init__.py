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
) -> "Watcher":
    """Let `vgtui attach`, in another terminal of this machine, see which layers of a PyTorch model starve.

    optimizer: with it, every update is seen; without, call watcher.step() between backward() and zero_grad().
    name: what `vgtui attach` calls it, else the model's class. every: how often a step is sampled while somebody looks,
    a time such as "100ms" or a number of steps. record: a new file that keeps every frame, for `vgtui replay`.

    Call watcher.step(loss=loss) once a training step where the loss is to be seen. Watching raises nothing into the
    training and changes no number of it: what is not possible, a recording or a socket, is a warning of the logger
    "vgtui". Raises ImportError without PyTorch, and TypeError for arguments that are plainly wrong: what is not a
    model, and an `every` that is not a time or a number of steps.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("vgtui.watch needs PyTorch: pip install torch (https://pytorch.org)") from error
    from vgtui.watching.watcher import Watcher

    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"vgtui.watch takes a torch.nn.Module, and {type(model).__name__} is none")
    return Watcher(model, optimizer, name, every, record)


def __getattr__(name: str) -> Any:
    """`vgtui.Emitter`, imported when it is used: the command line must not pay for it."""
    if name == "Emitter":
        from vgtui.watching.emitter import Emitter

        return Emitter
    raise AttributeError(f"module 'vgtui' has no attribute {name!r}")
