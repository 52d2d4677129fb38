"""The one exception for what a user can cause and mend."""

import errno
from collections.abc import Collection
from difflib import get_close_matches

DISK_FAULTS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
"""What a write says that the disk does not take."""


class UsageError(ValueError):
    """A wrong value: names the setting, what it is and what it may be, in one sentence."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting
        self.problem = problem


def unwritable(setting: str, path: object, error: OSError) -> UsageError:
    """The error for a file that cannot be written, with the system's reason."""
    return UsageError(setting, f"{path} cannot be written: {error.strerror or error}")


def unknown_name(setting: str, kind: str, name: object, known: Collection[str]) -> UsageError:
    """The error for a name that is not among the known ones, with the nearest one as a suggestion."""
    close = get_close_matches(str(name).lower(), known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else "it may be " + ", ".join(known) + "."
    return UsageError(setting, f'no {kind} "{name}"; {hint}')
