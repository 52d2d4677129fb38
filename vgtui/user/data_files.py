"""Where vgtui's own data files are, in a wheel, a clone and an editable install alike; and a user's beside them."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec
from platformdirs import user_config_path

from engine.errors import UsageError, unknown_name
from vgtui.user.toml_file import read_toml

Model = TypeVar("Model", bound=msgspec.Struct)
Named = TypeVar("Named")


def read_all(kind: str, model: type[Model], setting: str) -> tuple[list[Model], list[UsageError]]:
    """Read every file of a kind, such as "themes": first vgtui's own, then the user's.

    Args:
        kind: The name of the folder.
        model: What a file is validated against.
        setting: The setting that errors name.

    Returns:
        What was read, and an error for each of the user's files that is wrong; those are left out.
    """
    found = [read_toml(file, model, setting) for file in _toml_files(own_folder(kind))]
    warnings = []
    for file in _toml_files(users_folder(kind)):
        try:
            found.append(read_toml(file, model, setting))
        except UsageError as error:
            warnings.append(error)
    return found, warnings


def pick(name: str, found: Mapping[str, Named], warnings: Sequence[UsageError], setting: str) -> Named:
    """The one of this name.

    Raises:
        UsageError: Its file is wrong, or there is none of this name.
    """
    if name in found:
        return found[name]
    for warning in warnings:
        if f"{name}.toml" in warning.problem:
            raise warning
    raise unknown_name(setting, setting, name, found)


def users_folder(kind: str) -> Path:
    """Where a user's own files of a kind are."""
    return user_config_path("vgtui") / kind


def own_folder(kind: str) -> Traversable:
    """A wheel carries them inside the package; a clone, and an editable install of it, has them beside it."""
    inside = files("vgtui") / "data" / kind
    return inside if inside.is_dir() else files("vgtui") / ".." / kind


def _toml_files(folder: Traversable | Path) -> Iterator[Traversable | Path]:
    if folder.is_dir():
        yield from sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda file: file.name)
