"""Lessons and presets agree with the verdict: what a step says is what the screen says when the step ends."""

from collections.abc import Iterator

import pytest

from engine.verdict import CALM
from vgtui.lessons.lesson import Lesson, Step, load_lessons
from vgtui.lessons.measures import MEASURES
from vgtui.model.options import settings_from
from vgtui.model.presets import PRESETS
from vgtui.wire.frames import Frame
from vgtui.worker.run import Run

LESSONS, _ = load_lessons()
FAILS = {"vanishing", "vanished"}
LEARNS = {"healthy", "converged"}
EVEN = {"starting", "healthy"}
"""At initialization nothing is wrong, and nothing is learned yet."""
AGREES: dict[str, list[set[str]]] = {
    "quarter": [FAILS, FAILS, FAILS, FAILS, LEARNS],
    "saturation": [{"saturated"}, LEARNS, LEARNS],
    "dead-units": [{"dead"}, LEARNS, LEARNS],
    # the gradient of the weights hides what the error signal shows
    "he-xavier": [FAILS | {"starting"}, EVEN, EVEN],
    "batch-norm": [FAILS, LEARNS, EVEN, {"exploding"}, LEARNS],
    "skip": [FAILS, LEARNS, LEARNS | EVEN],
    # clipping lets it survive, which is no more than a start
    "exploding": [{"non-finite"}, EVEN, LEARNS],
    "orthogonal": [{"starting", "not-learning", "vanishing"}, LEARNS],
}
"""The verdicts that agree with what each step says."""
MAX_STEPS = 400


def frames(run: Run) -> Iterator[Frame]:
    """A frame of every fifth step, as a screen shows them, and of each of the first five."""
    while run.trainer.step_count <= MAX_STEPS:
        if run.trainer.step_count < 5 or run.trainer.step_count % 5 == 0:
            yield run.frame(always_validate=False)
        run.trainer.step()


def is_met(step: Step, frame: Frame, first: Frame) -> bool:
    for entry in step.expect:
        value = MEASURES[entry.measure].of(first if entry.when == "init" else frame)
        least, most = entry.least, entry.most
        if value is None or not (least is None or value >= least) or not (most is None or value <= most):
            return False
    return step.verdict in (None, frame.verdict.kind)


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=list(LESSONS))
def test_each_step_of_a_lesson_ends_under_a_verdict_that_agrees_with_it(lesson: Lesson) -> None:
    run = first = None
    for number, (step, kinds) in enumerate(zip(lesson.steps, AGREES[lesson.name], strict=True)):
        settings = lesson.settings_at(number)
        if run is None or settings != run.settings:
            run, first = Run(settings), None
        for frame in frames(run):
            first = first or frame
            if is_met(step, frame, first):
                break
        else:
            pytest.fail(f"step {number + 1} never ends")
        assert frame.verdict.kind in kinds, f"step {number + 1}: {step.say} / {frame.verdict.message}"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_that_learns_is_never_alarmed_about(name: str) -> None:
    run = Run(settings_from(PRESETS[name].settings))
    verdicts = [frame.verdict for frame in frames(run)]
    assert {verdict.kind for verdict in verdicts} <= CALM
    assert verdicts[-1].kind in LEARNS
