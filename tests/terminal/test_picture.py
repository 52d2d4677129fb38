"""The screen without colours, against pyte's with them."""

import pyte
import pytest

from tests.terminal.terminal import Picture

PIECES = (
    "\x1b[?1049h\x1b[2J\x1b[H\x1b[38;2;1;2;3mgradient\x1b[0m\x1b[1;4m norms\x1b[m",
    "\x1b[3;5H▀▄×‖\x1b[38;5;9m漢字\x1b[0me\u0301\x1b[K",
    "\x1b[4;1H" + "wrapped " * 7,
    "\x1b[2;1Hto the edge" + "." * 29 + "\x1b[7mnext",
    "\r\nlines\r\nthat\r\nscroll\r\n" * 4,
    "\x1b[5;10Hover\x1b[1;1H\x1b[31mwhat\x1b[0m stood there\x1b[?25l\x1b",
)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_picture_says_what_a_whole_terminal_does(size: int) -> None:
    data = "".join(PIECES).encode()
    picture, screen = Picture(40, 8), pyte.Screen(40, 8)
    stream = pyte.ByteStream(screen)
    for start in range(0, len(data), size):
        picture.feed(data[start : start + size])
        stream.feed(data[start : start + size])
        assert list(picture.lines) == screen.display
