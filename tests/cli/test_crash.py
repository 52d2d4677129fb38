"""A fault of vgtui itself."""

from pathlib import Path

import pytest

from vgtui.terminal.crash import report_crash


def test_a_crash_is_one_sentence_and_its_traceback_goes_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        raise KeyError("lost\nsecond line")
    except KeyError as error:
        assert report_crash(error) == 1
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1
    assert printed.startswith("vgtui: internal error: KeyError: ")
    (kept,) = tmp_path.rglob("crash.log")
    assert "Traceback" in kept.read_text()
    assert str(kept) in printed


def test_the_crash_log_holds_every_cause_and_every_part_of_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    try:
        try:
            try:
                raise ProcessLookupError("the context")
            except ProcessLookupError:
                raise OSError("the cause")  # noqa: B904  # left to be the context
        except OSError as error:
            raise ExceptionGroup("two tasks", [ValueError("first"), KeyError("second")]) from error
    except ExceptionGroup as group:
        report_crash(group)
    assert "ValueError: first" in capsys.readouterr().err
    (kept,) = tmp_path.rglob("crash.log")
    for words in ("the context", "the cause", "first", "second"):
        assert words in kept.read_text()
