"""How numbers and outside words are put on the screen."""

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vgtui.recordings.frames import Header

UNKNOWN = "–"
MAX_CHARACTERS = 1000
"""Of words from outside that are kept: more than any that vgtui itself says."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def plain(text: str) -> str:
    """Words from outside (a file, an exception), without what could command the terminal or reorder the line."""
    return _UNPRINTABLE.sub("�", text)


def shortened(text: str, most: int = MAX_CHARACTERS) -> str:
    """Words from outside, no more of them than anybody reads."""
    return text if len(text) <= most else text[: most - 1] + "…"


def norm_text(value: float) -> str:
    """A norm in seven characters at most: 0, NaN and ∞ as what they are."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return "0" if value == 0 else f"{value:.1e}"


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
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def share_text(value: float | None) -> str:
    """A share from 0 to 1 as a percentage."""
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def count_text(value: int) -> str:
    """A whole number with thin groups of thousands."""
    return f"{value:,}".replace(",", " ")


def model_words(header: "Header") -> str:
    """Somebody's own model, in words; shown as outside words are."""
    model = header.model
    assert model
    facts = [f"{model.framework} model of {len(header.layers)} layers".strip()]
    if model.parameters is not None:
        facts.append(f"{count_text(model.parameters)} parameters")
    if model.optimizer:
        facts.append(model.optimizer)
    return f"{model.name}: {', '.join(facts)}"
