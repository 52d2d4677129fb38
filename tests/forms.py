"""Long and short forms of a test: cases of which a few run always, and all with --slow."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but(cases: Iterable[Any], *short: Any) -> list[Any]:
    """These cases, and those that are not among `short` marked as slow. A case of several arguments is a list."""
    cases = list(cases)
    assert all(case in cases for case in short), "a short form is one of the cases"
    return [
        pytest.param(*(case if isinstance(case, list) else [case]), marks=() if case in short else pytest.mark.slow)
        for case in cases
    ]
