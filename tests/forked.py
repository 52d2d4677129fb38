"""Training processes, and those of a sweep, that are forked off one in which NumPy and vgtui are imported already.

They are the processes that vgtui starts, with the same code and the same sockets, in a tenth of the time. For tests in
whose own process vgtui runs; that it starts them by itself is shown where it has a process of its own.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

from vgtui.worker import main as worker

ROOT = Path(__file__).parents[1]
FORKING = multiprocessing.get_context("forkserver")
PRELOADED = [
    *(__name__, "vgtui.sweeps.pool", "vgtui.sweeps.job", "concurrent.futures.process"),
    *("plotext", "vgtui.dashboard.app", "vgtui.cli.commands.attach", "vgtui.cli.commands.replay"),
]
"""Python has one such server a process, which imports what the first to start it names: so all of it, for all."""


def start_server() -> None:
    """Start what is forked, if it does not run yet: in the folder where its modules are, wherever a test has gone."""
    FORKING.set_forkserver_preload(PRELOADED)
    with chdir(ROOT):
        forkserver.ensure_running()


@contextmanager
def forked_processes() -> Iterator[None]:
    """Meanwhile, a training process and the processes of a sweep begin in this way."""
    start_server()
    with (
        patch("asyncio.create_subprocess_exec", begin_worker),
        patch("multiprocessing.get_context", {"spawn": FORKING}.__getitem__),
    ):
        yield


class ForkedProcess:
    """As much of asyncio's Process as the one that trains is asked for."""

    def __init__(self, process: BaseProcess, stderr: asyncio.StreamReader) -> None:
        self.pid = process.pid
        self.stderr = stderr
        self.returncode: int | None = None
        self._process = process
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._see_off)

    def kill(self) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        self._process.kill()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def _see_off(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self.returncode = self._process.exitcode
        self._ended.set()


async def begin_worker(*words: str, pass_fds: list[int], **_streams: int) -> ForkedProcess:
    assert words[-3:-1] == ("-m", worker.__name__), words
    stderr = asyncio.StreamReader()
    reading, writing = FORKING.Pipe(duplex=False)
    with reading, writing, socket.socket(fileno=os.dup(pass_fds[0])) as connection:
        process = FORKING.Process(target=_work, args=(connection, writing, dict(os.environ)))
        process.start()
        end = os.fdopen(os.dup(reading.fileno()), "rb", 0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stderr), end)
    return ForkedProcess(process, stderr)


def _work(connection: socket.socket, last_words: Connection, environment: dict[str, str]) -> None:
    """In the new process, which has begun in the same folder."""
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(last_words.fileno(), sys.stderr.fileno())
    last_words.close()
    sys.argv = [worker.__name__, str(connection.detach())]
    worker.main()
