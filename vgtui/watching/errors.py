"""The exceptions that watching raises into a script that asks for something impossible."""

from engine.errors import UsageError


class ArgumentError(UsageError, TypeError):
    """An argument is plainly wrong; raised by the call that was given it."""


class ChangeError(UsageError):
    """A change of a model that is not possible, or that finds nothing to change; the model is as it was."""
