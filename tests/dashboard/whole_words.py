"""Reads a screen widget by widget, and finds words that are cut off at an edge."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from textual.screen import Screen
from textual.widgets._toast import Toast

NUMBER = re.compile(r"[-+±]?\d+(\.\d+)?(e[+-]?\d+)?[%ⁿ]?")
LEADS = re.compile(r"[%±×=]")
"""What must not begin a line, as it belongs to the text before it."""
BORDERS = "│╭╮╰╯─┌┐└┘"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one widget, from edge to edge, and where that is."""

    where: str
    text: str

    @property
    def inner(self) -> Iterator[str]:
        """The words that end before the edge, which are whole."""
        words = list(re.finditer(r"\S+", self.text))
        return (_bare(word[0]) for word in words if word.end() < len(self.text))

    @property
    def outer(self) -> Iterator[str]:
        """The word at the right edge, which may be cut off."""
        words = list(re.finditer(r"\S+", self.text))
        return (word[0] for word in words if word.end() == len(self.text))


@dataclass
class Screens:
    """What was read from screens: whole words, and lines with a word at an edge."""

    whole: set[str] = field(default_factory=set)
    doubtful: list[Line] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def read(self, screen: Screen[Any], what: str) -> None:
        """Read a screen; `what` describes it in reports of faults."""
        for line in lines_of(screen, what):
            self.whole.update(line.inner)
            if any(line.outer) or LEADS.match(line.text.lstrip()):
                self.doubtful.append(line)
        for widget in screen._compositor.visible_widgets:
            if widget.allow_horizontal_scroll:
                self.faults.append(f"{what}, {type(widget).__name__}: {widget.max_scroll_x} columns beyond the edge")

    def cut(self, outside: Iterable[str] = ()) -> list[str]:
        """All places where a word is cut off or a unit begins a line; names from outside may end in …"""
        known = self.whole | {*outside}
        found = [*self.faults]
        for line in self.doubtful:
            if LEADS.match(line.text.strip()):
                found.append(f"{line.where}: {line.text!r} begins with what belongs to the line before")
            for word in line.outer:
                bare = _bare(word)
                if not any(map(str.isalnum, bare)) or bare in known or NUMBER.fullmatch(bare) or "…" in word:
                    continue
                found.append(f"{line.where}: {word!r} in {line.text!r}")
        return list(dict.fromkeys(found))


def lines_of(screen: Screen[Any], what: str) -> Iterator[Line]:
    """The lines of every visible widget without children, and the titles of borders."""
    texts = [strip.text for strip in screen._compositor.render_strips()]
    places = screen._compositor.visible_widgets
    notices = [region for widget, (region, _) in places.items() if isinstance(widget, Toast)]
    for widget, (region, clip) in places.items():
        seen = region.intersection(clip)
        if any(notice.overlaps(seen) for notice in notices) and not isinstance(widget, Toast):
            continue  # partly covered
        where = f"{what}, {type(widget).__name__}"
        inside = seen
        if widget.styles.border.spacing.width:
            inside = region.shrink(widget.styles.border.spacing).intersection(clip)
            for y in {seen.y, seen.bottom - 1}:
                yield Line(where, texts[y][seen.x : seen.right].strip(BORDERS))
        if not any(child.display for child in widget.children):
            for y in range(inside.y, inside.bottom):
                yield Line(where, texts[y][inside.x : inside.right])


def _bare(word: str) -> str:
    return word.strip(".,;:()?!\"'…")
