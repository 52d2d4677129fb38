"""A real sshd on loopback, with a line of so many bytes a second between it and its client."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.cli.shell import SMALL
from tests.terminal.terminal import Terminal, has_ended

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
HERE = Path(__file__).parents[2]
SLICES = 10
"""Of a second, in each of which its share of the bytes goes through."""


def why_not() -> str | None:
    """Why there can be no sshd here."""
    if not SSHD or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        return "needs sshd, ssh and ssh-keygen: apt-get install openssh-server openssh-client"
    return None if os.getuid() == 0 else "needs root, as an sshd of a user's own cannot make a terminal everywhere"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def sshd(folder: Path) -> Iterator[int]:
    """A server that lets in the key `folder`/key, on loopback alone; its port."""
    assert SSHD
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized").write_bytes((folder / "key.pub").read_bytes())
    port = _free_port()
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where it gives its privileges up
    with subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for_server(port)
            yield port
        finally:
            server.terminate()


def _wait_for_server(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError("sshd does not answer")


@contextmanager
def slow_line(port: int, bytes_a_second: int) -> Iterator[int]:
    """A port that leads to another, and lets so many bytes a second come back from there."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket, most: int) -> None:
        with suppress(OSError):
            while data := source.recv(most):
                target.sendall(data)
                time.sleep(len(data) / most / SLICES)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def welcome() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket()
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # no more waits in it than in a modem
                server.connect(("127.0.0.1", port))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                for ends in ((server, client, bytes_a_second // SLICES), (client, server, 65536)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=welcome, daemon=True).start()
    with listener:
        yield int(listener.getsockname()[1])


@contextmanager
def dashboard_over_ssh(
    folder: Path, bytes_a_second: int | None = None, *options: str
) -> Iterator[tuple[Terminal, int]]:
    """The dashboard on the other side of an ssh client, and the port of its line, which is its seed too."""
    with ExitStack() as stack:
        port = stack.enter_context(sshd(folder))
        line = stack.enter_context(slow_line(port, bytes_a_second)) if bytes_a_second else port
        remote = (
            f"cd {HERE} && XDG_STATE_HOME={folder} XDG_CONFIG_HOME={folder} exec {sys.executable} -m vgtui "
            f"{' '.join([*SMALL, *options])} --seed {port}"
        )
        client = ["ssh", "-tt", "-F", "none", "-i", str(folder / "key"), "-p", str(line)]
        client += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        terminal = stack.enter_context(Terminal([remote], 80, 24, program=[*client, "root@127.0.0.1"]))
        yield terminal, port


def remote_processes(port: int) -> list[int]:
    """The dashboard of this port's server and its training process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"vgtui" in words and str(port).encode() in words and b"-m" in words:
                children = (process / "task" / process.name / "children").read_text().split()
                found += [int(process.name), *map(int, children)]
    return found


def seconds_until_ended(pids: list[int], most: float = 20.0) -> float:
    """How long it takes until none of them is there."""
    begin = time.monotonic()
    while not all(map(has_ended, pids)):
        if time.monotonic() - begin > most:
            raise AssertionError(f"still there after {most} s: {pids}")
        time.sleep(0.02)
    return time.monotonic() - begin
