"""In what two runs differ: one rule for ghosts, lanes, changes in the history, and settings that are not shown yet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import DATASET_NAMES
from vgtui.wire.frames import Header
from vgtui.wire.run_settings import RunSettings, file_of


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of the settings, in words: as the first run has it, and as the second."""

    field: str
    before: str
    after: str


def differences(before: Header | RunSettings, after: Header | RunSettings) -> list[Difference]:
    """What must be changed in one run to get the other; nothing for your own model, whose settings are unknown."""
    found: list[Difference] = []
    if any(isinstance(run, Header) and run.own is None for run in (before, after)):
        return found
    for field, words in _WORDS.items():
        if field == "dataset":
            old, new = _data_sets(before, after)
        else:
            old, new = _value(before, field), _value(after, field)
        if old != new:
            shown = words(old), words(new)
            if shown[0] == shown[1]:  # their first digits are the same
                shown = f"{field} {old}", f"{field} {new}"
            found.append(Difference(field, *shown))
    return found


def switch_text(name: str, on: bool) -> str:
    """A switch in words."""
    return f"{name} {'on' if on else 'off'}"


def name_of_dataset(run: Header | RunSettings) -> str:
    """The data set as the settings call it; a file that a recording names is always a path, wherever that is read."""
    if isinstance(run, RunSettings):
        return run.dataset
    assert run.dataset
    if run.dataset.path is None and run.dataset.name in DATASET_NAMES:
        return run.dataset.name
    path = run.dataset.path or run.dataset.name
    return path if "/" in path else f"./{path}"


def settings_from_header(header: Header) -> RunSettings:
    """The settings that a header of vgtui's own network describes.

    Raises:
        UsageError: Network and training do not fit together.
    """
    assert header.own
    return RunSettings(header.own.network, header.own.training, name_of_dataset(header), threads=header.backend.threads)


def _value(run: Header | RunSettings, field: str) -> Any:
    return getattr(run.network if hasattr(run.network, field) else run.training, field)


def _data_sets(before: Header | RunSettings, after: Header | RunSettings) -> tuple[str, str]:
    """Both data sets, by as much of their paths as tells them apart. A header may know the file's name alone."""
    names = name_of_dataset(before), name_of_dataset(after)
    short = Path(names[0]).name, Path(names[1]).name
    only_names = any(isinstance(run, Header) and run.dataset and not run.dataset.path for run in (before, after))
    if short[0] != short[1] or only_names or file_of(names[0]) == file_of(names[1]):
        return short
    return names


_WORDS: dict[str, Callable[[Any], str]] = {
    "activation": str,
    "initialization": str,
    "batch_norm": lambda on: switch_text("BatchNorm", on),
    "skip_connections": lambda on: switch_text("skip", on),
    "hidden_layers": lambda count: f"{count} layers",
    "width": lambda units: f"width {units}",
    "weight_variance": lambda value: f"weight variance {value:g}",
    "bias_variance": lambda value: f"bias variance {value:g}",
    "dtype": str,
    "optimizer": str,
    "dataset": str,
    "learning_rate": lambda rate: f"rate {rate:g}",
    "momentum": lambda value: f"momentum {value:g}",
    "weight_decay": lambda value: f"decay {value:g}",
    "gradient_clip": lambda norm: "no clipping" if norm is None else f"clip {norm:g}",
    "batch_size": lambda samples: f"batch {samples}",
    "seed": lambda number: f"seed {number}",
}
"""A field, and its value in the words of the state line."""

FIELDS = frozenset(_WORDS)
"""Every field that two runs can differ in."""
