"""A lesson as its file has it: the run to begin with, and step by step what to look at, to press, and to wait for."""

from typing import Annotated, Any, Literal

import msgspec

from engine.errors import UsageError, unknown_name
from engine.verdict import VERDICT_KINDS
from vgtui.lessons.measures import MEASURES
from vgtui.model.options import DEFAULTS, settings_from
from vgtui.user.data_files import pick, read_all
from vgtui.wire.run_settings import RunSettings


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that must be measured: at least, at most, or between the two.

    Attributes:
        measure: A name of lessons.measures.
        when: "now", or "init" for the run's first frame.
    """

    measure: str
    least: float | None = None
    most: float | None = None
    when: Literal["now", "init"] = "now"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step. The lesson goes on when all that it asks for has come.

    Attributes:
        say: What to look at, and why.
        press: The actions to take, by the names of the settings file, one for each press.
        change: The settings that differ after these presses.
        view: The view that must be shown.
        verdict: The verdict that must be given.
        expect: What must be measured.
    """

    say: str
    press: list[str] = []
    change: dict[str, Any] = {}
    view: str | None = None
    verdict: str | None = None
    expect: list[Expected] = []


class Lesson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lesson.

    Attributes:
        name: What --lesson takes.
        settings: The settings of the run; the others have their defaults.
        order: Where it stands in lists.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]+$")]
    title: str
    steps: Annotated[list[Step], msgspec.Meta(min_length=1)]
    settings: dict[str, Any] = {}
    order: int = 1000

    def __post_init__(self) -> None:
        """Raises UsageError where the file asks for what there is not."""
        for number in range(len(self.steps)):
            self.settings_at(number)
        for number, step in enumerate(self.steps, start=1):
            if step.verdict is not None and step.verdict not in VERDICT_KINDS:
                raise unknown_name("lesson", f"step {number}: verdict", step.verdict, VERDICT_KINDS)
            if not (step.expect or step.view or step.verdict):
                raise UsageError("lesson", f"step {number} expects nothing, so that it could never end")
            for expected in step.expect:
                if expected.measure not in MEASURES:
                    raise unknown_name("lesson", f"step {number}: measure", expected.measure, MEASURES)

    def settings_at(self, step: int) -> RunSettings:
        """The settings of the run at the end of a step.

        Raises:
            UsageError: A change is out of range.
        """
        values = dict(self.settings)
        for entry in self.steps[: step + 1]:
            values |= entry.change
        for name in values:
            if name not in DEFAULTS:
                raise unknown_name("lesson", "setting", name, DEFAULTS)
        return settings_from(values)

    def settings_before(self, step: int) -> RunSettings:
        """The settings of the run at the beginning of a step.

        Raises:
            UsageError: A change is out of range.
        """
        return self.settings_at(step - 1) if step else settings_from(self.settings)


def load_lessons() -> tuple[dict[str, Lesson], list[UsageError]]:
    """Every lesson by its name, ours and the user's own, in their order; and what is wrong in the user's files."""
    lessons, warnings = read_all("lessons", Lesson, "lesson")
    return {lesson.name: lesson for lesson in sorted(lessons, key=lambda lesson: lesson.order)}, warnings


def find_lesson(name: str) -> Lesson:
    """The lesson of this name.

    Raises:
        UsageError: Its file is wrong, or there is no lesson of this name.
    """
    lessons, warnings = load_lessons()
    return pick(name, lessons, warnings, "lesson")
