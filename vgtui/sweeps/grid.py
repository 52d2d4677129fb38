"""What a sweep is: a base configuration, the options that vary, how many seeds, and how long each run is."""

import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from engine.datasets.files import dataset_path
from engine.errors import UsageError, unknown_name
from vgtui.model.options import OPTIONS, Option, option_named, option_of, settings_from, values_of
from vgtui.terminal.text import plain
from vgtui.wire.frames import LINE_LIMIT, encode_line
from vgtui.wire.run_settings import RunSettings

FORMAT = "vgtui-sweep"
VERSION = 1
MAX_POINTS = 1_000_000
MAX_BYTES = LINE_LIMIT // 2
"""Of the line that defines a sweep. A row, which has some of its values, then is no longer than a line can be."""
SIGNIFICANT = 12
"""Digits of a value from a range, so that 1.1 is not 1.1000000000000001."""


class Axis(msgspec.Struct, frozen=True):
    """An option that varies, by its field, and the values that it takes, in their order."""

    field: str
    values: tuple[bool | int | float | str | None, ...]

    @classmethod
    def of(cls, text: str) -> "Axis":
        """Parse NAME=v1,v2,… or NAME=start:stop:count[:log].

        Raises:
            UsageError: There is no such option, or it cannot have these values.
        """
        name, equals, words = text.partition("=")
        option = option_named(name)
        if option is None:
            raise unknown_name("vary", "option", name, [option.name for option in OPTIONS])
        if not equals or not words:
            raise UsageError("vary", f'"{text}" has no values, as in {name}=v1,v2,… or {name}=start:stop:count[:log]')
        try:
            values = _range(option, words) if _is_range(option, words) else [option.parse(w) for w in words.split(",")]
            axis = cls(option.field, tuple(dict.fromkeys(values)))
            axis.check()
        except UsageError as error:
            raise UsageError("vary", f"{name}: {error.problem}") from error
        return axis

    def check(self) -> None:
        """Raise UsageError where it is no option of a run, or has no values, or values that this cannot take."""
        if all(option.field != self.field for option in OPTIONS):
            raise unknown_name("vary", "option", self.field, [option.field for option in OPTIONS])
        if not self.values:
            raise UsageError(self.field, "has no values")
        try:
            for value in self.values:
                settings_from({self.field: value})
            for value in {type(value): value for value in self.values}.values():
                msgspec.convert(msgspec.to_builtins(settings_from({self.field: value})), RunSettings)
        except msgspec.ValidationError as error:
            raise UsageError(self.field, f"cannot be {value!r}: {error}") from error

    @property
    def name(self) -> str:
        """The name of the option, as the settings file has it."""
        return option_of(self.field).name

    def show(self, value: Any) -> str:
        """A value of it beside a chart."""
        return f"{value:.4g}" if isinstance(value, float) else plain(option_of(self.field).show(value))


class Sweep(msgspec.Struct, frozen=True, tag_field="type", tag="header", kw_only=True):
    """All that defines a sweep, and the first line of its file. Every point is trained `steps` steps with each seed."""

    format: str = FORMAT
    version: int = VERSION
    settings: RunSettings
    vary: tuple[Axis, ...]
    seeds: int
    steps: int

    @property
    def size(self) -> int:
        """How many runs there are."""
        return math.prod(len(axis.values) for axis in self.vary) * self.seeds

    def check(self) -> None:
        """Raise UsageError where there can be no such sweep; each axis has values that its option can take."""
        fields = [axis.field for axis in self.vary]
        for axis in self.vary:
            if fields.count(axis.field) > 1:
                raise UsageError("vary", f"{axis.name} varies twice; name each option once, with all its values")
        if "seed" in fields and self.seeds > 1:
            raise UsageError("seeds", "varies the seed, as --vary seed does; take one of the two")
        if self.size > MAX_POINTS:
            raise UsageError("vary", f"all together are {self.size} runs; the most is {MAX_POINTS}")

    def points(self) -> Iterator["Point"]:
        """Every run, the last axis changing fastest, and its seeds together."""
        base = values_of(self.settings)
        grid = itertools.product(*(axis.values for axis in self.vary))
        runs = itertools.product(grid, range(self.seeds))
        for number, (values, more) in enumerate(runs):
            point = {**base, **{axis.field: value for axis, value in zip(self.vary, values, strict=True)}}
            yield Point(number, {**point, "seed": point["seed"] + more}, self.steps)


class Point(msgspec.Struct, frozen=True):
    """One run of a sweep: its number, every field of its settings, and how long it is."""

    number: int
    values: dict[str, Any]
    steps: int


def make_sweep(settings: RunSettings, vary: list[str], seeds: int, steps: int) -> Sweep:
    """The sweep that the options of the command line describe.

    Raises:
        UsageError: A name or a value is wrong, or there are too many points.
    """
    axes = tuple(Axis.of(text) for text in vary)
    sweep = Sweep(settings=_whole_path(settings), vary=axes, seeds=seeds, steps=steps)
    sweep.check()
    try:
        size = len(encode_line(sweep))
    except OSError as error:
        raise UsageError("vary", f"the sweep does not fit into a file: {error.strerror}") from error
    if size > MAX_BYTES:
        raise UsageError("vary", f"all values together take {size} bytes; a sweep's file takes {MAX_BYTES}")
    return sweep


def _is_range(option: Option, words: str) -> bool:
    return option.kind in ("whole", "number") and ":" in words


def _range(option: Option, words: str) -> list[Any]:
    """Evenly spaced values with both ends, or evenly in their logarithms. Raises UsageError."""
    parts = words.split(":")
    problem = UsageError(option.field, f'"{words}" is not a range; it takes start:stop:count or start:stop:count:log')
    if len(parts) not in (3, 4) or (len(parts) == 4 and parts[3] != "log"):
        raise problem
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
    except ValueError:
        raise problem from None
    if not (math.isfinite(start) and math.isfinite(stop)) or not 1 <= count <= MAX_POINTS:
        raise UsageError(option.field, f'"{words}" takes finite ends and a count from 1 to {MAX_POINTS}')
    if len(parts) == 4 and min(start, stop) <= 0:
        raise UsageError(option.field, f'"{words}" is spaced by logarithms, so both ends are above 0')
    spaced = np.geomspace(start, stop, count) if len(parts) == 4 else np.linspace(start, stop, count)
    if option.kind == "whole":
        return [round(value) for value in spaced.tolist()]
    return [float(f"{value:.{SIGNIFICANT}g}") for value in spaced.tolist()]


def _whole_path(settings: RunSettings) -> RunSettings:
    """A file of data by its whole path, as who computes may be in another folder."""
    path = dataset_path(settings.dataset)
    return replace(settings, dataset=str(path.resolve())) if os.path.isfile(path) else settings
