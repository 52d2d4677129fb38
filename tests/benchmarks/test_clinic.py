"""The clinic: how it judges, what it finds, and what it keeps."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import clinic, clinic_network
from benchmarks.clinic_rows import Row, Rows
from engine.config import NetworkConfig, TrainingConfig
from engine.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "judged"),
    [("dead", "right"), ("frozen", "wrong"), ("healthy", "silent"), ("converged", "silent"), (None, "silent")],
)
def test_a_kind_is_right_if_it_is_accepted_and_silent_if_it_is_calm(kind: str | None, judged: str) -> None:
    assert clinic.judge(kind, ("dead", "rate-too-large")) == judged


def test_cases_named_in_truth_json_are_faults_and_all_others_are_controls(tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    for name in ("01_fault.py", "50_control.py", "common.py"):
        (folder / name).touch()
    (tmp_path / "truth.json").write_text('{"01_fault": ["dead"]}')
    for given in (folder, tmp_path):
        fault, control = clinic.find_cases(given)
        assert (fault.path.stem, fault.kinds, fault.is_control) == ("01_fault", ("dead",), False)
        assert (control.path.stem, control.is_control, control.modes(peers=False)) == (
            "50_control",
            True,
            (clinic.REPORTED,),
        )
    assert [case.path.stem for case in clinic.find_cases(folder, only=["50"])] == ["50_control"]


def test_a_folder_without_truth_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no truth\.json"):
        clinic.find_cases(tmp_path)


def test_truth_json_of_our_cases_has_what_each_case_expects() -> None:
    truth = {}
    for case in clinic.find_cases(clinic.OURS):
        text = case.path.read_text("utf-8")
        if "CONTROL = True" not in text:
            found = re.search(r'EXPECT = "(.*)"', text)
            assert found
            truth[case.path.stem] = found[1].split("|")
    assert json.loads((clinic.OURS / "truth.json").read_text("utf-8")) == truth


def outcome(path: str, kinds: tuple[str, ...], **rows: Row) -> clinic.Outcome:
    return clinic.Outcome(clinic.Case(Path(path), kinds), rows)


def test_the_report_counts_and_names_each_miss() -> None:
    calm = {"v100": "healthy", "vend": "healthy", "good": True}
    alarm = {"v100": "dead", "m100": "dead: all", "vend": "healthy", "good": True}
    said = [{**calm, "good": False}, {**alarm, "good": False}]
    lines = list(
        clinic.report_cases(
            "made up",
            [
                outcome("1_found.py", ("dead",), reported=said[1], cured=calm, applied={"outcome": "trains"}),
                outcome("2_wrong.py", ("frozen",), reported=said[1], cured=alarm, applied={"outcome": "none"}),
                outcome(
                    "3_missed.py",
                    ("frozen",),
                    reported=said[0],
                    cured=calm,
                    applied={"outcome": "a person's", "text": "look", "cure": "do"},
                ),
                outcome("5_sound.py", (), reported=calm),
            ],
            peers=False,
        )
    )
    table = "\n".join(lines)
    assert "1 of 3 (1 wrong, 1 silent)" in table
    assert "1 / 0 of 4" in table
    assert "1 of 1, 1 a person’s, 1 none" in table
    assert "  2_wrong: frozen; wrong: dead: all" in lines
    assert "  2_wrong cured: dead: all" in lines
    assert "  3_missed: a person's: look; accepted: do" in lines


def test_a_row_is_found_again_by_the_same_code_alone_and_a_torn_line_is_none(tmp_path: Path) -> None:
    file = tmp_path / "out" / "rows.jsonl"
    rows = Rows(file, "one")
    rows.add("key", {"value": 1})
    rows.close()
    with file.open("a") as end:
        end.write('{"key": "torn", "co')
    for code, row in (("one", {"value": 1}), ("two", None)):
        again = Rows(file, code)
        assert again.get("key") == row
        assert again.get("torn") is None
        again.close()


def test_a_row_is_kept_after_a_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"key": "torn", "co')
    rows = Rows(file, "one")
    rows.add("key", {"value": 1})
    rows.close()
    again = Rows(file, "one")
    assert again.get("key") == {"value": 1}
    again.close()


def test_a_cure_changes_its_setting_and_those_that_come_with_it() -> None:
    class Change:
        def __init__(self, setting: str, value: object, *also: "Change") -> None:
            self.setting, self.value, self.also = setting, value, also

    cure = Change("activation", "relu", Change("initialization", "he_normal"), Change("learning_rate", 0.1))
    settings = clinic_network.Settings(NetworkConfig(), TrainingConfig())
    changed = settings.changed(clinic_network.changes_of(cure))
    assert changed.network.activation == "relu"
    assert changed.network.initialization == "he_normal"
    assert changed.training.learning_rate == 0.1
    with pytest.raises(UsageError):
        settings.changed([("activation", "none such")])


def test_precision_is_of_what_is_said_and_recall_of_what_came() -> None:
    said, learned = [True, True, False, False], [True, False, True, False]
    assert clinic_network.precision_and_recall(said, learned) == (0.5, 0.5)
    assert clinic_network.precision_and_recall([False], [True]) == (0.0, 0.0)


def test_a_random_change_is_another_value_of_one_setting() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        settings = clinic_network.random_settings(rng)
        change = clinic_network.random_change(rng, settings)
        assert settings.changed([change]) != settings
