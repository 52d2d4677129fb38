"""The environment in which a command is started, so that what it trains is watched."""

import os
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

VARIABLE = "VGTUI_EXEC"
"""Holds the wishes, as JSON; a process without it is not watched."""
PATH_VARIABLE = "VGTUI_EXEC_PATH"
"""The folders of vgtui and of what it needs, for a Python that has none of it."""
FOLDER = Path(__file__).with_name("on_path")


class Wishes(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the trainings of a command are watched; the words are those of `vgtui.watch`."""

    name: str | None = None
    every: str | int = "100ms"
    record: str | None = None


def environment_for(wishes: Wishes, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a command.

    Args:
        wishes: How its trainings are watched.
        given: The variables that it would have otherwise.
    """
    behind = given.get("PYTHONPATH")
    return {
        **given,
        VARIABLE: msgspec.json.encode(wishes).decode(),
        PATH_VARIABLE: os.pathsep.join(folders()),
        "PYTHONPATH": str(FOLDER) + (os.pathsep + behind if behind else ""),
    }


def wishes_of(variables: Mapping[str, str]) -> Wishes | None:
    """Read the wishes from the variables of a process; None if it was not started to be watched."""
    text = variables.get(VARIABLE)
    return msgspec.json.decode(text, type=Wishes) if text else None


def folders() -> list[str]:
    """Return the folder that vgtui is imported from, and that of its libraries."""
    spec = find_spec("vgtui")
    assert spec and spec.origin
    own = str(Path(spec.origin).parents[1])
    return list(dict.fromkeys([own, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))
