"""What runs in a training that was started without vgtui: it has the training itself begin, at a safe point.

The injected code runs in a thread of its own, while the training may be anywhere. So it exchanges one function alone,
torch.autograd.backward: the next backward() of the training does the rest, in the training's own thread.
"""

import gc
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec

from vgtui.watching.automatic.environment import Wishes

VIEWER_SECONDS = 60.0
"""How long a watcher that nobody looks at stays, from the time that it was asked for."""


class Answer(msgspec.Struct, omit_defaults=True):
    """What an injected vgtui tells the one that injected it, a line each.

    Attributes:
        problem: Why nothing is watched.
        begun: Whether it waits for the next backward() of the training.
        name: The name of a model that is watched.
        socket: Its socket.
    """

    problem: str = ""
    begun: bool = False
    name: str = ""
    socket: str = ""


def begin(file: str, wishes: Wishes) -> None:
    """Begin in a running training.

    Args:
        file: The file that takes the answers. Once it is gone, nothing is changed any more.
        wishes: How models are watched.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        answer(file, Answer(problem="it has not loaded PyTorch"))
        return
    if not any(torch.optim.Optimizer in type(entry).__mro__ for entry in gc.get_objects()):
        answer(file, Answer(problem="it has no optimizer of PyTorch"))
        return
    backward = torch.autograd.backward

    @wraps(backward)
    def begin_and_backward(*arguments: Any, **named: Any) -> Any:
        if torch.autograd.backward is begin_and_backward:
            torch.autograd.backward = backward
            _begin_here(file, wishes)
        return torch.autograd.backward(*arguments, **named)

    torch.autograd.backward = begin_and_backward
    answer(file, Answer(begun=True))


def _begin_here(file: str, wishes: Wishes) -> None:
    """Begin in the training's own thread, between two steps."""
    if not Path(file).exists():  # nobody waits any more
        return
    try:
        from vgtui.watching.automatic.hooks import Automatic

        automatic = Automatic(wishes, lambda watcher: answer(file, Answer(name=watcher.name, socket=watcher.path)))
        automatic.leaves = has_been_left(file)
        automatic.begin()
    except Exception as error:
        answer(file, Answer(problem=f"{type(error).__name__}: {error}"))


def has_been_left(file: str) -> Callable[[int], bool]:
    """Make a function that is told how many viewers there are, and says whether to leave: the last one has gone."""
    deadline = time.monotonic() + VIEWER_SECONDS
    had_any = False

    def ask(viewers: int) -> bool:
        nonlocal had_any
        had_any = had_any or viewers > 0
        return not viewers and (had_any or time.monotonic() > deadline)

    return ask


def answer(file: str, given: Answer) -> None:
    """Add an answer to a file that is still there."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return
    with os.fdopen(descriptor, "ab") as stream:
        stream.write(msgspec.json.encode(given) + b"\n")
