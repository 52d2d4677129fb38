"""docs/verdicts.md has every kind of verdict, and the bounds of the code."""

import re
from pathlib import Path

import pytest

from engine.verdict import BOUNDS, VERDICT_KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### (\S+)\n\n(.*?)(?=^#|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


def test_every_kind_has_a_section_and_no_section_is_of_another() -> None:
    assert set(SECTIONS) == set(VERDICT_KINDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_page_states_the_bounds_of_the_code(name: str) -> None:
    section = SECTIONS[name.removesuffix(" norm")]
    numbers = {float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", section)}
    assert BOUNDS[name].value in numbers


def test_every_link_within_the_page_leads_somewhere() -> None:
    links = re.findall(r"\(#([^)]+)\)", PAGE)
    assert links and set(links) <= set(SECTIONS)
