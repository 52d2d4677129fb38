"""Themes: colours as data, one TOML file a theme, ours and the user's own, checked against the model below."""

from typing import Annotated

import msgspec

from engine.errors import UsageError
from engine.verdict import Health, VerdictKind
from vgtui.user.data_files import pick, read_all
from vgtui.user.toml_file import COLOUR_PATTERN

VERDICT_HEALTH: dict[VerdictKind, Health] = {
    "healthy": "learning",
    "starting": "unknown",
    "converged": "learning",
    "frozen-on-purpose": "learning",
    "vanishing": "vanished",
    "vanished": "zero",
    "exploding": "exploding",
    "non-finite": "NaN",
    "saturated": "weak",
    "dead": "vanished",
    "frozen": "weak",
    "rate-too-small": "weak",
    "rate-too-large": "exploding",
    "clipped-too-hard": "weak",
    "weight-decay-dominates": "weak",
    "oscillating": "exploding",
    "diverging": "exploding",
    "not-learning": "weak",
    "overfitting": "weak",
    "not-connected": "zero",
    "not-in-optimizer": "zero",
    "unregistered": "zero",
    "output-mismatch": "vanished",
    "inputs-out-of-scale": "weak",
    "targets-out-of-scale": "weak",
    "shapes-broadcast": "vanished",
    "underflow": "zero",
    "gradients-tiny": "vanished",
    "zero-weights": "zero",
    "gradients-accumulate": "exploding",
    "batch-too-small": "weak",
    "collapsed": "vanished",
    "vanishing-in-time": "vanished",
    "exploding-in-time": "exploding",
}
"""The word of health whose colour a verdict has."""

Colour = Annotated[str, msgspec.Meta(pattern=COLOUR_PATTERN)]


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lines of the charts.

    Attributes:
        measured: The run on the screen.
        ghost: The run before the last change.
        pinned: Runs that were kept.
        theory: The curve of mean-field theory.
    """

    measured: Colour
    ghost: Colour
    pinned: Annotated[list[Colour], msgspec.Meta(min_length=1)]
    theory: Colour
    loss: Colour
    accuracy: Colour
    validation: Colour


class HealthColours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One colour for each word of a layer's health."""

    learning: Colour
    weak: Colour
    vanished: Colour
    zero: Colour
    exploding: Colour
    NaN: Colour
    infinite: Colour
    unknown: Colour = "#808080"
    reached: Colour = "#808080"
    frozen: Colour = "#808080"

    def __getitem__(self, word: Health) -> str:
        colour: str = getattr(self, word)
        return colour


class Palette(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A theme.

    Attributes:
        name: What --theme calls it.
        dark: Whether the background is dark.
        background: The background of the screen.
        panel: The background of the state line, the footer and dialogs.
        selection: The background of the chosen row.
        text: Words for reading.
        muted: Words that are secondary.
        accent: Titles and keys.
        pending: A setting whose first frame has not come yet.
        levels: Colours for small to large gradients, from the vanishing end to the healthy one.
        health: A colour for each word of health.
        series: The lines of the charts.
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
    health: HealthColours
    series: Series


def load_palettes() -> tuple[dict[str, Palette], list[UsageError]]:
    """Every theme by its name: vgtui's own, then the user's, which may replace one of the same name.

    Returns:
        The themes, and an error for each of the user's files that is wrong; those are left out.
    """
    palettes, warnings = read_all("themes", Palette, "theme")
    return {palette.name: palette for palette in palettes}, warnings


def find_palette(name: str) -> Palette:
    """The theme of this name.

    Raises:
        UsageError: Its file is wrong, or there is no theme of this name.
    """
    palettes, warnings = load_palettes()
    return pick(name, palettes, warnings, "theme")
