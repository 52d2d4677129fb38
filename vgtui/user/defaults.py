"""What an option is where the command line does not say: by the environment, the settings file, or vgtui itself."""

import os
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import UsageError, unknown_name
from vgtui.model.options import ALL_OPTIONS, Option
from vgtui.user.settings_file import load_settings, settings_name, settings_path
from vgtui.user.variables import EXEC_VARIABLE, FILE_VARIABLE, RUNTIME_VARIABLE, SSH_VARIABLE

Origin = Literal["built in", "settings file", "environment"]


@dataclass(frozen=True, slots=True)
class Default:
    """An option's value without the command line, and where it came from."""

    option: Option
    value: Any
    origin: Origin

    @property
    def is_built_in(self) -> bool:
        """Whether the value is from vgtui itself, not from the environment or the settings file."""
        return self.origin == "built in"

    def blamed(self, problem: str) -> UsageError:
        """The error for this value, in the name of who gave it."""
        if self.origin == "environment":
            return UsageError(self.option.variable, problem)
        if self.origin == "settings file":
            return UsageError(settings_name(), f"{settings_path()}: options.{self.option.name}: {problem}")
        return UsageError(self.option.field, problem)


def read_defaults() -> dict[str, Default]:
    """Every option's default, by its field.

    Raises:
        UsageError: A value in the settings file or the environment is wrong.
    """
    chosen = load_settings().options
    names = [option.name for option in ALL_OPTIONS]
    for name in chosen:
        if name not in names:
            problem = unknown_name("", "option", name, names).problem
            raise UsageError(settings_name(), f"{settings_path()}: options: {problem}")
    return {option.field: _default(option, chosen) for option in ALL_OPTIONS}


def unknown_variables() -> list[str]:
    """Variables of the environment that look like options of vgtui but are not."""
    known = {
        EXEC_VARIABLE, FILE_VARIABLE, RUNTIME_VARIABLE, SSH_VARIABLE, *(option.variable for option in ALL_OPTIONS)
    }  # fmt: skip
    return sorted(name for name in os.environ if name.startswith("VGTUI_") and name not in known)


def _default(option: Option, chosen: dict[str, Any]) -> Default:
    origin: Origin
    if os.environ.get(option.variable):
        word, origin = os.environ[option.variable], "environment"
    elif option.name in chosen:
        word, origin = str(chosen[option.name]), "settings file"
    else:
        return Default(option, option.default, "built in")
    try:
        return Default(option, option.parse(word), origin)
    except UsageError as error:
        raise Default(option, None, origin).blamed(error.problem) from None
