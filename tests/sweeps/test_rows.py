"""The file of a sweep: gone on with, whatever ended it; and nothing else is ever written to."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from engine.errors import UsageError
from tests.sweeps.rows import row_of, small_sweep
from vgtui.sweeps.rows import SweepFile, is_sweep, read_sweep
from vgtui.wire.frames import Number, encode_line

SWEEP = small_sweep("width=2,4,8")
ROWS = [row_of(point) for point in SWEEP.points()]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "sweep.jsonl")


def write(path: str, count: int) -> None:
    with SweepFile(path, SWEEP) as file:
        for row in ROWS[:count]:
            file.append(row)


def test_what_is_written_is_read(path: str) -> None:
    write(path, 2)
    assert read_sweep(path) == (SWEEP, ROWS[:2])
    assert is_sweep(path)


def test_numbers_that_are_not_finite_and_unknown_ones_stay_what_they_are(path: str) -> None:
    odd = row_of(next(SWEEP.points()), loss=Number("inf"), depth_scale=Number("nan"), verdict=None, error="why")
    with SweepFile(path, SWEEP) as file:
        file.append(odd)
    (read,) = read_sweep(path)[1]
    assert (read.loss, read.verdict, read.error) == (float("inf"), None, "why")
    assert read.depth_scale is not None and read.depth_scale != read.depth_scale


@pytest.mark.parametrize("cut", [1, 40])
def test_a_row_that_was_cut_off_is_computed_again(path: str, cut: int) -> None:
    write(path, 3)
    os.truncate(path, os.path.getsize(path) - cut)
    with SweepFile(path, SWEEP) as file:
        assert list(file.done) == [0, 1]
        file.append(ROWS[2])
    assert read_sweep(path)[1] == ROWS


def test_a_damaged_row_is_computed_again_and_does_not_hide_the_others(path: str) -> None:
    write(path, 3)
    lines = Path(path).read_bytes().split(b"\n")
    lines[2] = b"\xff\x00" + lines[2][2:]
    Path(path).write_bytes(b"\n".join(lines))
    with SweepFile(path, SWEEP) as file:
        assert sorted(file.done) == [0, 2]
        assert file.damage == "1 damaged row is left out, the first is line 3"


def test_a_line_that_is_too_long_is_one_damaged_row_and_costs_no_other(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 10_000
    monkeypatch.setattr("vgtui.sweeps.rows.LINE_LIMIT", limit)
    write(path, 1)
    with Path(path).open("ab") as raw:
        raw.write(b"x" * (2 * limit + 5) + b"\n" + encode_line(ROWS[1]) + b"y" * (limit + 5))
    with SweepFile(path, SWEEP) as file:
        assert sorted(file.done) == [0, 1]
        assert file.damage == "1 damaged row is left out, the first is line 3"
        file.append(ROWS[2])
    assert read_sweep(path)[1] == ROWS


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 3},
        {"number": -1},
        {"values": {"width": 2}},
        {"values": {"seed": 0}},
        {"values": {"seed": 0, "width": 3}},
        {"values": {"seed": 0, "width": [2]}},
        {"type": "header"},
    ],
    ids=str,
)
def test_a_row_that_does_not_belong_to_the_sweep_is_damaged(
    path: str, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    write(path, 1)
    with Path(path).open("a") as raw:
        raw.write(json.dumps({**msgspec.to_builtins(ROWS[1], enc_hook=float), "type": "row", **changes}) + "\n")
    assert read_sweep(path)[1] == ROWS[:1]
    assert capsys.readouterr().err == (
        f"vgtui: {path}: 1 damaged row is left out, the first is line 3; "
        "the same vgtui sweep computes again what is missing\n"
    )


def test_what_is_damaged_and_was_computed_again_is_not_missing(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(path, 3)
    with Path(path).open("a") as raw:
        raw.write("{\n[]\n")
    assert read_sweep(path)[1] == ROWS
    assert capsys.readouterr().err == f"vgtui: {path}: 2 damaged rows are left out, the first is line 5\n"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (small_sweep("width=2,4"), "of 3 values of width"),
        (small_sweep("width=2,4,8", steps=9), "2 steps and 1 seeds"),
        (small_sweep("width=2,4,8", seeds=2), "2 steps and 1 seeds"),
    ],
)
def test_a_file_of_another_sweep_is_left_alone(path: str, other: object, words: str) -> None:
    write(path, 2)
    before = Path(path).read_bytes()
    with pytest.raises(UsageError, match=f"belongs to another sweep, {words}"):
        SweepFile(path, other)  # type: ignore[arg-type]
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"my notes\n", b"\x00" * 100, b'{"type":"header","format":"vgtui-frames"}\n', b"{"]
)
def test_a_file_that_is_no_sweep_is_left_alone(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(UsageError, match="is not a sweep"):
        SweepFile(path, SWEEP)
    assert Path(path).read_bytes() == content
    assert not is_sweep(path)


def test_two_cannot_write_one_file(path: str) -> None:
    with SweepFile(path, SWEEP), pytest.raises(UsageError, match="is being written by another vgtui sweep"):
        SweepFile(path, SWEEP)
    with SweepFile(path, SWEEP):
        pass


def test_a_version_to_come_is_told(path: str) -> None:
    write(path, 1)
    content = Path(path).read_bytes().replace(b'"version":1', b'"version":2', 1)
    Path(path).write_bytes(content)
    with pytest.raises(UsageError, match="version 2"):
        read_sweep(path)
