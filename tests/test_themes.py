"""Every theme can be read, and its text can be read on its backgrounds."""

from itertools import pairwise

import pytest

from engine.errors import UsageError
from vgtui.themes import Palette, find_palette, load_palettes

CONTRAST = 4.5
"""For text, WCAG 2.2 success criterion 1.4.3."""


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def text_colours(palette: Palette) -> dict[str, str]:
    series = {name: getattr(palette.series, name) for name in palette.series.__struct_fields__}
    levels = {f"level {number}": colour for number, colour in enumerate(palette.levels)}
    named = {name: getattr(palette, name) for name in ("text", "muted", "accent", "pending")}
    return {**named, **series, **levels, **{f"health {word}": colour for word, colour in palette.health.items()}}


def test_there_is_a_dark_and_a_light_theme() -> None:
    palettes = load_palettes()
    assert {name: palette.dark for name, palette in palettes.items()} == {"dark": True, "light": False}


@pytest.mark.parametrize("name", load_palettes())
@pytest.mark.parametrize("ground", ["background", "panel", "selection"])
def test_every_text_colour_stands_out_from_its_ground(name: str, ground: str) -> None:
    palette = find_palette(name)
    faint = {
        use: round(contrast(colour, getattr(palette, ground)), 2)
        for use, colour in text_colours(palette).items()
        if contrast(colour, getattr(palette, ground)) < CONTRAST
    }
    assert not faint


def test_neighbouring_levels_have_different_colours() -> None:
    for palette in load_palettes().values():
        assert all(one != other for one, other in pairwise(palette.levels))


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(UsageError, match='no theme "lihgt"'):
        find_palette("lihgt")
