"""Right files of every format that chance has changed, and bombs: a value or one sentence, soon, in little memory."""

import json
import struct
import zipfile
from pathlib import Path

import pytest

from engine.datasets import load_dataset
from engine.errors import UsageError
from tests.cli.shell import call
from tests.outside.corpus import MODEL, SWEEP_FILE
from tests.outside.mutations import SMALL, Format, attack, formats
from vgtui.user.settings_file import Remembered, recall
from vgtui.worker.run import Run

FORMATS = formats()
SHORT_COUNT, COUNT = 6, 40
"""Of each, without and with --slow; `python -m benchmarks.attack` does thousands."""


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_a_changed_file_is_read_or_refused_in_a_sentence(kind: Format, long_form: bool) -> None:
    count = COUNT if long_form else SHORT_COUNT
    tally = attack(kind, count, seed=3)
    assert tally.tried >= count
    assert [fault for fault in tally.faults if "took" not in fault and " MB" not in fault] == []


def test_an_archive_whose_member_lacks_its_ending_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x", b"")
        archive.writestr("y", b"")
    with pytest.raises(UsageError, match="x cannot be read"):
        load_dataset(str(tmp_path / "d.npz"))


def test_a_checkpoint_of_a_zip_version_of_tomorrow_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    assert Run(SMALL).save(str(path), "-", 0) is None
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 6, 109)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"it is not an \.npz archive"):
        Run(SMALL).resume(str(path))


def test_a_value_of_a_row_that_is_a_list_costs_this_row_alone(tmp_path: Path) -> None:
    *others, last = SWEEP_FILE.right.splitlines(keepends=True)
    row = json.loads(last)
    row["values"]["width"] = [8]
    (tmp_path / "s.jsonl").write_bytes(b"".join(others) + json.dumps(row).encode() + b"\n")
    done = call("plot", str(tmp_path / "s.jsonl"))
    assert (done.returncode, "3 of 4 runs are there" in done.stderr) == (0, True)


def test_a_model_whose_gradients_are_all_unknown_has_a_report(tmp_path: Path) -> None:
    header, frame = MODEL.right.splitlines(keepends=True)
    value = json.loads(frame)
    value["layers"]["grad_norm"] = [None] * len(value["layers"]["grad_norm"])
    (tmp_path / "run.jsonl").write_bytes(header + json.dumps(value).encode() + b"\n")
    done = call("replay", str(tmp_path / "run.jsonl"))
    assert (done.returncode, "no layer has a finite gradient" in done.stdout) == (0, True)


@pytest.mark.parametrize("data", [b'{"view":"\xff"}', b"\xff", b"[" * 100_000, b'{"lessons":{"a":1e400}}'])
def test_what_was_remembered_and_cannot_be_read_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "vgtui").mkdir()
    (tmp_path / "vgtui" / "look.json").write_bytes(data)
    assert recall() == Remembered()
