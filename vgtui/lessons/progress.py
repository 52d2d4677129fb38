"""Progress through a lesson: it watches the frames, and moves on once what a step asks for has been measured."""

import math
from dataclasses import dataclass

from vgtui.lessons.lesson import Expected, Lesson, Step
from vgtui.lessons.measures import MEASURES
from vgtui.model.differences import Difference, differences
from vgtui.wire.frames import Frame, Header
from vgtui.wire.run_settings import RunSettings


@dataclass(frozen=True, slots=True)
class Reading:
    """What a step expects, with what is measured of it.

    Attributes:
        value: What was measured; None before anything was.
    """

    expected: Expected
    value: float | None

    @property
    def met(self) -> bool:
        """Whether the value has been measured and is within what is expected."""
        value, expected = self.value, self.expected
        if value is None or math.isnan(value):
            return False
        return (expected.least is None or value >= expected.least) and (expected.most is None or value <= expected.most)


class LessonProgress:
    """A lesson under way.

    Attributes:
        at: The index of the present step; the number of steps when all are done.
    """

    def __init__(self, lesson: Lesson, at: int = 0) -> None:
        self.lesson = lesson
        self.at = min(at, len(lesson.steps) - 1)
        self.readings: list[Reading] = []

    @property
    def step(self) -> Step | None:
        """What is asked for; None when the lesson is done."""
        return self.lesson.steps[self.at] if self.at < len(self.lesson.steps) else None

    @property
    def beginning(self) -> RunSettings:
        """The run that the present step begins with."""
        return self.lesson.settings_before(self.at)

    def astray(self, wanted: RunSettings) -> list[Difference]:
        """What the user has changed that the present step does not ask for."""
        if self.step is None:
            return []
        return [entry for entry in differences(self.beginning, wanted) if entry.field not in self.step.change]

    def observe(self, frame: Frame, first: Frame | None, header: Header, view: str) -> bool:
        """Look at a frame, the run's first one and the view.

        Returns:
            Whether the lesson moved on to its next step.
        """
        step = self.step
        if step is None:
            return False
        there = not differences(header, self.lesson.settings_at(self.at))
        self.readings = [Reading(entry, self._measured(entry, frame, first)) for entry in step.expect]
        if (
            there
            and all(reading.met for reading in self.readings)
            and step.view in (None, view)
            and step.verdict in (None, frame.verdict.kind)
        ):
            self.at += 1
            self.readings = []
            return True
        return False

    @staticmethod
    def _measured(expected: Expected, frame: Frame, first: Frame | None) -> float | None:
        subject = first if expected.when == "init" else frame
        return MEASURES[expected.measure].of(subject) if subject else None
