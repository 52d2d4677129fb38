"""Trainings on other machines: `vgtui top --json` there, over SSH. A host that fails is a row with one reason."""

import asyncio
import time
from asyncio.subprocess import DEVNULL, PIPE, Process, create_subprocess_exec
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from vgtui.sources.trainings import Training, decode_training
from vgtui.terminal.text import plain, shortened
from vgtui.wire.frames import LINE_LIMIT

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
"""Asks no questions: a password could not be typed beside the screen."""
VGTUI = "vgtui"
"""How vgtui is called on the host."""
ANSWER_SECONDS = 20.0
"""How long a host may take for a round: to connect, to start Python, and to wait for first frames."""
AGAIN_SECONDS = 10.0
"""How long to wait before a host that failed is asked again."""
END_SECONDS = 1.0
MAX_REASON = 200
NOT_FOUND = 127
"""The exit code of a shell that finds no such command."""


class HostTrainings:
    """The trainings of one host, as it told them last."""

    def __init__(self, host: str, ssh: Sequence[str] = SSH, vgtui: str = VGTUI) -> None:
        """Prepare to ask a host.

        Args:
            host: What SSH calls it.
            ssh: The command that runs words on a host.
            vgtui: How vgtui is called there; the shell of the host reads it.
        """
        self.host = host
        self._command = [*ssh, host, vgtui, "top", "--json"]
        self._rows: list[Training] = [Training(host=host, state="waiting", note="is asked")]

    def rows(self) -> list[Training]:
        """Return a row for each training, or one that says why there is none to show."""
        return self._rows

    async def follow(self) -> None:
        """Ask again and again, until it is cancelled."""
        while True:
            await self._ask(self._command)
            await asyncio.sleep(AGAIN_SECONDS)

    async def look_once(self) -> list[Training]:
        """Ask once, and return the rows."""
        await self._ask([*self._command, "--once"])
        return self._rows

    async def _ask(self, command: Sequence[str]) -> None:
        """Take what the command says, until it ends or is silent for too long."""
        try:
            process = await create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=LINE_LIMIT)
        except OSError as error:
            self._fail(f"{command[0]} cannot be started: {error.strerror}")
            return
        assert process.stderr
        errors = asyncio.create_task(process.stderr.read())
        try:
            await self._take_rounds(process)
            async with asyncio.timeout(END_SECONDS):
                code, said = await process.wait(), await errors
            if code or "--once" not in command:
                self._fail(_reason(code, said))
        except TimeoutError:
            self._fail(f"has not answered for {ANSWER_SECONDS:.0f} s")
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            self._fail("answers with something else than trainings; is its vgtui of another version?")
        finally:
            errors.cancel()
            await _end(process)

    async def _take_rounds(self, process: Process) -> None:
        """Take rows: an empty line ends a round, as does the end."""
        assert process.stdout
        rows: list[Training] = []
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            async with asyncio.timeout(deadline - time.monotonic()):
                line = await process.stdout.readline()
            if line.strip():
                rows.append(msgspec.structs.replace(decode_training(line), host=self.host))
                continue
            if line or process.stdout.at_eof():
                self._rows, rows = rows, []
                deadline = time.monotonic() + ANSWER_SECONDS
            if not line:
                return

    def _fail(self, reason: str) -> None:
        self._rows = [Training(host=self.host, state="failed", note=plain(shortened(reason, MAX_REASON)))]


def _reason(code: int, said: bytes) -> str:
    """Say why a command has ended, by its last words."""
    words = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    if code == NOT_FOUND:
        return "vgtui is not found there; --remote says how it is called"
    return words[-1] if words else f"ended with exit code {code}" if code else "has ended"


async def _end(process: Process) -> None:
    """End a process that may be running still."""
    for end in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            end()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
