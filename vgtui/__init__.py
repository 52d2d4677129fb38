"""vgtui: a terminal microscope for the vanishing gradient problem."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import torch

    from engine.verdict import Cure
    from vgtui.watching.cures import ModelCure
    from vgtui.watching.emitter import Emitter as Emitter
    from vgtui.watching.watcher import Watcher
    from vgtui.watching.what_if_table import WhatIfTable

__version__ = "0.1.0"


def watch(
    model: "torch.nn.Module",
    optimizer: "torch.optim.Optimizer | Sequence[Any] | Mapping[str, Any] | None" = None,
    *,
    name: str | None = None,
    every: str | int = "100ms",
    record: "str | os.PathLike[str] | None" = None,
    scaler: "torch.amp.GradScaler | None" = None,
    biases: bool = False,
) -> "Watcher":
    """Let `vgtui attach`, in another terminal of this machine, see which layers of a PyTorch model starve.

    Call watcher.step(loss=loss) once a training step to show the loss as well. Watching raises nothing into the
    training and changes no number of it: what is not possible, a recording or a socket, is a warning of the logger
    "vgtui".

    Args:
        model: The model that is trained.
        optimizer: Its optimizer, with which every update is seen, or a list or dictionary of several: the updates of
            the first are the steps, and each layer is read at the update of the one that has it. Without it, call
            watcher.step() between backward() and zero_grad().
        name: The name for `vgtui attach`, else the model's class.
        every: How often a step is sampled while there is a viewer or a recording, or once `verdict` was read: a time
            such as "100ms", or a number of steps. Until then, few steps are sampled.
        record: A new file that keeps every frame, for `vgtui replay`.
        scaler: The GradScaler that scales the loss, so that its scale is taken out of the norms. Without it, one is
            found where scaler.step(optimizer) makes the updates. It takes effect with an optimizer.
        biases: Whether biases, and other parameters beside a layer's weights, are rows of their own.

    Returns:
        A context manager, or a plain object with step(), close() and `verdict`, the newest verdict with its cures.

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
    return Watcher(model, optimizer, name, every, record, scaler, biases)


def what_if(
    model: "torch.nn.Module",
    optimizer: "torch.optim.Optimizer",
    loss_of: "Callable[[Any, Any], torch.Tensor]",
    batches: "Iterable[Any]",
    steps: int = 100,
    *,
    cures: "Iterable[Cure | ModelCure] | None" = None,
    seed: int = 0,
    progress: bool = True,
) -> "WhatIfTable":
    """Try on copies of a PyTorch model what would help, and print the loss that each change leads to.

    A copy is trained as it is, while it is watched for a verdict. Then each cure that the verdict advises, and a few
    changes that often help, are made on a copy of their own, which is trained on the same batches with the same random
    numbers. The model, its optimizer, its gradients, its mode and the state of all random numbers stay as they are, bit
    for bit. At most one copy is in memory at a time.

    A step is zero_grad(), loss_of(), backward() and step() of the optimizer. What else a training loop does, such as
    a schedule, a GradScaler or clipping, it does not do.

    Args:
        model: The model, in the state from which the changes are to be tried.
        optimizer: Its optimizer.
        loss_of: loss_of(model, batch) returns the loss of the model that it is given, a tensor with one number.
        batches: A DataLoader, or a list of batches. The first `steps` are used, again and again where there are fewer.
            Of anything but a list, 256 batches or 512 MiB are kept at most.
        steps: The number of updates of each copy.
        cures: What to try instead of what the verdict advises, such as some of watcher.verdict.cures.
        seed: Where the random numbers of each copy begin.
        progress: Whether to show a bar on stderr, where that is a terminal.

    Returns:
        The rows of the table, the best loss first; row.cure.apply(model, optimizer) makes a row's change.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: An argument is plainly wrong, such as a loss_of that does not use the model that it is given.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError("vgtui.what_if needs PyTorch: pip install torch (https://pytorch.org)") from error
    from vgtui.watching.what_if import try_changes

    table = try_changes(model, optimizer, loss_of, batches, steps, cures=cures, seed=seed, progress=progress)
    table.show()
    return table


def __getattr__(name: str) -> Any:
    """Import `vgtui.Emitter` when it is used, so that the command line does not pay for it."""
    if name == "Emitter":
        from vgtui.watching.emitter import Emitter

        return Emitter
    raise AttributeError(f"module 'vgtui' has no attribute {name!r}")
