"""The next value of a setting: the next name in a list, wrapping around, or the next rung of a ladder."""

import bisect
import math
from collections.abc import Sequence
from typing import TypeVar

Rung = TypeVar("Rung", int, float)

DEPTHS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
CLIPS = (None, 10.0, 1.0, 0.1)
LEARNING_RATES = tuple(float(f"{digit}e{power}") for power in range(-6, 3) for digit in (1, 2, 5))


def neighbour(names: Sequence[str], present: str, step: int) -> str:
    """The name `step` places after the present one, wrapping around."""
    return names[(names.index(present) + step) % len(names)]


def rung(ladder: Sequence[Rung], present: Rung, step: int) -> Rung:
    """The nearest rung above (step 1) or below (step −1) the present value; the present value itself at the end."""
    place = bisect.bisect_right(ladder, present) if step > 0 else bisect.bisect_left(ladder, present) - 1
    return ladder[place] if 0 <= place < len(ladder) else present


def rate_presses(present: float, wanted: float) -> tuple[str, int]:
    """The key that takes a learning rate to another, and how often it is to be pressed to come nearest to it."""
    step = 1 if wanted > present else -1
    rungs = [present]
    while (following := rung(LEARNING_RATES, rungs[-1], step)) != rungs[-1]:
        rungs.append(following)
    nearest = min(range(1, len(rungs)), key=lambda place: abs(math.log(rungs[place] / wanted)), default=1)
    return ("rate_up" if step > 0 else "rate_down"), nearest
