"""Bringing vgtui into a Python process that was started without it, at a point where that cannot harm it.

Python 3.14 has a way of its own. Before, a library is loaded into the process, which runs a few lines of Python: they
start a thread, and all else is done by that thread, and at the training's next backward pass.
"""

import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

from engine.errors import UsageError
from vgtui.user.extras import is_installed, missing
from vgtui.watching.automatic.loading import NEEDED
from vgtui.watching.automatic.registers import can_keep, kept
from vgtui.watching.endpoints import Endpoint, hidden_path, is_same_user, list_endpoints, socket_folder

SETTING = "inject"
POINT_SECONDS = 10.0
"""How long to look for a point at which the process can be interrupted."""
POINT_REST = 0.003
"""Between two looks, in which the training goes on."""
BEGIN_SECONDS = 20.0
"""How long the process may take to begin with what was injected."""
ANSWER_SECONDS = 75.0
"""How long it may take to say what is watched: longer than it waits for a step."""
CAP_SYS_PTRACE = 19
PTRACE_SCOPE, OWN_STATUS = Path("/proc/sys/kernel/yama/ptrace_scope"), Path("/proc/self/status")
_SAFE_LIBRARIES = re.compile(
    r"/(libtorch_cpu|libtorch_cuda\w*|libgomp|libiomp5|libmkl_\w+|libcudnn\w*|libcublas\w*)[.-]"
)
"""Libraries that compute: they hold no lock of malloc, and are not in the middle of a change of Python's objects."""
_WAITING_CALLS = {7, 23, 35, 61, 202, 230, 232, 270, 271, 281}
"""System calls of x86-64 in which a thread waits: poll select nanosleep wait4 futex clock_nanosleep epoll_wait …"""
_PYTHON = re.compile(r"python(\d)\.(\d+)")
SCRIPT = """\
def begin():
    import _thread

    def answer():
        import json, socket, sys
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect({address!r})
            try:
                loading = sys.modules.get("vgtui_loading")
                if loading is None:
                    from importlib.machinery import SourceFileLoader
                    loading = type(sys)("vgtui_loading")
                    loading.__file__ = {loading!r}
                    SourceFileLoader("vgtui_loading", loading.__file__).exec_module(loading)
                    sys.modules["vgtui_loading"] = loading
                loading.load("vgtui.watching.automatic.injected", {msgspec!r}).serve(connection, {every!r})
            except Exception as error:
                connection.sendall(json.dumps({{"problem": str(error) or type(error).__name__}}).encode() + b"\\n")
        except Exception:
            pass  # whoever injected has left
        finally:
            connection.close()

    _thread.start_new_thread(answer, ())

begin()
"""
"""What the process runs; it is not to notice a fault of ours."""
RUNNER = """\
try:
    exec(compile(open({path!r}).read(), "vgtui", "exec"), {{"__name__": "vgtui_injected"}})
except Exception:
    pass
"""


@contextmanager
def injected(pid: int, every: str | int = "100ms") -> Iterator[Endpoint]:
    """Have a process watch what it trains, until the context is left.

    Args:
        pid: The process.
        every: How often a step is sampled.

    Yields:
        The first model that is watched.

    Raises:
        UsageError: It is not possible: why, and what to do.
    """
    check(pid)
    spec = find_spec("msgspec")
    folder = str(Path(spec.origin).parent.parent) if spec and spec.origin else None
    address, script = (hidden_path(socket_folder() / name) for name in ("socket", "script"))
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(address))
            listener.listen(1)
            loading = str(Path(__file__).with_name("loading.py"))
            text = SCRIPT.format(address=str(address), loading=loading, msgspec=folder, every=every)
            script.write_text(text, "utf-8")
            _run(pid, script)
            listener.settimeout(BEGIN_SECONDS)
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                raise _problem(pid, f"has not begun within {BEGIN_SECONDS:.0f} s; nothing was changed in it") from None
        finally:
            address.unlink(missing_ok=True)
            script.unlink(missing_ok=True)
    with connection:
        if not is_same_user(connection):
            raise _problem(pid, "belongs to another user")
        told = _read_answer(connection, pid)
        if "problem" in told or not told.get("path"):
            problem = told.get("problem", "no socket is available there")
            raise UsageError(SETTING, f"process {pid}: {problem}{_own_processes(pid)}")
        yield Endpoint(Path(told["path"]), told["name"], pid)
        with suppress(OSError):  # until the hooks are gone
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(BEGIN_SECONDS)
            connection.recv(1)


def _read_answer(connection: socket.socket, pid: int) -> dict[str, Any]:
    connection.settimeout(ANSWER_SECONDS)
    line = b""
    try:
        while not line.endswith(b"\n"):
            data = connection.recv(2**16)
            if not data:
                raise _problem(pid, "has ended")
            line += data
    except TimeoutError:
        raise _problem(pid, f"has not answered within {ANSWER_SECONDS:.0f} s; its hooks go with this command") from None
    except ConnectionError:
        raise _problem(pid, "has ended") from None
    told: dict[str, Any] = json.loads(line)
    return told


def _problem(pid: int, text: str) -> UsageError:
    return UsageError(SETTING, f"process {pid} {text}")


def _own_processes(pid: int) -> str:
    """Name the processes that a process has started: a launcher such as torchrun trains nothing itself."""
    try:
        children = " ".join(one.read_text() for one in Path("/proc", str(pid), "task").glob("*/children")).split()
    except OSError:
        return ""
    return f"; try a process that it has started: {', '.join(children)}" if children else ""


def check(pid: int) -> None:
    """Check beforehand what can be known from outside.

    Raises:
        UsageError: It is not possible: why, and what to do.
    """
    if sys.platform != "linux":
        raise UsageError(SETTING, "a process can be injected into on Linux alone; start it with vgtui exec")
    process = Path("/proc", str(pid))
    if pid <= 0 or not process.exists():
        raise UsageError(SETTING, f"there is no process {pid}; ps -C python shows some")
    if pid == os.getpid():
        raise _problem(pid, "is vgtui itself")
    owner = process.stat().st_uid
    if owner != os.getuid():
        raise _problem(pid, f"belongs to another user (uid {owner}); be that user: sudo -u '#{owner}' vgtui attach …")
    for kind in ("mnt", "pid"):
        if _namespace(process, kind) != _namespace(Path("/proc/self"), kind):
            raise _problem(pid, "runs in a container; run vgtui in the same one (docker exec -it CONTAINER …)")
    version = _check_python(pid, process)
    _check_ptrace()
    if any(endpoint.pid == pid for endpoint in list_endpoints()):
        raise _problem(pid, f"is watched already: vgtui attach {pid}")
    _check_way(version)


def _check_way(version: tuple[int, int] | None) -> None:
    """Check that there is a way into a Python of this version. Raises UsageError."""
    if _has_remote_exec(version):
        return
    if not can_keep():
        raise UsageError(SETTING, f"not on {os.uname().machine}; start the training with vgtui exec")
    if not is_installed("hypno"):
        raise missing("injecting takes", "hypno")


def _check_python(pid: int, process: Path) -> tuple[int, int] | None:
    """Return the version of a process's Python, if it is to be seen. Raises UsageError if it cannot train."""
    maps = _maps(process)
    if not _PYTHON.search(maps):
        raise _problem(pid, f"is not a Python process{_own_processes(pid)}")
    version = _version(process, maps)
    if version is not None and version < NEEDED:
        raise _problem(pid, f"is Python {version[0]}.{version[1]}; vgtui needs {NEEDED[0]}.{NEEDED[1]} or newer")
    if "/libtorch" not in maps:
        raise _problem(pid, f"has not loaded PyTorch; vgtui shows what PyTorch trains{_own_processes(pid)}")
    return version


def _namespace(process: Path, kind: str) -> str:
    try:
        return os.readlink(process / "ns" / kind)
    except OSError:
        return ""


def _maps(process: Path) -> str:
    try:
        return (process / "maps").read_text("utf-8", "replace")
    except OSError as error:
        raise UsageError(SETTING, f"process {process.name} cannot be looked into: {error.strerror}") from error


def _version(process: Path, maps: str) -> tuple[int, int] | None:
    """Return the version of a process's Python, by what it has loaded."""
    with suppress(OSError):
        if found := _PYTHON.search(os.path.basename(os.readlink(process / "exe"))):
            return int(found[1]), int(found[2])
    found = re.search(r"/libpython(\d)\.(\d+)", maps) or re.search(r"\.cpython-(\d)(\d+)-", maps)
    return (int(found[1]), int(found[2])) if found else None


def _check_ptrace() -> None:
    """Check that the system lets one process change another. Raises UsageError."""
    try:
        scope = int(PTRACE_SCOPE.read_text())
    except (OSError, ValueError):
        return
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", OWN_STATUS.read_text(), re.MULTILINE)
    may = bool(found and int(found[1], 16) >> CAP_SYS_PTRACE & 1)
    if scope >= 3 or (scope > 0 and not may):
        cure = "it takes a reboot without that setting" if scope >= 3 else "sudo sysctl kernel.yama.ptrace_scope=0"
        problem = f"the system lets no process change another (kernel.yama.ptrace_scope is {scope}): {cure}; "
        raise UsageError(SETTING, problem + "or start the training with vgtui exec")


def _has_remote_exec(version: tuple[int, int] | None) -> bool:
    return hasattr(sys, "remote_exec") and version == sys.version_info[:2]


def _run(pid: int, script: Path) -> None:
    """Have a process run a script. Raises UsageError."""
    process = Path("/proc", str(pid))
    try:
        if _has_remote_exec(_version(process, _maps(process))):
            sys.remote_exec(pid, script)  # type: ignore[attr-defined, unused-ignore]
        else:
            _run_by_library(pid, script)
    except (OSError, RuntimeError) as error:
        raise _problem(pid, f"cannot be injected into: {error}") from error


def _run_by_library(pid: int, script: Path) -> None:
    import hypno.api
    from pyinjector import PyInjectorError

    def inject(pid: int, library: str, uninject: bool) -> None:
        _load_at_safe_point(pid, library)

    try:
        with patch.object(hypno.api, "inject", inject):  # which would interrupt it anywhere
            hypno.api.inject_py(pid, RUNNER.format(path=str(script)), 0o600)
    except PyInjectorError as error:
        raise _problem(pid, f"cannot be injected into: {str(error).splitlines()[0]}") from error


def _load_at_safe_point(pid: int, library: str) -> None:
    """Load a library in a process while its main thread computes, or waits. Raises UsageError if it never does."""
    from pyinjector.injector import Injector, InjectorException

    deadline = time.monotonic() + POINT_SECONDS
    while time.monotonic() < deadline:
        injector = Injector()
        try:
            injector.attach(pid)
            try:
                if (stack := _safe_point(pid)) is not None:
                    with kept(pid, stack):
                        injector.uninject(injector.inject(os.fsencode(library)))
                    return
            finally:
                injector.detach()
        except InjectorException as error:
            raise _problem(pid, f"cannot be injected into: {error.args[-1] or error}") from error
        time.sleep(POINT_REST)
    raise _problem(pid, "was at no point at which it can be interrupted; nothing was changed in it; try again")


def _safe_point(pid: int) -> int | None:
    """Return where the stack of a stopped process's main thread ends, if it computes, or waits in the system."""
    process = Path("/proc", str(pid))
    call, *rest = (process / "syscall").read_text().split()
    if call == "running":
        return None
    stack, counter = (int(word, 16) for word in rest[-2:])
    if int(call) >= 0:
        is_safe = os.uname().machine == "x86_64" and int(call) in _WAITING_CALLS
    else:
        is_safe = bool(_SAFE_LIBRARIES.search(_library_at(counter, _maps(process))))
    return stack if is_safe else None


def _library_at(address: int, maps: str) -> str:
    for line in maps.splitlines():
        bounds, _, rest = line.partition(" ")
        low, _, high = bounds.partition("-")
        if int(low, 16) <= address < int(high, 16):
            return rest
    return ""
