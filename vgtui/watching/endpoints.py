"""The sockets of watched models: all in one folder that only their user can open."""

import os
import re
import secrets
import selectors
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from errno import ECONNREFUSED, ENAMETOOLONG
from pathlib import Path

import msgspec

from vgtui.user.variables import RUNTIME_VARIABLE

SUFFIX = ".sock"
MAX_PATH_BYTES = 100
"""The length of a socket's path: the system takes 103 or 107 bytes."""
MAX_NAME_LENGTH = 32
"""Characters of a model's name that are in the name of its socket."""
MAX_NUMBERS_LENGTH = len("-4194304-0123abcd.sock")
_SOCKET_NAME = re.compile(r"(?P<name>.+)-(?P<pid>[0-9]+)-[0-9a-f]{8}\.sock")
ASK_SECONDS = 0.5
"""How long all models together may take to give their names."""
MAX_HEADER_BYTES = 2**23
"""How much of a header is read for the name in it; a header of 10 000 layers has 1 MB."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A watched model that a viewer can attach to.

    Attributes:
        path: Its socket.
        name: Its name.
        pid: The process that trains it; 0 if it is not known.
        is_named: Whether the model itself gave the name. Before its first step, or while it is busy, the name is that
            of its socket.
    """

    path: Path
    name: str
    pid: int
    is_named: bool = True


class _Model(msgspec.Struct):
    name: str


class _Named(msgspec.Struct):
    """The part of a header that has the name of a model."""

    model: _Model


_decoder = msgspec.json.Decoder(_Named)


def socket_folder() -> Path:
    """Return the private folder for new sockets, which is made if necessary.

    Raises:
        OSError: It cannot be made, or it belongs to another user or is open to others.
    """
    longest = MAX_PATH_BYTES - MAX_NAME_LENGTH - MAX_NUMBERS_LENGTH
    fitting = [path for path in _folders() if len(os.fsencode(path)) <= longest]
    if not fitting:
        raise OSError(ENAMETOOLONG, f"{RUNTIME_VARIABLE} takes a path of at most {longest} bytes")
    chosen = fitting[0]
    with suppress(FileExistsError):
        chosen.mkdir(mode=0o700)
    if not _is_private(chosen):
        raise PermissionError(f"{chosen} is not a folder of yours alone: chmod 700 it, or set XDG_RUNTIME_DIR")
    return chosen


def _folders() -> list[Path]:
    """Return the folders that are possible, the best one first; the last is short enough for any socket.

    A batch queue, or another kind of terminal, may not have the runtime folder that a login has.
    """
    if only := os.environ.get(RUNTIME_VARIABLE):
        return [Path(only)]
    own = f"vgtui-{os.getuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime) / "vgtui"] if runtime else []), Path(tempfile.gettempdir()) / own, Path("/tmp") / own]


def _is_private(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077


def short_name(name: str) -> str:
    """Return as much of a model's name as the name of its socket has."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:MAX_NAME_LENGTH].strip("-._") or "model"


def new_socket_path(name: str) -> Path:
    """Return a path for a new socket of this process. No two calls, in any process, return the same path.

    Args:
        name: The name of the model.

    Raises:
        OSError: There is no folder for sockets.
    """
    return socket_folder() / f"{short_name(name)}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"


def hidden_path(path: Path) -> Path:
    """Return a path beside this one that list_endpoints() skips, to prepare a socket under."""
    return path.with_name(f".{secrets.token_hex(8)}")


def list_endpoints(known: Container[Path] = ()) -> list[Endpoint]:
    """List the models that are watched on this machine, by name. Sockets that no process listens on are removed.

    Args:
        known: Sockets that are left out: nothing is asked there.

    Raises:
        OSError: There is no folder for sockets, or it cannot be read.
    """
    inside = {socket_folder(), *(path for path in (*_folders(), *_elsewhere()) if path.is_dir() and _is_private(path))}
    paths = [path for each in inside for path in each.iterdir() if path not in known]
    files = {path: file for path in paths if (file := _SOCKET_NAME.fullmatch(path.name))}
    found = [
        Endpoint(path, name or files[path]["name"], int(files[path]["pid"]), is_named=name is not None)
        for path, name in _living(list(files))
    ]
    return sorted(found, key=lambda endpoint: (endpoint.name, endpoint.pid, endpoint.path))


def endpoints_named(name: str, found: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints of a name; if there is none, those whose socket has it."""
    exact = [endpoint for endpoint in found if endpoint.is_named and endpoint.name == name]
    return exact or [endpoint for endpoint in found if _is_filed_as(name, endpoint)]


def _is_filed_as(name: str, endpoint: Endpoint) -> bool:
    file = _SOCKET_NAME.fullmatch(endpoint.path.name)
    return file is not None and file["name"] == (name if endpoint.is_named else short_name(name))


def _elsewhere() -> list[Path]:
    """Return the runtime folder of a login, for a viewer that was not started from a login."""
    return [] if os.environ.get(RUNTIME_VARIABLE) else [Path(f"/run/user/{os.getuid()}/vgtui")]


def _living(paths: list[Path]) -> Iterator[tuple[Path, str | None]]:
    """Yield the sockets that a process listens on, each with its model's name, or None if it does not come in time."""
    deadline = time.monotonic() + ASK_SECONDS
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for path in paths:
            asking = opened.enter_context(socket.socket(socket.AF_UNIX))
            asking.setblocking(False)
            try:
                asking.connect(str(path))
            except BlockingIOError:  # its queue of connections is full
                yield path, None
            except OSError as error:
                if error.errno == ECONNREFUSED:  # for good: no later socket has the same path
                    path.unlink(missing_ok=True)
            else:
                selector.register(asking, selectors.EVENT_READ, (path, bytearray()))
        while waiting := list(selector.get_map().values()):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:
                yield from ((key.data[0], None) for key in waiting)
                return
            for key, _ in ready:
                path, header = key.data
                if _has_ended(key.fileobj, header):  # type: ignore[arg-type]
                    selector.unregister(key.fileobj)
                    yield path, _name_in(header)


def _has_ended(connection: socket.socket, header: bytearray) -> bool:
    """Read more of a header. Returns whether its line is complete, or will never be."""
    try:
        data = connection.recv(2**16)
    except BlockingIOError:
        return False
    except OSError:
        return True
    header += data
    return not data or b"\n" in data or len(header) > MAX_HEADER_BYTES


def _name_in(header: bytearray) -> str | None:
    try:
        return _decoder.decode(header.partition(b"\n")[0]).model.name or None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_listening(path: Path) -> bool:
    """Return whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1)
        try:
            asking.connect(str(path))
        except (TimeoutError, BlockingIOError):
            return True  # it is busy
        except OSError:
            return False
    return True


def is_same_user(connection: socket.socket) -> bool:
    """Return whether the process at the other end of a connection belongs to the same user."""
    try:
        if sys.platform == "linux":
            _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        else:  # the BSDs and macOS: the second field of struct xucred
            local_peercred = 1
            _, uid = struct.unpack_from("2I", connection.getsockopt(0, local_peercred, 76))
    except OSError:  # the other end is closed already
        return False
    return bool(uid == os.getuid())
