"""The exit codes of `vgtui`, and the signals that end it with 128 + their number."""

import signal

FAULT_EXIT = 1
"""A fault of the run, of the machine, or of vgtui itself."""
FOUND_EXIT = 1
"""`vgtui top --fail-on` has found what it looks for, or could not look everywhere."""
USAGE_EXIT = 2
UNMET_EXIT = 3
"""`--until` was not reached."""


def ending_signals() -> list[signal.Signals]:
    """The signals that end a program, but for those that are ignored, as nohup has it."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in ending if signal.getsignal(number) is not signal.SIG_IGN]
