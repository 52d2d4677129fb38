"""Which processes a command has started."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

MAX_GENERATIONS = 64


def belongs_to(pid: int, command: int) -> bool:
    """Return whether a process is a command, one of its descendants, or in the session that the command leads.

    A launcher may give its processes sessions of their own, and a script may end before the processes that it started.

    Args:
        pid: The process.
        command: The process of the command.
    """
    with suppress(OSError):
        if os.getsid(pid) == command:
            return True
    for _ in range(MAX_GENERATIONS):
        if pid == command:
            return True
        if (pid := _parent_of(pid)) <= 1:
            return False
    return False


def runs(pid: int) -> bool:
    """Return whether there is such a process, and it has not ended.

    Args:
        pid: The process; 0 if it is not known.
    """
    return pid > 0 and _state_of(pid) not in ("", "Z", "X")


def _state_of(pid: int) -> str:
    """Return the letter of what a process does; nothing if there is no such process."""
    with suppress(OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        said = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return said.stdout.strip()[:1]
    return ""


def _parent_of(pid: int) -> int:
    """Return the parent of a process; 0 if the process has ended."""
    with suppress(OSError, ValueError, IndexError):
        if Path("/proc/self/stat").exists():
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        said = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(said.stdout)
    return 0
