"""What must come of input from outside, whatever it is: an exit code, a clear sentence, and nothing else."""

import re
import subprocess
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.cli.shell import call

MOST_MEMORY = 160e6
"""Bytes that any small file may take while it is looked at."""
COMMANDING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What could command a terminal, or turn around what stands on it."""


def assert_harmless(done: "subprocess.CompletedProcess[str]") -> None:
    """No traceback, nothing that commands the terminal; where it is refused, in one sentence."""
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1, 2, 3), done
    assert "Traceback" not in said
    assert "internal error" not in said, said
    assert not COMMANDING.search(said), repr(COMMANDING.search(said))
    if done.returncode == 2:
        assert re.fullmatch(r"vgtui( [a-z]+)?: [^\n]+\n", done.stderr), done.stderr


def look_at(*words: str | Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Call vgtui with these words, which must do no harm and take no memory to speak of."""
    done, peak = _with_peak(lambda: call(*map(str, words), env=env))
    assert_harmless(done)
    assert peak < MOST_MEMORY
    return done


def _with_peak(
    act: "Callable[[], subprocess.CompletedProcess[str]]",
) -> "tuple[subprocess.CompletedProcess[str], float]":
    """What came of it, and the bytes that this process took for it at most."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what there is
        before = _peak_of_process()
        return act(), _peak_of_process() - before
    tracemalloc.start()  # several times as slow
    try:
        return act(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _peak_of_process() -> float:
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(status.partition("VmHWM:")[2].split()[0])
