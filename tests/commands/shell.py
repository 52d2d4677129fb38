"""vgtui as a shell sees it."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SMALL = ["--hidden-layers", "3", "--width", "8", "--batch-size", "32"]


def command(*arguments: str) -> list[str]:
    """The words that start `vgtui` with these arguments."""
    return [sys.executable, "-m", "vgtui", *arguments]


def call(
    *arguments: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """`vgtui` with these arguments and no terminal at any end. before: done in its process ahead of it."""
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        preexec_fn=before,
    )


def with_files_of(size: int) -> Callable[[], None]:
    """A process whose files can be no longer than this, as on a full disk: a write beyond fails."""

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit
