"""Numbers and words for the screen: one form where they stand side by side, whole words where there is no room."""

import math

import pytest

from vgtui.terminal.text import (
    column_number,
    first_that_fits,
    norm_text,
    numbers_alike,
    short_number,
    whole_words,
    wrap_words,
)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1e-5, 1e-2], ["1.0e-05", "1.0e-02"]),
        ([0.05, 0.25, 0.0], ["0.05", "0.25", "0"]),
        ([50.0, 60.0], ["50", "60"]),
        ([math.nan, 0.5], ["NaN", "0.5"]),
    ],
)
def test_numbers_that_are_read_side_by_side_have_one_form(values: list[float], texts: list[str]) -> None:
    assert numbers_alike(values) == texts


def test_the_points_of_a_column_stand_below_each_other() -> None:
    column = [f"{column_number(value, 3):>8}" for value in (1.0, 0.2236, 41.5, 0.001, 9999.0)]
    assert {text.index(".") for text in column} == {4}


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0"), (math.inf, "∞"), (2e-7, "2.0e-07")])
def test_what_the_decimals_of_a_column_do_not_show_has_a_form_of_its_own(value: float | None, text: str) -> None:
    assert column_number(value, 3) == text


@pytest.mark.parametrize("value", [1e-300, 4.9e-324, 1e-100, 1e-99, 9.99e99, 1e300, 1.0, math.nan, math.inf, 0.0])
def test_a_norm_takes_seven_characters_at_most(value: float) -> None:
    assert len(norm_text(value)) <= 7


@pytest.mark.parametrize(("value", "text"), [(999.4, "999"), (1500.0, "1500"), (9999.0, "9999"), (1e4, "1.0e+04")])
def test_a_number_for_reading_has_an_exponent_from_ten_thousand_on(value: float, text: str) -> None:
    assert short_number(value) == text


def test_a_text_that_is_too_long_loses_whole_words() -> None:
    assert whole_words("BatchNorm on, skip on", 21) == "BatchNorm on, skip on"
    assert whole_words("BatchNorm on, skip on", 20) == "BatchNorm on, skip…"
    assert whole_words("BatchNorm on, skip on", 15) == "BatchNorm on…"
    assert whole_words("transformer", 6) == "trans…"
    assert all(len(whole_words("a transformer, with attention", width)) <= width for width in range(30))


@pytest.mark.parametrize("width", range(14, 40))
def test_no_line_ends_between_a_number_and_its_unit(width: int) -> None:
    lines = wrap_words("saturated 50 %, output 0.25 ± 0.25 of 1 234 values", width)
    assert " ".join(lines) == "saturated 50 %, output 0.25 ± 0.25 of 1 234 values"
    assert not any(line.startswith(("%", "±", "234")) or line.endswith("±") for line in lines)


def test_the_longest_form_that_fits_is_chosen() -> None:
    assert [first_that_fits(("since the start →", "time →"), width) for width in (17, 16, 5)] == [
        "since the start →",
        "time →",
        "",
    ]
