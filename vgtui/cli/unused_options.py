"""Options on the command line that do nothing beside the others: each is said in a sentence, and nothing else changes.

What the environment, the settings file or a preset gives is meant for many runs, so of these nothing is said.
"""

import argparse
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from engine.errors import UsageError
from vgtui.model.options import OPTIONS, option_of, values_of, words_of
from vgtui.terminal.capabilities import tell
from vgtui.wire.run_settings import RunSettings

NEEDS: Mapping[str, tuple[str, Collection[str]]] = {
    "weight_variance": ("initialization", ("gaussian",)),
    "bias_variance": ("initialization", ("gaussian",)),
    "momentum": ("optimizer", ("momentum", "nesterov")),
    "threads": ("backend", ("auto", "numpy")),
}
"""Options that mean something with certain values of another one alone."""


def unused(flag: str, reason: str) -> UsageError:
    """The sentence for an option, by its flag."""
    return UsageError(flag, f"does nothing {reason}")


def tell_unused(found: Iterable[UsageError]) -> None:
    """Say each of the sentences on standard error."""
    for one in found:
        tell(words_of(one))


def unused_in_run(
    chosen: argparse.Namespace, settings: RunSettings, varied: Mapping[str, Collection[Any]] | None = None
) -> Iterator[UsageError]:
    """Of the options of a run, or of a sweep that varies some: those that the other settings leave without use."""
    varied = varied or {}
    values = {field: (value,) for field, value in values_of(settings).items()} | dict(varied)
    for field, (other, kinds) in NEEDS.items():
        if (field in varied or hasattr(chosen, field)) and not set(kinds) & set(values[other]):
            flag, needed = option_of(field).flag, option_of(other)
            here = " or ".join(map(needed.show, values[other]))
            yield unused(flag, f"with {needed.flag} {here}; it is for {needed.flag} {' or '.join(kinds)}")
    for field in varied:
        if hasattr(chosen, field):
            yield unused(option_of(field).flag, f"as --vary {option_of(field).name} has its values")


def unused_run_options(chosen: argparse.Namespace, reason: str) -> Iterator[UsageError]:
    """All that were given of a run, where nothing is trained by them."""
    if chosen.preset is not None:
        yield unused("--preset", reason)
    for option in OPTIONS:
        if hasattr(chosen, option.field):
            yield unused(option.flag, reason)


def unused_chart_options(chosen: argparse.Namespace, reason: str) -> Iterator[UsageError]:
    """--metric, --by and --depth-scale, where no picture of a sweep is drawn."""
    for name in ("metric", "by", "depth_scale"):
        if getattr(chosen, name, None):
            yield unused(f"--{name.replace('_', '-')}", reason)
