"""What a terminal gets: readable colours in every theme, no colours on request, or only ASCII."""

import unicodedata
from collections.abc import Iterable, Iterator

import pytest
from rich.segment import Segment
from textual.color import Color

from tests.dashboard.sitting import MOMENT, Sitting, open_dashboard
from tests.test_themes import CONTRAST, contrast
from vgtui.dashboard.line_filters import AsciiOnly, Shows
from vgtui.dashboard.view.look import VIEWS
from vgtui.terminal.capabilities import to_ascii
from vgtui.user.themes import load_palettes

PALETTES = load_palettes()[0]
SHORT = ("light",)
"""Without --slow, the themes for all views except the first."""
OVERLAYS = ("w", "enter", "comma", "question_mark", "ctrl+p")


def segments(sitting: Sitting) -> Iterator[Segment]:
    for strip in sitting.app.screen._compositor.render_strips():
        yield from strip


def is_read(text: str) -> bool:
    """Whether this is text, not a border, bar, scroll bar or blank."""
    names = (unicodedata.name(letter, "") for letter in text)
    return any(not name.startswith(("BOX DRAWINGS", "SPACE", "BRAILLE")) and "BLOCK" not in name for name in names)


def hidden_words(sitting: Sitting) -> dict[str, float]:
    """The texts on the screen with too little contrast."""
    found = {}
    for text, style, _ in segments(sitting):
        if style and style.color and style.bgcolor and is_read(text):
            one, other = (Color.from_rich_color(colour).hex6 for colour in (style.color, style.bgcolor))
            if contrast(one, other) < CONTRAST:
                found[f"{text.strip()} {one} on {other}"] = round(contrast(one, other), 2)
    return found


async def faint_words(sitting: Sitting, themes: Iterable[str]) -> dict[str, dict[str, float]]:
    """The texts on the present screen with too little contrast, by theme."""
    faint = {}
    for theme in themes:
        sitting.app.theme = theme
        sitting.app.main.set_palette(PALETTES[theme])
        await sitting.pilot.pause(MOMENT)
        if words := hidden_words(sitting):
            faint[theme] = words
    return faint


async def test_all_text_of_every_view_can_be_read_in_every_theme(long_form: bool) -> None:
    async with open_dashboard() as sitting:
        await sitting.press("t", "p")
        for number in range(len(VIEWS)):
            assert await faint_words(sitting, PALETTES if long_form or number == 0 else SHORT) == {}
            await sitting.press("v")


async def test_all_text_that_lies_over_the_screen_can_be_read_in_every_theme(long_form: bool) -> None:
    async with open_dashboard() as sitting:
        for key in OVERLAYS:
            await sitting.press(key)
            assert sitting.app.screen is not sitting.app.main, key
            assert await faint_words(sitting, PALETTES if long_form else SHORT) == {}, key
            await sitting.press("escape")


async def test_the_theme_changes_live_and_is_told() -> None:
    told: list[str] = []
    async with open_dashboard(on_look=lambda look, theme: told.append(theme)) as sitting:
        for name in (*list(PALETTES)[list(PALETTES).index("dark") + 1 :], "colour_blind"):
            await sitting.press("T")
            assert told[-1] == name
            styles = [style for _, style, _ in segments(sitting) if style]
            grounds = {Color.from_rich_color(style.bgcolor).hex6 for style in styles if style.bgcolor}
            assert {PALETTES[name].background.upper(), PALETTES[name].panel.upper()} <= grounds


async def test_without_colours_and_utf8_the_heat_map_has_shades() -> None:
    for shows in (Shows(colour=False), Shows(utf8=False)):
        async with open_dashboard(shows=shows) as sitting:
            await sitting.press("v")
            assert "▀" not in sitting.text
            assert ".:-=+*#%@ 1e1" in sitting.text


def test_every_character_of_the_screen_becomes_one_of_ascii() -> None:
    line = "‖∂E/∂W‖ ▸ 1.0e-03 ━━╸┊ 0.25ⁿ ⠔⠡⣿ ╭─╮│╰╯ ↑ ↓ φ′ × · … – ∞ � é"
    (plain,) = AsciiOnly().apply([Segment(line)], Color(0, 0, 0))
    assert plain.text.isascii()
    assert len(plain.text) == len(line)
    assert to_ascii("│ 12 ‖∂E/∂W‖") == "| 12 |dE/dW|"


@pytest.mark.parametrize(
    ("braille", "ascii_"), [("⠉", "'"), ("⠒", "-"), ("⠤", "."), ("⣀", "_"), ("⣿", "#"), ("⠀", " ")]
)
def test_braille_becomes_a_line_at_about_its_height(braille: str, ascii_: str) -> None:
    assert to_ascii(braille) == ascii_
