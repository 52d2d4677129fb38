"""What is left out of the picture for a terminal that cannot show it, or a user who does not want it."""

from dataclasses import dataclass

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from vgtui.terminal.capabilities import to_ascii


@dataclass(frozen=True, slots=True)
class Shows:
    """What the terminal shows."""

    colour: bool = True
    utf8: bool = True


EVERYTHING = Shows()


class AsciiOnly(LineFilter):
    """Every character as one of ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Replace each character by one of ASCII; styles stay."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]
