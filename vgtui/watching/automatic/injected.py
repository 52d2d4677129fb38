"""What runs in a process that was injected into: in a thread of its own, for as long as the viewer is there."""

import json
import queue
import socket
from select import select
from typing import Any

from vgtui.watching.automatic.models import Objects
from vgtui.watching.automatic.session import Session, is_other_rank
from vgtui.watching.watcher import Watcher

STEP_SECONDS = 60.0
"""How long to wait for a step of an optimizer."""
LOOK_SECONDS = 0.05
"""How often to look for the first watcher, and whether the viewer is still there."""
LEAVE_SECONDS = 5.0
"""How long to wait for a backward pass, at which to take the hooks away."""


def serve(connection: socket.socket, every: str | int) -> None:
    """Watch what this process trains until the other end hangs up, then leave it as it was.

    Args:
        connection: To the process that injects. It is sent one line: {"name", "path"} or {"problem"}.
        every: How often a step is sampled.
    """
    problem = _problem()
    if problem:
        _answer(connection, problem=problem)
        return
    found: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def note(watcher: Watcher, name: str) -> None:
        found.put({"name": name, "path": watcher.path})

    session = Session(every=every, tell=lambda text: found.put({"problem": text}), on_watch=note)
    session.join_in()
    try:
        waited = 0.0
        while found.empty() and waited < STEP_SECONDS and not _has_hung_up(connection):
            waited += LOOK_SECONDS
        if found.empty():
            _answer(connection, problem=f"no optimizer has made a step for {STEP_SECONDS:.0f} s: it does not train now")
            return
        _answer(connection, **found.get())
        while not _has_hung_up(connection):
            pass
    finally:
        session.leave_soon(LEAVE_SECONDS)


def _problem() -> str | None:
    """Return why nothing can be watched here."""
    if is_other_rank():
        return "it is not rank 0 of its training; take the process of rank 0"
    objects = Objects.now()
    if any(watcher.path for watcher in objects.watchers):
        return "it is watched already: vgtui attach shows it"
    if not objects.optimizers:
        return "it has no optimizer of PyTorch: nothing is trained there"
    return None


def _has_hung_up(connection: socket.socket) -> bool:
    """Wait a little, and return whether the other end is closed."""
    if not select([connection], [], [], LOOK_SECONDS)[0]:
        return False
    try:
        return not connection.recv(1)
    except OSError:
        return True


def _answer(connection: socket.socket, **words: Any) -> None:
    connection.sendall(json.dumps(words).encode() + b"\n")
