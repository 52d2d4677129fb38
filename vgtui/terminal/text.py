"""How numbers and outside words are put on the screen."""

import math
import re
from collections.abc import Iterable, Sequence
from textwrap import wrap

UNKNOWN = "–"
GLUE = "\u2800"
"""A blank that neither rich nor textwrap takes for one."""
MAX_CHARACTERS = 1000
"""Of words from outside that are kept: more than any that vgtui itself says."""
_NO_BREAK = re.compile(r"(?<=\d) (?=[%\d])|(?<=[±×=→]) | (?=[±×=→·])")
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


def plain(text: str) -> str:
    """Text from outside (a file, an exception) without characters that control a terminal or reorder text."""
    return _UNPRINTABLE.sub("�", text)


def shortened(text: str, most: int = MAX_CHARACTERS) -> str:
    """Words from outside, no more of them than anybody reads."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cut_in_the_middle(text: str, width: int) -> str:
    """The text, or its beginning and its end with … between: names tell one from another by both."""
    if len(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    end = (width - 1) // 2 + (width - 1) % 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def norm_text(value: float) -> str:
    """A norm in seven characters at most: 0, NaN and ∞ as what they are."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    return f"{value:.1e}" if 1e-99 <= abs(value) < 9.95e99 else f"{value:.0e}"


def value_text(value: float | None) -> str:
    """A norm, or the dash of an unknown one."""
    return UNKNOWN if value is None else norm_text(value)


def layer_name(layer: int, layers: int) -> str:
    """What a row calls weight layer `layer` of `layers`: hidden layers count from 1."""
    return "out" if layer == layers - 1 else str(layer + 1)


def short_number(value: float | None) -> str:
    """A number for reading, three digits; unknown is a dash."""
    if value is None:
        return UNKNOWN
    if value == 0 or not math.isfinite(value):
        return norm_text(value)
    if not _reads_plainly(value):
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 1e3 else f"{value:.0f}"


def numbers_alike(values: Sequence[float]) -> list[str]:
    """Numbers that are read side by side: all of them short, or where one of them needs an exponent, all with one."""
    if all(_reads_plainly(value) or value == 0 or not math.isfinite(value) for value in values):
        return [short_number(value) for value in values]
    return [norm_text(value) for value in values]


def column_number(value: float | None, decimals: int) -> str:
    """A number of a column, with the same decimals in every row.

    In a column that is aligned on the right, decimal points are then one below the other. A number that these decimals
    would not show has an exponent.
    """
    if value is None:
        return UNKNOWN
    if value == 0 or not math.isfinite(value) or not 10.0**-decimals <= abs(value) < 1e4:
        return norm_text(value)
    return f"{value:.{decimals}f}"


def _reads_plainly(value: float) -> bool:
    return 1e-3 <= abs(value) < 1e4


def share_text(value: float | None) -> str:
    """A share from 0 to 1 as a percentage."""
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def count_text(value: int) -> str:
    """A whole number with thin groups of thousands."""
    return f"{value:,}".replace(",", " ")


def first_that_fits(forms: Iterable[str], width: int) -> str:
    """The first of the forms, the longest one first, that is no wider than this; "" where none is."""
    return next((form for form in forms if len(form) <= width), "")


def whole_words(text: str, width: int) -> str:
    """The text, or as many of its first words as there is room for, and … for the others."""
    if len(text) <= width:
        return text
    room = text[: max(width, 0)]
    kept = room.rsplit(" ", 1)[0] if " " in room.strip() else room[:-1]
    return f"{kept.rstrip(' ,;:·(')}…"[: max(width, 0)]


def glued(text: str) -> str:
    """The text with GLUE in place of those blanks at which no line may end: before a unit, around a sign."""
    return _NO_BREAK.sub(GLUE, text)


def unglued(text: str) -> str:
    """The text with its blanks again."""
    return text.replace(GLUE, " ")


def wrap_words(text: str, width: int, subsequent_indent: str = "") -> list[str]:
    """Lines of at most this width; a number stays beside its unit."""
    lines = wrap(glued(text), max(width, 1), subsequent_indent=subsequent_indent)
    return [unglued(line) for line in lines]
