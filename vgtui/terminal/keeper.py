"""Keeps a command and its terminal alive, whatever becomes of the viewer that started it.

Run as a script of its own, `python -I keeper.py`, with nothing but the standard library. It owns a pseudo-terminal in
which the command runs, sends what the command writes to a viewer through a socket, and goes on reading when the viewer
has left, so that the command never waits for a reader: from then on into a log file. It ends with the command, whose
exit code it takes, 128 + n for a signal n.

The viewer reads one line with the command's process, and then what the command writes. It sends lines: "size COLUMNS
LINES" and "signal NUMBER", which goes to the command's process group.
"""

import fcntl
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress

CHUNK_BYTES = 65_536
MAX_UNREAD_BYTES = 262_144
"""What waits for a viewer that is slower than the command; beyond it, the oldest lines are left out."""
TAIL_BYTES = 65_536
"""How much of the newest output a log begins with."""
MAX_LOG_BYTES = 2**24
"""The length of a log file; a longer one begins again with the newest output."""
LOOK_SECONDS = 0.05
"""How often to look whether the command has ended."""
LEFT_OUT = b"\x1b[0m\r\n[output left out: it came faster than it could be shown]\r\n"
CANNOT_START = 127


def set_size(terminal: int, columns: int, lines: int) -> None:
    """Give a pseudo-terminal a size; the programs in it are told by the system."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


class _Log:
    """A file of the output from when the viewer left; nothing where it cannot be written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1

    def write(self, data: bytes, tail: bytes) -> None:
        """Append output. tail: the newest output, this included, with which a file begins."""
        with suppress(OSError):  # a full disk does not end the command
            if self._file < 0:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                data = tail
            elif os.fstat(self._file).st_size > MAX_LOG_BYTES:
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
                data = tail
            os.write(self._file, data)


class Keeper:
    """A command in a pseudo-terminal, and its viewer.

    Args:
        viewer: The socket of the viewer.
        log: The path of the file for what is written once the viewer has left.
    """

    def __init__(self, viewer: socket.socket, log: str) -> None:
        self._viewer: socket.socket | None = viewer
        self._log = _Log(log)
        self._unread = bytearray()
        self._tail = bytearray()
        self._asked = b""
        self._selector = selectors.DefaultSelector()
        viewer.setblocking(False)
        # the other end stays open here, so that reading never fails, whoever else closes it
        self._terminal, self._inside = os.openpty()
        os.set_blocking(self._terminal, False)
        self._selector.register(self._terminal, selectors.EVENT_READ)
        self._selector.register(viewer, selectors.EVENT_READ)

    def run(self, command: Sequence[str], columns: int, lines: int) -> int:
        """Run a command to its end, and give all that it wrote to the viewer.

        Returns:
            Its exit code.
        """
        set_size(self._terminal, columns, lines)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._inside,
                stderr=self._inside,
                start_new_session=True,
                preexec_fn=_own_the_terminal,  # noqa: PLW1509 - there are no threads here
            )
        except (OSError, subprocess.SubprocessError) as error:
            self._say(b"0\n")
            self._take(f"{command[0]} cannot be started: {error}\r\n".encode(errors="replace"))
            self._finish()
            return CANNOT_START
        self._say(b"%d\n" % process.pid)
        while process.poll() is None:
            self._turn(process.pid, LOOK_SECONDS)
        while self._turn(process.pid, 0):
            pass
        self._finish()
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _turn(self, command: int, seconds: float) -> bool:
        """Wait for something to read or to write, and do it; returns whether the command had written anything."""
        if self._viewer:
            writes = selectors.EVENT_WRITE if self._unread else 0
            self._selector.modify(self._viewer, selectors.EVENT_READ | writes)
        had_written = False
        for key, events in self._selector.select(seconds):
            if key.fd == self._terminal:
                had_written = self._read()
                continue
            if events & selectors.EVENT_READ:
                self._answer(command)
            if events & selectors.EVENT_WRITE:
                self._send()
        return had_written

    def _read(self) -> bool:
        try:
            data = os.read(self._terminal, CHUNK_BYTES)
        except OSError:
            return False
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-TAIL_BYTES]
        if self._viewer:
            self._say(data)
        else:
            self._log.write(data, bytes(self._tail))

    def _say(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > MAX_UNREAD_BYTES:
            kept = self._unread[-MAX_UNREAD_BYTES // 2 :].partition(b"\n")
            self._unread[:] = LEFT_OUT + (kept[2] or kept[0])
        self._send()

    def _send(self) -> None:
        if self._viewer and self._unread:
            try:
                del self._unread[: self._viewer.send(self._unread)]
            except BlockingIOError:
                pass
            except OSError:
                self._leave()

    def _answer(self, command: int) -> None:
        """Do what the viewer asks for; an end of its words is its end."""
        if self._viewer is None:
            return
        try:
            words = self._viewer.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._leave()
        *whole, self._asked = (self._asked + words).split(b"\n")
        for line in whole:
            with suppress(ValueError, OSError, struct.error):  # the command may have ended by itself
                name, *numbers = line.split()
                if name == b"size":
                    set_size(self._terminal, *map(int, numbers))
                elif name == b"signal":
                    os.killpg(command, int(numbers[0]))

    def _leave(self) -> None:
        if self._viewer:
            self._selector.unregister(self._viewer)
            self._viewer.close()
            self._viewer = None
            self._unread.clear()
            if self._tail:
                self._log.write(bytes(self._tail), bytes(self._tail))

    def _finish(self) -> None:
        """Give the viewer what it has not read yet."""
        if self._viewer:
            self._viewer.setblocking(True)
            with suppress(OSError):
                self._viewer.sendall(self._unread)
            self._viewer.close()


def _own_the_terminal() -> None:
    """Make standard output the terminal of this session, and take signals as any command does."""
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def main(arguments: Sequence[str]) -> int:
    """Run `keeper.py DESCRIPTOR COLUMNS LINES LOG COMMAND …`."""
    descriptor, columns, lines, log, *command = arguments
    keeper = Keeper(socket.socket(fileno=int(descriptor)), log)
    return keeper.run(command, int(columns), int(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
