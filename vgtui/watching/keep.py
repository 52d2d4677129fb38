"""How long a flight recorder keeps every frame, as a user says it."""

import re

from vgtui.watching.errors import ArgumentError

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(s|min|h|d)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def keep_seconds(keep: object) -> float:
    """Read for how long every frame is kept.

    Args:
        keep: A time such as "90s", "10min", "2h" or "1d".

    Returns:
        The time in seconds.

    Raises:
        ArgumentError: It is not such a time.
    """
    found = _TIME.fullmatch(keep.strip()) if isinstance(keep, str) else None
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise ArgumentError("keep", f'{keep!r} is not a time; it takes one such as "90s", "10min" or "2h"')
    return seconds


def keep_of(record: object, keep: object) -> float | None:
    """Read for how many seconds a recording keeps every frame; None for always.

    Raises:
        ArgumentError: It is not a time, or there is no recording.
    """
    if keep is None:
        return None
    if record is None:
        raise ArgumentError("keep", "says for how long a recording keeps every frame; give it with record")
    return keep_seconds(keep)
