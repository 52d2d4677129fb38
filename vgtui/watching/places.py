"""Where the sockets of watched models are: one folder, of which nobody else may see the inside."""

import os
import re
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ENDING = ".sock"
LONGEST_PATH = 100
"""Of a socket, in bytes: the system takes 103 or 107."""
LONGEST_NAME = 32
LONGEST_NUMBERS = len("-4194304-99.sock")
_PLACE = re.compile(r"(?P<name>.+)-(?P<pid>[0-9]+)(?:-[0-9]+)?\.sock")


@dataclass(frozen=True, slots=True)
class Place:
    """A socket, the name of what is watched, and the process that it is trained in."""

    path: Path
    name: str
    pid: int


def folder() -> Path:
    """The private folder for new sockets, made where it is not there.

    Raises OSError where it cannot be had, also where it is another user's or open to others.
    """
    chosen = next(
        path for path in _folders() if len(os.fsencode(path)) <= LONGEST_PATH - LONGEST_NAME - LONGEST_NUMBERS
    )
    with suppress(FileExistsError):
        chosen.mkdir(mode=0o700)
    if not _is_private(chosen):
        raise PermissionError(f"{chosen} is not a folder of yours alone: chmod 700 it, or set XDG_RUNTIME_DIR")
    return chosen


def _folders() -> list[Path]:
    """Where the folder may be, the best first; the last is short enough for any socket.

    A batch queue, or a terminal of another kind, may not have the runtime folder that a login has.
    """
    own = f"vgtui-{os.getuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime) / "vgtui"] if runtime else []), Path(tempfile.gettempdir()) / own, Path("/tmp") / own]


def _is_private(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077


def new_path(name: str) -> Path:
    """Where a socket for this name can be made by this process. Raises OSError."""
    short = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:LONGEST_NAME].strip("-._") or "model"
    inside = folder()
    endings = ["", *(f"-{number}" for number in range(2, 100))]
    paths = (inside / f"{short}-{os.getpid()}{ending}{ENDING}" for ending in endings)
    return next(path for path in paths if not path.exists())


def places() -> list[Place]:
    """What is watched on this machine now; sockets that nobody answers on are taken away. Raises OSError."""
    inside = {folder(), *(path for path in (*_folders(), *_elsewhere()) if path.is_dir() and _is_private(path))}
    found = (place for path in inside for place in _living(path))
    return sorted(found, key=lambda place: (place.name, place.pid))


def _elsewhere() -> list[Path]:
    """Where a login's runtime folder is, for who looks from something that is none."""
    return [Path(f"/run/user/{os.getuid()}/vgtui")]


def _living(inside: Path) -> Iterator[Place]:
    for path in inside.iterdir():
        if found := _PLACE.fullmatch(path.name):
            if answers(path):
                yield Place(path, found["name"], int(found["pid"]))
            else:
                path.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Whether somebody listens on a socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1)
        try:
            asking.connect(str(path))
        except TimeoutError:
            return True  # busy, and there
        except OSError:
            return False
    return True


def is_our_own(connection: socket.socket) -> bool:
    """Whether the other end of a connection belongs to the same user."""
    if sys.platform == "linux":
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    else:  # the BSDs and macOS: struct xucred, whose second field it is
        local_peercred = 1
        _, uid = struct.unpack_from("2I", connection.getsockopt(0, local_peercred, 76))
    return bool(uid == os.getuid())
