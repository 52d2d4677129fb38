"""What a user has set for good, and what vgtui remembers of the last time.

The settings file is the user's alone: vgtui reads it. What it remembers by itself is in a file of its own.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from platformdirs import user_config_path, user_state_path

from vgtui.files.atomic import write_whole
from vgtui.user.toml_file import read_toml
from vgtui.user.variables import FILE_VARIABLE


class UserSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings file.

    Attributes:
        options: The default of each option of the command line, by its name with _ for -.
        keys: The key of each action, by its name in the help.
    """

    options: dict[str, bool | int | float | str] = {}
    keys: dict[str, str] = {}


class Remembered(msgspec.Struct, frozen=True):
    """The look of the last time; None where nothing was chosen."""

    view: str | None = None
    hints: bool | None = None
    theme: str | None = None
    lessons: dict[str, int] = {}
    """Steps that were done of each lesson."""


def settings_path() -> Path:
    """Where the settings file is, whether it exists or not."""
    chosen = os.environ.get(FILE_VARIABLE)
    return Path(chosen) if chosen else user_config_path("vgtui") / "settings.toml"


def settings_name() -> str:
    """How an error calls the settings file: by the variable that names it, if it is set."""
    return FILE_VARIABLE if os.environ.get(FILE_VARIABLE) else "settings file"


def load_settings() -> UserSettings:
    """Read the settings file; without one, the defaults hold.

    Raises:
        UsageError: The file is wrong.
    """
    path = settings_path()
    if not os.path.exists(path) and FILE_VARIABLE not in os.environ:
        return UserSettings()
    return read_toml(path, UserSettings, settings_name())


def recall() -> Remembered:
    """What was remembered; nothing where that cannot be read."""
    with suppress(OSError, msgspec.DecodeError, ValueError, RecursionError):
        return msgspec.json.decode(_remembered_path().read_bytes(), type=Remembered)
    return Remembered()


def remember(**changes: Any) -> None:
    """Keep these fields of Remembered for the next time; a full disk, or a folder that cannot be written, forgets."""
    path, remembered = _remembered_path(), msgspec.structs.replace(recall(), **changes)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write(msgspec.json.encode(remembered)))


def _remembered_path() -> Path:
    return user_state_path("vgtui") / "look.json"
