"""Processes with little: few files, little memory, no home, a full disk, closed streams; and users who are not root."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cli.shell import SMALL, WITHOUT_BYTECODE, command
from tests.outside.corpus import RECORDING, SWEEP_FILE
from tests.outside.harmless import COMMANDING

FULL = Path("/dev/full")
SHORT = ("run", "--steps", "2", *SMALL)
SWEEP = ("sweep", "--vary", "width=4,5", "--steps", "1", "--hidden-layers", "2", "--jobs", "2")
PRINTING: tuple[tuple[str, ...], ...] = (
    ("list",), ("--help",), ("run", "--help"), ("--version",), ("config",), ("config", "--json"),
    ("config", "--example"), ("completion", "bash"), ("lessons",), ("lessons", "quarter"), ("doctor", "--json"), SHORT,
    (*SHORT, "--format", "jsonl"), (*SHORT, "--format", "csv"), SWEEP, (*SWEEP, "-o", "-"), ("replay", "run.jsonl"),
    ("export", "run.jsonl", "-o", "-"), ("export", "run.jsonl", "--format", "svg", "-o", "-"), ("plot", "sweep.jsonl"),
    ("export", "sweep.jsonl", "-o", "-"), ("report", "run.jsonl", "-o", "-"), ("bench", "--seconds", "0.5"),
)  # fmt: skip
"""Every command that prints; the files are those that `write_files` makes."""
NO_PASSWD_ENTRY = 54321
"""A user whom the system does not know, as in a container."""


def write_files(folder: Path) -> None:
    """What the commands read."""
    (folder / "run.jsonl").write_bytes(RECORDING.right)
    (folder / "sweep.jsonl").write_bytes(SWEEP_FILE.right)


def call_with(
    *words: str,
    cwd: Path,
    stdout: str | None = None,
    limits: Mapping[int, int] | None = None,
    env: Mapping[str, str | None] | None = None,
    user: int | None = None,
    before: Callable[[], None] = lambda: None,
) -> "subprocess.CompletedProcess[str]":
    """`vgtui` with these words, under these limits.

    stdout: a file to print to. env: variables to set, or with None to take away. user: who it is, root alone can say.
    """

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for which, most in (limits or {}).items():
            resource.setrlimit(which, (most, most))
        before()

    variables = {**os.environ, "PYTHONUNBUFFERED": "", **WITHOUT_BYTECODE, **(env or {})}
    to_other_user = (
        ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=+dac_read_search",
         "--ambient-caps=+dac_read_search"] if user else []
    )  # fmt: skip
    output = open(stdout, "w") if stdout else subprocess.PIPE  # noqa: SIM115
    try:
        return subprocess.run(
            [*to_other_user, *command(*words)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={name: value for name, value in variables.items() if value is not None}
            | {"PYTHONPATH": str(Path(__file__).parents[2])},
            preexec_fn=limit,
            timeout=120,
        )
    finally:
        if not isinstance(output, int):
            output.close()


def fault_in(done: "subprocess.CompletedProcess[str]", codes: tuple[int, ...] = (0, 1, 2)) -> str | None:
    """What is wrong with how it ended: a traceback, no sentence where it failed, or another exit code."""
    said = done.stderr
    if done.returncode not in codes:
        return f"exit code {done.returncode}: {said[-300:]}"
    if "Traceback" in said or "internal error" in said or "Exception ignored" in said or "Warning" in said:
        return said[-600:]
    if done.returncode and not said.strip().splitlines()[-1:]:
        return "it failed without a word"
    if done.returncode and not said.strip().splitlines()[-1].startswith("vgtui"):
        return said[-300:]
    return f"{said!r} commands the terminal" if COMMANDING.search(said.replace("\r", "")) else None


def close_output() -> None:
    os.close(1)


def close_the_others() -> None:
    os.close(0)
    os.close(2)


def is_root_with_setpriv() -> bool:
    """Whether a process can be given to another user."""
    from shutil import which

    return sys.platform == "linux" and os.getuid() == 0 and which("setpriv") is not None
