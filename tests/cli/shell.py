"""vgtui as a shell sees it: what it prints, where, and its exit code."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from tests.forked import forked_processes
from vgtui.cli.main import main

SMALL = ["--hidden-layers", "3", "--width", "8", "--batch-size", "32"]


def command(*arguments: str) -> list[str]:
    """The words that start `vgtui` with these arguments."""
    return [sys.executable, "-m", "vgtui", *arguments]


def call(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """`vgtui` with these arguments and no terminal at any end, without a Python of its own, which takes 0.3 s to start.

    What it starts is forked, for the same reason. env: variables beside those that there are.
    """
    out, errors = io.StringIO(), io.StringIO()
    with (
        forked_processes(),
        redirect_stdout(out),
        redirect_stderr(errors),
        patch("sys.stdin", io.StringIO()),
        chdir(cwd) if cwd else nullcontext(),
        patch.dict(os.environ, env or {}),
    ):
        try:
            code = main(arguments)
        except SystemExit as leaving:  # argparse's way
            code = int(leaving.code or 0)
    return subprocess.CompletedProcess(["vgtui", *arguments], code, out.getvalue(), errors.getvalue())


def call_apart(
    *arguments: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """The same in a process of its own, for what only that shows. before: done in it ahead of vgtui."""
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(WITHOUT_BYTECODE if before else {}), **(env or {})},
        preexec_fn=before,
    )


WITHOUT_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""For a process whose files are limited: Python would leave half of a compiled module for every process after it."""
