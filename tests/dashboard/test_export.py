"""The key that exports: the moment on the screen, as a picture and as a table."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.dashboard.sitting import open_dashboard


async def test_the_moment_on_the_screen_is_exported_and_where_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_dashboard() as sitting:
        await sitting.press("space", "left", "left", "e")
        await sitting.until(lambda: "exported" in sitting.text)
        (table,), (picture,) = tmp_path.glob("*.csv"), tmp_path.glob("*.svg")
        assert table.stem == picture.stem and table.stem.endswith("-step-30")
        rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
        assert len(rows) == 21
        shown = sitting.app.main.state.frame
        assert shown
        assert [float(row["grad_norm"]) for row in rows] == shown.layers.grad_norm.tolist()
        assert {row["step"] for row in rows} == {"30"}
        words = "".join(ElementTree.parse(picture).getroot().itertext()).replace("\xa0", " ")
        assert "step 30" in words and "1.0e-20" in words


async def test_a_folder_that_takes_no_file_is_one_sentence_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    async with open_dashboard() as sitting:
        gone.rmdir()
        await sitting.press("e")
        await sitting.until(lambda: "nothing was exported" in sitting.text)
        assert sitting.app.is_running and sitting.app.crash is None


async def test_a_moment_that_is_there_already_is_left_as_it_is_and_nothing_is_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vgtui.dashboard.session.export.time.strftime", lambda form: "moment")
    (tmp_path / "moment-step-30.svg").write_text("all my work")
    async with open_dashboard() as sitting:
        await sitting.press("space", "left", "left", "e")
        await sitting.until(lambda: "nothing was exported" in sitting.text)
    assert [path.name for path in tmp_path.iterdir()] == ["moment-step-30.svg"]
    assert (tmp_path / "moment-step-30.svg").read_text() == "all my work"
