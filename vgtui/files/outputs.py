"""Where a user's files are written: one rule for all of them, that nothing is replaced unless the user asks for it.

A regular file that holds something is refused, or with --overwrite kept until what replaces it is there. Whatever else
a path names (a device, a pipe, a terminal, an open descriptor such as /dev/stdout) is written as it is.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.errors import UsageError, unwritable
from vgtui.files.atomic import replacing

MAX_LINKS = 40
"""Symbolic links that are followed, as the system does."""


@dataclass(slots=True)
class OutputFile:
    """A file that is open for appending, with nothing taken away; locked while it is, where it is a regular one.

    Attributes:
        path: The path as the user wrote it.
        target: Where the file really is; None for a device or a pipe, which has no contents to replace.
        is_new: Whether opening it created it.
    """

    path: str
    descriptor: int
    target: str | None = None
    is_new: bool = False

    @property
    def size(self) -> int:
        """In bytes; 0 for what has no contents of its own."""
        return 0 if self.target is None else os.fstat(self.descriptor).st_size

    def check_free(self, setting: str, overwrite: bool | None) -> None:
        """Check that the file may be written.

        Raises:
            UsageError: It holds something that must not be replaced.
        """
        if self.size and not overwrite:
            raise _occupied(setting, self.path, overwrite)

    def cut(self, kept: int = 0) -> None:
        """Take away what is not kept."""
        if self.target is not None:
            os.ftruncate(self.descriptor, kept)

    def close(self) -> None:
        """A new file that has stayed empty is removed."""
        with suppress(OSError):
            if self.target is not None and self.is_new and not self.size:
                os.unlink(self.target)
        os.close(self.descriptor)


def check_free(setting: str, path: str, overwrite: bool | None) -> None:
    """Tell early what open_output would refuse.

    Raises:
        UsageError: The file exists and must not be replaced.
    """
    if not overwrite and is_regular(path) and os.path.getsize(path):
        raise _occupied(setting, path, overwrite)


def check_other(setting: str, path: str, source: str, what_for: str) -> None:
    """Check that a file does not replace the one that it is made from.

    Args:
        setting: The setting that the error names.
        path: The file to be written.
        source: The file that is read.
        what_for: What is done with the source, as a participle.

    Raises:
        UsageError: They are the same file.
    """
    if is_regular(path) and os.path.exists(source) and os.path.samefile(path, source):
        raise UsageError(setting, f"{path} is what is {what_for}; it takes another file")


def is_regular(path: str) -> bool:
    """Whether a path names a regular file by a name of its own, not one that is open already."""
    return _open_descriptor(path) is None and os.path.isfile(path)


def open_output(setting: str, path: str, overwrite: bool | None = False, resumes: bool = False) -> OutputFile:
    """Open a file for writing, with nothing of it taken away yet.

    Args:
        setting: to be blamed.
        path: opened as it is if it is not a regular file.
        overwrite: whether a file that holds something may be replaced; None where there is no such option.
        resumes: whether it may be appended to; the caller finds out whether it is the right one.

    Raises:
        UsageError: it cannot be written, holds something, or is being written by another process.
    """
    try:
        if (descriptor := _open_descriptor(path)) is not None:
            return OutputFile(path, os.dup(descriptor))
        if not resumes:
            check_free(setting, path, overwrite)  # a better reason than that it is write-protected
        output = _opened(path)
    except OSError as error:
        raise unwritable(setting, path, error) from error
    if output.target is not None:
        try:
            _lock(setting, output)
            if not resumes:
                output.check_free(setting, overwrite)
        except BaseException:
            os.close(output.descriptor)
            raise
    return output


@contextmanager
def writing_whole(setting: str, path: str, overwrite: bool | None = False) -> Iterator[BinaryIO]:
    """A file that is written from its start to its end, or not at all: a failure leaves what was there.

    Raises:
        UsageError: It cannot be written.
        BrokenPipeError: Its reader has closed the pipe.
    """
    output = open_output(setting, path, overwrite)
    try:
        with (
            telling_faults(setting, path),
            replacing(Path(output.target)) if output.target and output.size else _directly(output) as file,
        ):
            yield file
    finally:
        output.close()


@contextmanager
def rewriting(output: OutputFile) -> Iterator[BinaryIO]:
    """A file that takes the place of one that is open for appending, which goes on at its end.

    A failure leaves the file as it was, open as before.

    Raises:
        OSError: It cannot be written.
    """
    assert output.target
    descriptor = -1
    try:
        with replacing(Path(output.target)) as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            descriptor = os.dup(file.fileno())  # with the lock
            yield file
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise
    before, output.descriptor = output.descriptor, descriptor
    os.close(before)


@contextmanager
def telling_faults(setting: str, path: str) -> Iterator[None]:
    """Raise what the system reports of a file as a UsageError, but for a pipe without a reader."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(setting, path, error) from error


@contextmanager
def _directly(output: OutputFile) -> Iterator[BinaryIO]:
    try:
        with open(output.descriptor, "wb", closefd=False) as file:
            yield file
    except BaseException:
        output.cut()
        raise


def _opened(path: str) -> OutputFile:
    """Made where it is not there: of two who make the same file, the other one finds it. Raises OSError."""
    target = os.path.realpath(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    try:
        return OutputFile(path, os.open(target, flags | os.O_CREAT | os.O_EXCL, 0o666), target, is_new=True)
    except FileExistsError:
        descriptor = os.open(target, flags)
        return OutputFile(path, descriptor, target if stat.S_ISREG(os.fstat(descriptor).st_mode) else None)


def _lock(setting: str, output: OutputFile) -> None:
    try:
        fcntl.flock(output.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(setting, f"{output.path} is being written by another process") from error
    except OSError:
        pass  # a file system without locks


def _occupied(setting: str, path: str, overwrite: bool | None) -> UsageError:
    how = "" if overwrite is None else ", or --overwrite"
    return UsageError(setting, f"{path} is there already; it takes the name of a new file{how}")


def _open_descriptor(path: str) -> int | None:
    """The descriptor of ours that a path such as /dev/stdout, /dev/fd/3 or /proc/self/fd/3 names."""
    for _ in range(MAX_LINKS):
        folder, name = os.path.split(path)
        folder = os.path.realpath(folder)
        if name.isdecimal() and re.fullmatch(rf"/dev/fd|/proc/{os.getpid()}(/task/\d+)?/fd", folder):
            return int(name)
        try:
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))
        except OSError:
            return None
    return None
