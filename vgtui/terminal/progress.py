"""A progress bar on stderr, where that is a terminal that nothing else writes to."""

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TypeAlias

Advance: TypeAlias = Callable[[int], None]
"""Told how far it is, out of the total."""


@contextmanager
def showing_progress(doing: str, total: int, unit: str, quiet: bool, done: int = 0) -> Iterator[Advance]:
    """Show a bar with the rate and the time left, unless it is quiet, as where results scroll by on the same terminal.

    Nor is there one if stdout is a pipe: its reader may draw on this terminal.

    Args:
        doing: What is done, in a word.
        total: How many there are to do.
        unit: What they are, in the plural.
        quiet: Whether to show nothing.
        done: How many are done already.
    """
    if quiet or not sys.stderr.isatty() or is_pipe(sys.stdout):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.3g}/s" if task.speed else "")

    counted = (MofNCompleteColumn(), TextColumn(unit), RateColumn(), TimeRemainingColumn())
    columns = (TextColumn(doing), BarColumn(), *counted)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(doing, total=total, completed=done)
        yield lambda done: progress.update(bar, completed=done)


def is_pipe(file: IO[str] | None) -> bool:
    """Whether another program reads what is written; standard output is None where the shell has closed it."""
    if file is None:
        return False
    try:
        mode = os.fstat(file.fileno()).st_mode
    except io.UnsupportedOperation:  # not a file of the system
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
