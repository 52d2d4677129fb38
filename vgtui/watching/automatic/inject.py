"""Has a running Python process watch what it trains: vgtui's own code is run in it."""

import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from engine.errors import UsageError
from vgtui.user.extras import is_installed, missing
from vgtui.watching.automatic.environment import Wishes, folders
from vgtui.watching.automatic.injected import Answer

PROCESSES = Path("/proc")
FOREIGN = "belongs to another user; run vgtui as that user"
ANSWER_SECONDS = 15.0
"""How long a process may take to run what was injected: a long call into a library holds it up."""
TRAINING_SECONDS = 120.0
"""How long a step of the training may take."""
LOOK_SECONDS = 0.05
REMOTE_EXEC = (3, 14)
"""From this version on, Python itself can be asked to run a file."""

CODE = """\
import sys
before = list(sys.path)
sys.path += [entry for entry in {folders!r} if entry not in sys.path]
try:
    from vgtui.watching.automatic.environment import Wishes
    from vgtui.watching.automatic.injected import begin
    begin({file!r}, Wishes({name!r}, {every!r}))
except BaseException as error:
    import json
    with open({file!r}, "a") as stream:
        problem = "it cannot run vgtui: " + type(error).__name__ + ": " + str(error)
        stream.write(json.dumps({{"problem": problem}}) + "\\n")
    sys.path[:] = before
"""


def check(pid: int) -> None:
    """Look for what would go wrong, before anything is done.

    Raises:
        UsageError: Nothing can be injected into the process, and why.
    """
    problem = _problem(pid)
    if problem:
        raise UsageError("--inject", f"process {pid} {problem}")
    if not hasattr(sys, "remote_exec") and not is_installed("hypno"):
        raise missing("--inject needs", "hypno")


def inject(pid: int, wishes: Wishes, wait: Callable[[str], None]) -> Answer:
    """Have a process watch what it trains, and return its first model, with its name and socket.

    Args:
        pid: The process.
        wishes: How models are watched.
        wait: Is told what is waited for.

    Raises:
        UsageError: It is not possible. The process is as it was.
    """
    check(pid)
    with tempfile.TemporaryDirectory(prefix="vgtui-") as folder, _reported():
        file, script = Path(folder) / "answers", Path(folder) / "begin.py"
        file.touch(mode=0o600)
        code = CODE.format(folders=folders(), file=str(file), name=wishes.name, every=wishes.every)
        script.write_text(code)
        answers = _answers(file)
        wait(f"waiting for process {pid}")
        _run_in(pid, script, code)
        _next(answers, pid, ANSWER_SECONDS, "does not answer")
        wait("waiting for its next training step")
        return _next(answers, pid, TRAINING_SECONDS, "made no update of a model")


def _run_in(pid: int, script: Path, code: str) -> None:
    if hasattr(sys, "remote_exec") and _python(pid) == sys.version_info[:2]:
        sys.remote_exec(pid, str(script))
        return
    if not is_installed("hypno"):
        raise missing("--inject needs", "hypno")
    from hypno import inject_py

    inject_py(pid, code)


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # of the system, or of the library that injects
        raise UsageError("--inject", f"the system does not let us: {error}") from error


def _answers(file: Path) -> Iterator[Answer | None]:
    """Yield the answers in a file as they come, and None while there is none."""
    seen = 0
    while True:
        *lines, _ = file.read_bytes().split(b"\n")
        for line in lines[seen:]:
            seen += 1
            yield msgspec.json.decode(line, type=Answer)
        yield None


def _next(answers: Iterator[Answer | None], pid: int, seconds: float, silence: str) -> Answer:
    """Wait for an answer. Raises UsageError if it does not come in time, or says that nothing is watched."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = next(answers)
        if found is not None and found.problem:
            raise UsageError("--inject", f"nothing is watched: {found.problem}")
        if found is not None:
            return found
        if _has_ended(pid):
            raise UsageError("--inject", f"process {pid} has ended")
        time.sleep(LOOK_SECONDS)
    raise UsageError("--inject", f"process {pid} {silence} within {seconds:.0f} s; nothing was changed in it")


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with suppress(OSError):
        return "\nState:\tZ" in (PROCESSES / str(pid) / "status").read_text()
    return False


def _problem(pid: int) -> str:
    """Return why nothing can be injected into a process, "" if nothing is known against it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return "does not exist"
    except PermissionError:
        return FOREIGN
    if pid == os.getpid():
        return "is vgtui itself"
    if not (PROCESSES / str(pid)).is_dir():  # no Linux: the system itself will say
        return ""
    checks = (_owner_problem, _state_problem, _container_problem, _content_problem)
    return next(filter(None, (look(PROCESSES / str(pid)) for look in checks)), "") or _scope_problem()


def _owner_problem(place: Path) -> str:
    return "" if place.stat()[stat.ST_UID] == os.getuid() else FOREIGN


def _state_problem(place: Path) -> str:
    if _has_ended(int(place.name)):
        return "has ended"
    tracer = re.search(r"^TracerPid:\s*([1-9][0-9]*)", (place / "status").read_text(), re.MULTILINE)
    return f"is held by a debugger, process {tracer[1]}" if tracer else ""


def _container_problem(place: Path) -> str:
    for space in ("mnt", "pid"):
        with suppress(OSError):
            if os.readlink(place / "ns" / space) != os.readlink(PROCESSES / "self" / "ns" / space):
                return "is in another container; run vgtui in there, such as by docker exec"
    return ""


def _content_problem(place: Path) -> str:
    with suppress(OSError):
        maps = (place / "maps").read_text()
        if not re.search(r"/(lib)?python3\.?[0-9]*", maps):
            return "is no Python"
        if "libtorch" not in maps:
            return "has not loaded PyTorch; it takes the process that trains, not one that started it"
    return ""


def _scope_problem() -> str:
    """Return what the system's rule for debuggers forbids."""
    with suppress(OSError, ValueError):
        scope = int((PROCESSES / "sys/kernel/yama/ptrace_scope").read_text())
        if scope == 1 and os.geteuid() != 0:
            return (
                "may not be changed by another process here (kernel.yama.ptrace_scope is 1); run vgtui with sudo -E, "
                "or allow it until the next start of the machine: sudo sysctl kernel.yama.ptrace_scope=0"
            )
        if scope == 2 and os.geteuid() != 0:
            return "may be changed by root alone here (kernel.yama.ptrace_scope is 2)"
        if scope > 2:
            return "may not be changed here (kernel.yama.ptrace_scope is 3)"
    return ""


def _python(pid: int) -> tuple[int, int] | None:
    """Return the version of Python that a process runs, if it can be told."""
    with suppress(OSError):
        found = re.search(r"/(?:lib)?python3\.([0-9]+)", (PROCESSES / str(pid) / "maps").read_text())
        if found:
            return 3, int(found[1])
    return sys.version_info[:2]  # the system will say
