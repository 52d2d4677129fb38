"""The one exception that watching raises into a training script."""

from engine.errors import UsageError


class ArgumentError(UsageError, TypeError):
    """An argument is plainly wrong; raised by the call that was given it."""
