"""An internal error: one sentence for the user, and the traceback in a file for a bug report."""

import traceback
from pathlib import Path

from platformdirs import user_log_path

from vgtui.terminal.capabilities import tell

CRASH_EXIT = 1


def report_crash(error: BaseException) -> int:
    """Keep the traceback, say where on stderr, and return the exit code."""
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    sentence = f"{type(first).__name__}: {first}".splitlines()[0]
    tell(f"internal error: {sentence}; {keep_traceback(error)}")
    return CRASH_EXIT


def keep_traceback(error: BaseException) -> str:
    """Write the traceback with its causes into the crash log; returns the words that say where it is."""
    path = Path(user_log_path("vgtui")) / "crash.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as why:
        return f"its traceback could not be kept in {path}: {why.strerror}"
    return f"please report it with {path}"
