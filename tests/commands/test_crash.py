"""A fault of vgtui itself."""

from pathlib import Path

import pytest

from vgtui.crash import report_crash


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
    assert printed.startswith("vgtui: an error of its own: KeyError: ")
    (kept,) = tmp_path.rglob("crash.log")
    assert "Traceback" in kept.read_text()
    assert str(kept) in printed
