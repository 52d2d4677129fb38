"""Where the sockets of watched models are: one folder, of which nobody else may see the inside."""

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
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from errno import ECONNREFUSED, ENAMETOOLONG
from pathlib import Path

import msgspec

from vgtui.user.variables import RUNTIME_VARIABLE

ENDING = ".sock"
LONGEST_PATH = 100
"""Of a socket, in bytes: the system takes 103 or 107."""
LONGEST_NAME = 32
LONGEST_NUMBERS = len("-4194304-0123abcd.sock")
_PLACE = re.compile(r"(?P<name>.+)-(?P<pid>[0-9]+)-[0-9a-f]{8}\.sock")
ASK_SECONDS = 0.5
"""How long all models together may take to say their names."""
MAX_HEADER_BYTES = 2**23
"""How much of a header is read for the name in it; one of 10 000 layers has 1 MB."""


@dataclass(frozen=True, slots=True)
class Place:
    """A socket, the name of what is watched, and the process that it is trained in.

    is_named: whether the model has said its name; before its first step, or when it is busy, its file gives the name.
    """

    path: Path
    name: str
    pid: int
    is_named: bool = True


class _Model(msgspec.Struct):
    name: str


class _Named(msgspec.Struct):
    """The part of a header that a list of models needs."""

    model: _Model


_decoder = msgspec.json.Decoder(_Named)


def folder() -> Path:
    """The private folder for new sockets, made where it is not there.

    Raises OSError where it is not available, also where it is another user's or open to others.
    """
    longest = LONGEST_PATH - LONGEST_NAME - LONGEST_NUMBERS
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
    """Where the folder may be, the best first; the last is short enough for any socket.

    A batch queue, or a terminal of another kind, may not have the runtime folder that a login has.
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
    """A model's name as far as its file has it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:LONGEST_NAME].strip("-._") or "model"


def new_path(name: str) -> Path:
    """Where this process can make a socket for this name. No path is given twice, by any process. Raises OSError."""
    return folder() / f"{short_name(name)}-{os.getpid()}-{secrets.token_hex(4)}{ENDING}"


def unseen(path: Path) -> Path:
    """Where the socket of this path is prepared: under a name that nobody who searches the folder looks at."""
    return path.with_name(f".{secrets.token_hex(8)}")


def places() -> list[Place]:
    """What is watched on this machine now; sockets that nobody answers on are removed. Raises OSError."""
    inside = {folder(), *(path for path in (*_folders(), *_elsewhere()) if path.is_dir() and _is_private(path))}
    files = {path: file for each in inside for path in each.iterdir() if (file := _PLACE.fullmatch(path.name))}
    found = [
        Place(path, name or files[path]["name"], int(files[path]["pid"]), is_named=name is not None)
        for path, name in _living(list(files))
    ]
    return sorted(found, key=lambda place: (place.name, place.pid, place.path))


def called(name: str, found: list[Place]) -> list[Place]:
    """The models of this name; where there is none, those whose file has it, or whose own name is not known yet."""
    exact = [place for place in found if place.is_named and place.name == name]
    return exact or [place for place in found if _is_filed_as(name, place)]


def _is_filed_as(name: str, place: Place) -> bool:
    file = _PLACE.fullmatch(place.path.name)
    return file is not None and file["name"] == (name if place.is_named else short_name(name))


def _elsewhere() -> list[Path]:
    """Where a login's runtime folder is, for a viewer that was not started from a login."""
    return [] if os.environ.get(RUNTIME_VARIABLE) else [Path(f"/run/user/{os.getuid()}/vgtui")]


def _living(paths: list[Path]) -> Iterator[tuple[Path, str | None]]:
    """The sockets that somebody listens on, each with its model's name, None where it does not say it in time."""
    deadline = time.monotonic() + ASK_SECONDS
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for path in paths:
            asking = opened.enter_context(socket.socket(socket.AF_UNIX))
            asking.setblocking(False)
            try:
                asking.connect(str(path))
            except BlockingIOError:  # as many wait there as can
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
    """Read on; whether the first line is there, or will not come."""
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


def answers(path: Path) -> bool:
    """Whether somebody listens on a socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1)
        try:
            asking.connect(str(path))
        except (TimeoutError, BlockingIOError):
            return True  # busy, and there
        except OSError:
            return False
    return True


def is_our_own(connection: socket.socket) -> bool:
    """Whether the other end of a connection belongs to the same user."""
    try:
        if sys.platform == "linux":
            _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        else:  # the BSDs and macOS: struct xucred, whose second field it is
            local_peercred = 1
            _, uid = struct.unpack_from("2I", connection.getsockopt(0, local_peercred, 76))
    except OSError:  # it has gone already
        return False
    return bool(uid == os.getuid())
