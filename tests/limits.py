"""A disk that is full, for what writes in the process of the tests or in one of its own."""

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Meanwhile, a write beyond so many bytes of a file fails; no compiled module is left that is half of one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.getsignal(signal.SIGXFSZ)
    limit_files(size)
    try:
        with patch.object(sys, "dont_write_bytecode", True):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def limit_files(size: int) -> None:
    """From here on, a write beyond so many bytes of a file fails in this process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


def with_files_of(size: int) -> Callable[[], None]:
    """For what is done in a process ahead of its program: its files can be no longer than this."""
    return partial(limit_files, size)
