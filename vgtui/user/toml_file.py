"""A user's TOML file, read into a model that validates it, with one sentence for what is wrong in it."""

import re
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.errors import UsageError

Model = TypeVar("Model")

MAX_BYTES = 2**20
COLOUR_PATTERN = "^#[0-9a-fA-F]{6}$"


def read_toml(file: Path | Traversable, model: type[Model], setting: str) -> Model:
    """The file as a `model`.

    Raises:
        UsageError: That names the file and the field, blamed on `setting`.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(setting, f"{file} is longer than {MAX_BYTES} bytes, and no file of vgtui's is")
        return msgspec.convert(tomllib.loads(data.decode()), model)
    except msgspec.ValidationError as error:
        raise UsageError(setting, f"{file}: {_explain(str(error))}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise UsageError(setting, f"{file} is not a TOML file: {error}") from error
    except OSError as error:
        raise UsageError(setting, f"{file} cannot be read: {error.strerror}") from error


def _explain(problem: str) -> str:
    """Put the field in front of msgspec's words."""
    words, _, path = problem.partition(" - at ")
    field = path.strip("`").removeprefix("$").removeprefix(".")
    if COLOUR_PATTERN in words:
        words = "takes a colour as #rrggbb"
    missing = re.fullmatch(r"Object (missing required|contains unknown) field `(.*)`", words)
    if missing:
        field = f"{field}.{missing[2]}" if field else missing[2]
        words = "is missing" if missing[1].startswith("missing") else "is not a field"
    return f"{field or 'the file'}: {words.replace('`', '')}"
