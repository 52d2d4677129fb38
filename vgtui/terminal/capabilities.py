"""What the terminal can show, by the conventions of its environment."""

import codecs
import io
import locale
import os
import sys
import unicodedata
from contextlib import suppress

from vgtui.terminal.text import plain

_NAMES = {
    "‖": "|", "∂": "d", "Δ": "d", "φ": "f", "δ": "d", "χ": "x", "′": "'", "×": "x", "·": ".", "…" : "~", "–": "-",
    "—": "-", "−": "-", "→": ">", "←": "<", "↑": "^", "↓": "v", "▸": ">", "∞": "I", "√": "V", "≤": "<", "≥": ">",
    "≠": "!", "✓": "+", "┃": "|", "╍": "~", "┅": ".",
       "━": "=", "╸": "-", "╎": ":", "┊": ":", "┄": "-", "ⁿ": "n", "²": "2", "±": "~", "▀": "#", "█": "#", "�": "?",
    "⭘": "o", "●": "*", "▲": "^", "▼": "v", "▶": ">", "▔": "-", "▁": "_", "▎": "|", "▊": "|", "▌": "|", "▐": "|",
}  # fmt: skip
NO_HOME = "/nonexistent"
"""As systems have it for users without one."""
_HANDLER = "vgtui.ascii"
_BRAILLE, _BRAILLE_END = 0x2800, 0x28FF
_DOT_ROWS = (0, 1, 2, 0, 1, 2, 3, 3)
"""The row, from the top, of each bit of a braille character."""


def tell(words: str) -> None:
    """Say something beside the output: a sentence on standard error, where nothing in it commands the terminal."""
    with suppress(OSError):  # a closed stderr must not fail anything else
        sys.stderr.write(f"vgtui: {plain(words)}\n")


def open_streams() -> bool:
    """Whether there is a standard output. The other two lead nowhere if they were closed, in place of Python's None."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    return sys.stdout is not None


def have_home() -> None:
    """A home that is not there, in place of none: where neither HOME nor the system says one, folders have no names."""
    if not os.path.isabs(os.path.expanduser("~")):
        os.environ["HOME"] = NO_HOME


def has_utf8() -> bool:
    """Whether the locale's characters are UTF-8, whatever Python's own UTF-8 mode makes of it."""
    return locale.getencoding().lower().replace("-", "") == "utf8"


def has_colour() -> bool:
    """Whether colours are wanted (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")


def is_dumb() -> bool:
    """Whether the terminal can do no more than print line after line."""
    return os.environ.get("TERM", "") in ("dumb", "unknown")


def to_ascii(text: str) -> str:
    """The text with one ASCII character for each of its characters; a line of braille becomes a line of - . and '."""
    return text if text.isascii() else text.translate(_TABLE)


def replace_unencodable() -> None:
    """Let stdout and stderr write in ASCII what their encoding does not have, rather than raise."""
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return to_ascii(error.object[error.start : error.end]), error.end


class _Table(dict[int, str]):
    def __missing__(self, code: int) -> str:
        self[code] = found = _ascii(chr(code))
        return found


def _ascii(character: str) -> str:
    code = ord(character)
    if code < 128:
        return character
    if character in _NAMES:
        return _NAMES[character]
    if _BRAILLE <= code <= _BRAILLE_END:
        return _line_at(code - _BRAILLE)
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        sides = ("VERTICAL" in name) - ("HORIZONTAL" in name)
        return "+" if " AND " in name or not sides else "|" if sides > 0 else "-"
    if "BLOCK" in name:
        return "#"
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else " " if character.isspace() else "?"


def _line_at(bits: int) -> str:
    """A character that stands about where the dots of a braille character are."""
    rows = [row for bit, row in enumerate(_DOT_ROWS) if bits >> bit & 1]
    if not rows:
        return " "
    if max(rows) - min(rows) > 1:
        return ":" if len(rows) < 4 else "#"
    return "'-._"[round(sum(rows) / len(rows))]


_TABLE = _Table()
