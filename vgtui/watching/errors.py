"""The one exception that watching raises into a training script."""

from engine.errors import UsageError


class ArgumentError(UsageError, TypeError):
    """An argument that is plainly wrong, said at the call that was given it."""
