"""The dashboard in a process that is forked from one which has imported it, as importing takes most of a short test.

For what begins with a new Python (its encoding, its limits, variables that are read by an import), there is Terminal
itself.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from subprocess import TimeoutExpired

from tests.forked import FORKING, start_server
from tests.terminal.terminal import Terminal
from vgtui.cli.main import main


def _run(
    terminal: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    before: Callable[[], None],
) -> None:
    """Become `python -m vgtui` with these arguments in this terminal."""
    os.setsid()
    opened = os.open(terminal, os.O_RDWR)  # which makes it ours
    for number in range(3):
        os.dup2(opened, number)
    os.close(opened)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = os.fdopen(number, "w" if number else "r")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    os.chdir(folder)
    gc.freeze()  # what was imported long ago is not looked through again and again
    before()
    sys.exit(main(arguments))


class Forked:
    """A forked process, with what a Terminal and its tests use of subprocess.Popen."""

    def __init__(self, process: ForkServerProcess) -> None:
        process.start()
        assert process.pid
        self._process = process
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired("vgtui", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedTerminal(Terminal):
    """One whose vgtui is forked. before: done in its process ahead of it; a function that can be pickled."""

    def _start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Forked:
        assert self._stdin is None
        given = (os.ttyname(self.slave), arguments, environment, os.getcwd(), self._before)
        start_server()
        return Forked(FORKING.Process(target=_run, args=given))
