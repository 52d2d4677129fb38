"""Every theme can be read, and its text can be read on its backgrounds."""

import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from engine.errors import UsageError
from vgtui.user.data_files import users_folder
from vgtui.user.themes import Palette, find_palette, load_palettes

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
    series = {name: getattr(palette.series, name) for name in palette.series.__struct_fields__ if name != "pinned"}
    series |= {f"pinned {number}": colour for number, colour in enumerate(palette.series.pinned)}
    levels = {f"level {number}": colour for number, colour in enumerate(palette.levels)}
    named = {name: getattr(palette, name) for name in ("text", "muted", "accent", "pending")}
    return {
        **named,
        **series,
        **levels,
        **{f"health {word}": colour for word, colour in msgspec.structs.asdict(palette.health).items()},
    }


def write_theme(name: str, text: str) -> Path:
    folder = users_folder("themes")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, "utf-8")
    return path


def test_there_are_themes_for_every_need() -> None:
    palettes = load_palettes()[0]
    assert {name: palette.dark for name, palette in palettes.items()} == {
        "colour_blind": True,
        "dark": True,
        "high_contrast": True,
        "light": False,
        "monochrome": True,
        "solarized_dark": True,
        "solarized_light": False,
    }


def test_monochrome_has_greys_alone() -> None:
    colours = text_colours(find_palette("monochrome")).values()
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours)


def test_high_contrast_is_that() -> None:
    palette = find_palette("high_contrast")
    grounds = (palette.background, palette.panel, palette.selection)
    assert min(contrast(colour, ground) for colour in text_colours(palette).values() for ground in grounds) >= 7


def test_a_users_own_theme_is_found_and_may_take_the_place_of_ours() -> None:
    text = (Path(__file__).parent.parent / "themes" / "dark.toml").read_text("utf-8")
    write_theme("mine", text.replace('name = "dark"', 'name = "mine"').replace("#11151c", "#000000"))
    write_theme("dark", text.replace("#11151c", "#010101"))
    assert find_palette("mine").background == "#000000"
    assert find_palette("dark").background == "#010101"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('text = "#dfe5ee"', 'text = "red"', "text: takes a colour as #rrggbb"),
        ('weak = "#f2c94c"', 'weak = "#12"', "health.weak: takes a colour as #rrggbb"),
        ('weak = "#f2c94c"', "", "health.weak: is missing"),
        ('ghost = "#8f9bb0"', "", "series.ghost: is missing"),
        ("dark = true", 'dark = "yes"', "dark: Expected bool, got str"),
        ('accent = "', 'accnt = "', "accnt: is not a field"),
        ('muted = "', 'mutes = "#ffffff"\nmuted = "', "mutes: is not a field"),
        ('name = "dark"', 'name = "dark', "is not a TOML file"),
    ],
)
def test_an_error_in_a_theme_is_named_by_file_and_field(old: str, new: str, words: str) -> None:
    text = (Path(__file__).parent.parent / "themes" / "dark.toml").read_text("utf-8")
    assert old in text
    path = write_theme("mine", text.replace(old, new))
    palettes, (warning,) = load_palettes()
    assert "dark" in palettes
    assert f"{path}" in warning.problem
    assert words in warning.problem
    with pytest.raises(UsageError, match=re.escape(words)):
        find_palette("mine")


@pytest.mark.parametrize("name", load_palettes()[0])
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
    for palette in load_palettes()[0].values():
        assert all(one != other for one, other in pairwise(palette.levels))


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(UsageError, match='no theme "lihgt"'):
        find_palette("lihgt")
