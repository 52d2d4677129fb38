"""Themes: colours as data, one TOML file a theme, checked against the model below."""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

import msgspec

from engine.diagnosis import Health
from engine.errors import UsageError, unknown_name

Colour = Annotated[str, msgspec.Meta(pattern="^#[0-9a-f]{6}$")]


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lines of the charts. measured: gradient by layer, ghost: that of the run before the last change."""

    measured: Colour
    ghost: Colour
    loss: Colour
    accuracy: Colour
    validation: Colour


class Palette(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A theme.

    name: what --theme calls it. dark: whether the background is. background: of the screen; panel: of the state line,
    the footer and dialogs; selection: behind the chosen row. text, muted: for reading, for what is secondary. accent:
    titles and keys. pending: a setting whose first frame has not come. levels: colours for small to large gradients,
    from the vanishing end to the healthy one. health: one colour a word of health. series: the lines of the charts.
    """

    name: str
    dark: bool
    background: Colour
    panel: Colour
    selection: Colour
    border: Colour
    text: Colour
    muted: Colour
    accent: Colour
    pending: Colour
    levels: Annotated[list[Colour], msgspec.Meta(min_length=2)]
    health: dict[Health, Colour]
    series: Series


def load_palettes() -> dict[str, Palette]:
    """Every theme by its name, in the order of their names. Raises UsageError for a file that is no theme."""
    palettes = {}
    for file in sorted(_folder().iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            palette = _read(file)
            palettes[palette.name] = palette
    return palettes


def find_palette(name: str) -> Palette:
    """The theme of this name. Raises UsageError."""
    palettes = load_palettes()
    if name not in palettes:
        raise unknown_name("theme", "theme", name, palettes)
    return palettes[name]


def _read(file: Traversable) -> Palette:
    try:
        return msgspec.convert(tomllib.loads(file.read_text("utf-8")), Palette)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise UsageError("theme", f"{file.name} is no theme: {error}") from error


def _folder() -> Traversable:
    """A wheel carries the themes inside the package; a clone, and an editable install of it, has them beside it."""
    inside = files("vgtui") / "data" / "themes"
    return inside if inside.is_dir() else files("vgtui") / ".." / "themes"
