"""What `--until` takes: a bound on a frame, such as accuracy=0.95 or verdict=healthy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.errors import UsageError, unknown_name
from engine.verdict import VERDICT_KINDS
from vgtui.wire.frames import Frame

NUMBERS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "accuracy": ("at least", lambda value, bound: value >= bound),
    "validation_accuracy": ("at least", lambda value, bound: value >= bound),
    "loss": ("at most", lambda value, bound: value <= bound),
}
"""A frame's numbers that a bound can be on, and how."""
SHARES = ("accuracy", "validation_accuracy")
"""Those that are at most 1."""
VERDICT = "verdict"
NAMES = (*NUMBERS, VERDICT)


@dataclass(frozen=True, slots=True)
class StopCondition:
    """A field of a frame, and what it shall be."""

    name: str
    wanted: float | str

    @classmethod
    def of(cls, text: str) -> "StopCondition":
        """Parse NAME=VALUE.

        Raises:
            UsageError: There is no such field, or it cannot have this value.
        """
        name, _, value = text.partition("=")
        if name not in NAMES:
            raise unknown_name("until", "bound", name, NAMES)
        if name == VERDICT:
            if value not in VERDICT_KINDS:
                raise unknown_name("until", "verdict", value, VERDICT_KINDS)
            return cls(name, value)
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0 <= number < float("inf"):
            raise UsageError("until", f'"{text}" has no number from 0 after the "=", as in {name}=0.95')
        if name in SHARES and number > 1:
            raise UsageError("until", f"{name}={number:g} cannot be met; it takes a number from 0 to 1")
        return cls(name, number)

    @classmethod
    def all_of(cls, texts: Iterable[str]) -> tuple["StopCondition", ...]:
        """Parse conditions that a frame can meet together.

        Raises:
            UsageError: One of them is wrong, or they exclude each other.
        """
        bounds = tuple(map(cls.of, texts))
        verdicts = sorted({str(bound.wanted) for bound in bounds if bound.name == VERDICT})
        if len(verdicts) > 1:
            raise UsageError("until", f"the verdict cannot be {' and '.join(verdicts)} at once; it takes one of them")
        return bounds

    def is_met(self, frame: Frame) -> bool:
        """Whether this frame has what is wanted; NaN never has."""
        if isinstance(self.wanted, str):
            return frame.verdict.kind == self.wanted
        return NUMBERS[self.name][1](float(getattr(frame, self.name)), self.wanted)

    def shortfall(self, frame: Frame) -> str:
        """What the frame has instead, in words."""
        if isinstance(self.wanted, str):
            return f"the verdict is {frame.verdict.kind}, not {self.wanted}"
        value = wanted = ""
        for digits in (4, 8, 17):  # as few as tell the two apart
            value, wanted = (f"{number:.{digits}g}" for number in (float(getattr(frame, self.name)), self.wanted))
            if value != wanted:
                break
        return f"{self.name} is {value}, not {NUMBERS[self.name][0]} {wanted}"
