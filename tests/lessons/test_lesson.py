"""Lessons' files: ours can be begun, and what is wrong in a user's own is named."""

from pathlib import Path

import pytest

from engine.config import NetworkConfig
from engine.errors import UsageError
from tests.frames import make_frame, make_header
from vgtui.lessons.lesson import Expected, Lesson, Step, find_lesson, load_lessons
from vgtui.lessons.measures import MEASURES
from vgtui.lessons.progress import LessonProgress
from vgtui.user.data_files import users_folder
from vgtui.wire.run_settings import RunSettings

OWN = 'name = "mine"\ntitle = "Mine"\n[[steps]]\nsay = "Look."\nexpect = [{ measure = "step", least = 3 }]\n'


def write_own(text: str, name: str = "mine") -> Path:
    folder = users_folder("lessons")
    folder.mkdir(parents=True)
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file


def test_there_are_eight_lessons_in_their_order() -> None:
    lessons, warnings = load_lessons()
    assert warnings == []
    assert list(lessons) == [
        "quarter",
        "saturation",
        "dead-units",
        "he-xavier",
        "batch-norm",
        "skip",
        "exploding",
        "orthogonal",
    ]


def test_a_users_own_lesson_comes_after_ours() -> None:
    write_own(OWN)
    lessons, warnings = load_lessons()
    assert (list(lessons)[-1], warnings) == ("mine", [])
    assert find_lesson("mine").title == "Mine"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("name =", "is not a TOML file"),
        (OWN.replace('"mine"', '"Mine!"'), "name"),
        (OWN.replace('measure = "step"', 'measure = "steps"'), 'step 1: measure "steps"; did you mean "step"'),
        (OWN.replace("least = 3", 'least = "3"'), "least: Expected"),
        (OWN.replace('[{ measure = "step", least = 3 }]', "[]"), "step 1 expects nothing"),
        (OWN + 'verdict = "ill"\n', 'step 1: verdict "ill"'),
        (OWN + "change = { depth = 3 }\n", 'no setting "depth"'),
        (OWN + 'change = { activation = "sigmod" }\n', 'did you mean "sigmoid"'),
        (OWN + "change = { hidden_layers = -1 }\n", "-1 is out of range"),
        (OWN + "colour = 3\n", "is not a field"),
    ],
)
def test_what_is_wrong_in_a_users_lesson_is_named_with_its_file(wrong: str, words: str) -> None:
    file = write_own(wrong)
    lessons, (warning,) = load_lessons()
    assert "mine" not in lessons
    assert str(file) in warning.problem
    assert words in warning.problem
    with pytest.raises(UsageError, match=r"mine\.toml"):
        find_lesson("mine")


def test_an_unknown_lesson_names_the_nearest() -> None:
    with pytest.raises(UsageError, match='did you mean "quarter"'):
        find_lesson("quarters")


def test_a_lesson_goes_on_only_when_run_view_verdict_and_measures_are_all_there() -> None:
    step = Step(
        say="",
        change={"batch_norm": True},
        view="heat map",
        verdict="vanishing",
        expect=[Expected("gradient_ratio", least=1e-5, most=1e-2), Expected("step", least=10)],
    )
    progress = LessonProgress(Lesson(name="one", title="One", steps=[step]))
    plain, wanted = RunSettings(), progress.lesson.settings_at(0)
    norms = [1e-4] * 20 + [1.0]
    frame = make_frame(wanted, norms, step=10)
    right = make_header(wanted)
    assert not progress.observe(frame, None, make_header(plain), "heat map")
    assert not progress.observe(frame, None, right, "sparklines")
    assert not progress.observe(make_frame(wanted, norms, step=9), None, right, "heat map")
    assert not progress.observe(make_frame(wanted, [0.1] * 20 + [1.0], step=10), None, right, "heat map")
    assert progress.step is step
    assert progress.observe(frame, None, right, "heat map")
    assert progress.step is None
    assert not progress.observe(frame, None, right, "heat map")


def test_a_measure_of_the_start_is_taken_from_the_first_frame_alone() -> None:
    step = Step(say="", expect=[Expected("gradient_ratio", least=100, when="init")])
    settings, header = RunSettings(), make_header(RunSettings())
    even, steep = make_frame(settings, [1.0] * 21), make_frame(settings, [1000.0] * 20 + [1.0])
    progress = LessonProgress(Lesson(name="one", title="One", steps=[step]))
    assert not progress.observe(steep, None, header, "sparklines")
    assert not progress.observe(steep, even, header, "sparklines")
    assert progress.observe(even, steep, header, "sparklines")


def test_what_the_user_changed_beside_the_lesson_is_named_until_it_is_set_back() -> None:
    steps = [Step(say="", change={"batch_norm": True}, expect=[Expected("step", least=0)])]
    progress = LessonProgress(Lesson(name="one", title="One", steps=steps))
    on_the_way = RunSettings()
    assert progress.astray(on_the_way) == []
    assert progress.astray(progress.lesson.settings_at(0)) == []
    wrong = NetworkConfig(skip_connections=True)
    assert [entry.field for entry in progress.astray(RunSettings(wrong))] == ["skip_connections"]


def test_every_measure_is_nan_or_a_number_for_a_network_of_zeros() -> None:
    frame = make_frame(RunSettings(), [0.0] * 21)
    for name, measure in MEASURES.items():
        assert isinstance(measure.of(frame), int | float), name
