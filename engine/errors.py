"""The exception for mistakes that a user can correct."""

import errno
from collections.abc import Collection
from difflib import get_close_matches

DISK_FAULTS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
"""Errors of a write that come from the disk: no space, a quota, a size limit or a fault of the device."""


class UsageError(ValueError):
    """A value that is not valid: one sentence that names the setting, its value and the values that are valid.

    Attributes:
        setting: The setting, as a field of the configuration.
        problem: The rest of the sentence.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting
        self.problem = problem


def unwritable(setting: str, path: object, error: OSError) -> UsageError:
    """Return the error for a file that cannot be written, with the reason that the system gives."""
    return UsageError(setting, f"{path} cannot be written: {error.strerror or error}")


def unknown_name(setting: str, kind: str, name: object, known: Collection[str]) -> UsageError:
    """Return the error for an unknown name, with the closest known name as a suggestion."""
    close = get_close_matches(str(name).lower(), known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else "it may be " + ", ".join(known) + "."
    return UsageError(setting, f'no {kind} "{name}"; {hint}')
