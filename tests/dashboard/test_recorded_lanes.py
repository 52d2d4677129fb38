"""A recording of two compared runs, and what every reader of it shows."""

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.dashboard.sitting import MOMENT, Sitting, make_dashboard, open_dashboard
from tests.scripted_run import ScriptedRun
from vgtui.cli.commands.replay import report
from vgtui.dashboard.session.lanes import Lane
from vgtui.files.inputs import InputFile
from vgtui.model.differences import settings_from_header
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.recordings.writer import Recorder
from vgtui.reports.summary import read_summaries
from vgtui.sources.replay import Replay
from vgtui.wire.frames import Event, Frame, Header, Line
from vgtui.wire.run_settings import RunSettings

FRAMES = 6
"""Frames of each run."""
RECORDED: dict[tuple[str, ...], bytes] = {}
"""Finished recordings, by their keys."""


async def record(path: Path, *keys: str, before: str = "") -> None:
    """Record what these keys do. `before`: a key pressed before the recording begins."""
    if (before, *keys) in RECORDED:
        path.write_bytes(RECORDED[before, *keys])
        return
    async with open_dashboard(ScriptedRun(RunSettings(), FRAMES)) as sitting:
        if before:
            await sitting.press(before)
        main = sitting.app.main
        main.recording.begin(Recorder(path), main.lanes.all)
        for key in keys:
            await sitting.press(key)
            await sitting.settle_keys()
            await sitting.until(lambda: all(map(has_all_frames, main.lanes.all)))
        assert [lane.state.status.recording for lane in main.lanes.all] == [True] * len(main.lanes.all)
        main.recording.end()
    RECORDED[before, *keys] = path.read_bytes()


def has_all_frames(lane: Lane) -> bool:
    """Whether all frames of a lane's present run are taken."""
    newest = lane.state.newest
    return newest is not None and not lane.state.begins_run and newest.step == 10 * (FRAMES - 1)


def lines_of(path: Path) -> list[Line]:
    reader = RecordingReader(str(path))
    lines = list(read_recording(str(path), reader))
    assert reader.damaged == 0
    return lines


def outline(lines: list[Line]) -> list[str]:
    """The kind and lane of each line; consecutive frames are one entry."""
    words: list[str] = []
    for line in lines:
        entry = f"{type(line).__name__} {line.lane or '-'}"
        if isinstance(line, Header) and line.continues != Header.__struct_defaults__[-1]:
            entry += f" continues {line.continues or '-'}"
        if not (isinstance(line, Frame) and words and words[-1] == entry):
            words.append(entry)
    return words


async def play(replay: Replay, sitting: Sitting) -> None:
    """Play a recording to its end."""
    replay.skip(1.0)
    async with asyncio.timeout(60):
        while not replay.ended:
            await sitting.pilot.pause(MOMENT)


@asynccontextmanager
async def replaying(path: Path) -> AsyncIterator[Sitting]:
    """Open the dashboard with a recording, and play it to its end."""
    replay = Replay(str(path))
    app = make_dashboard(replay, settings=settings_from_header(replay.header))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        sitting = Sitting(app, pilot, ScriptedRun(RunSettings(), frames=0))
        sitting.source._answers.get_nowait()
        await play(replay, sitting)
        await sitting.settle()
        yield sitting


async def test_from_c_on_both_lanes_are_written_and_after_it_the_one_that_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, "c", "b", "c", "s")
    lines = lines_of(path)
    assert outline(lines) == [
        "Header -",
        "Event -",
        "Header B continues -",
        "Header A",
        "Frame A",
        "Event A",
        "Header A",
        "Frame A",
        "Event A",
        "Header - continues A",
        "Event -",
        "Header -",
        "Frame -",
    ]
    words = [line.message for line in lines if isinstance(line, Event)]
    assert words == ["compared from here on, as lane B", "BatchNorm on", "lane A goes on alone", "skip on"]


async def test_a_recording_that_begins_during_a_comparison_has_a_header_of_each_lane(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, "b", "tab", "s", before="c")
    lines = lines_of(path)
    assert outline(lines[:2]) == ["Header A", "Header B"]
    headers = {line.lane: line.own for line in lines if isinstance(line, Header)}
    assert headers["A"] and headers["A"].network.batch_norm and not headers["A"].network.skip_connections
    assert headers["B"] and headers["B"].network.skip_connections and not headers["B"].network.batch_norm
    assert [sum(isinstance(line, Frame) and line.lane == lane for line in lines) for lane in "AB"] == [FRAMES, FRAMES]


async def test_a_recording_of_one_run_says_nothing_of_lanes(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, "b", "s")
    text = path.read_text()
    assert '"lane"' not in text and '"continues"' not in text and '"version":2' not in text


async def test_a_replay_shows_both_lanes_side_by_side_and_goes_back_in_both(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, "b", "tab", "s", before="c")
    async with replaying(path) as sitting:
        first, second = sitting.text.split("\n")[:2]
        assert first.startswith("▸A ") and "≠BatchNorm on" in first
        assert second.startswith(" B ") and "≠skip on" in second
        assert "A   Gradient norm per layer" in sitting.text and "B   Gradient norm per layer" in sitting.text
        await sitting.press("space", "left", "left")
        assert [lane.state.frame.step for lane in sitting.app.main.lanes.all if lane.state.frame] == [30, 30]
        await sitting.press("tab")
        assert [line[:3] for line in sitting.text.split("\n")[:2]] == [" A ", "▸B "]
        await sitting.press("c")
        assert sitting.app.main.lanes.comparing


async def test_a_replay_begins_and_ends_the_comparison_where_the_recording_does(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, "s", "c", "b", "c", "plus")
    async with replaying(path) as sitting:
        main = sitting.app.main
        assert not main.lanes.comparing and sitting.line.startswith(" vgtui")
        assert "25×64" in sitting.line and "BatchNorm on" in sitting.line
        changes = [entry.message for entry in main.state.history.occasions if entry.kind == "change"]
        assert changes == ["BatchNorm on", "25 layers"]  # of lane A, that stayed
        assert main.state.ghost and main.state.ghost.label == "BatchNorm off"


async def test_what_a_replay_records_can_be_replayed(tmp_path: Path) -> None:
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    await record(first, "s", "c", "b", "c", "plus")
    replay = Replay(str(first))
    app = make_dashboard(replay, settings=settings_from_header(replay.header), recorder=Recorder(again))
    async with app.run_test(size=(120, 40)) as pilot:
        sitting = Sitting(app, pilot, ScriptedRun(RunSettings(), frames=0))
        await play(replay, sitting)
        app.main.recording.end()
    assert [word for word in outline(lines_of(again)) if "Event" not in word] == [
        word for word in outline(lines_of(first)) if "Event" not in word
    ]


async def test_tables_reports_and_text_tell_the_lanes_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vgtui.cli.commands.export import _frame_rows
    from vgtui.recordings.tables import FRAME_COLUMNS, write_csv

    path, table = tmp_path / "run.jsonl", tmp_path / "run.csv"
    await record(path, "b", "tab", "s", "plus", before="c")
    with table.open("w", newline="") as file, InputFile(str(path)) as recording:
        write_csv(file, [FRAME_COLUMNS, *_frame_rows(recording)])
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["lane"] for row in rows} == {"A", "B"}
    assert max(int(row["layer"].removeprefix("layers.")) for row in rows if row["lane"] == "A") == 20
    assert max(int(row["layer"].removeprefix("layers.")) for row in rows if row["lane"] == "B") == 25
    assert [summary.lane for summary in read_summaries(str(path))] == ["A", "B"]
    assert [len(summary.header.layers) for summary in read_summaries(str(path))] == [21, 26]
    assert report(str(path)) == 0
    words = capsys.readouterr().out
    assert "lane A\nsigmoid, 20 hidden layers" in words and "lane B\nsigmoid, 25 hidden layers" in words


async def test_pages_and_pictures_of_a_comparison_have_a_part_for_each_lane(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from vgtui.reports.figures import as_svg, draw, run_parts
    from vgtui.reports.page import run_page

    path = tmp_path / "run.jsonl"
    await record(path, "b", "tab", "s", before="c")
    summaries = read_summaries(str(path))
    page = run_page(*summaries)
    assert page.count("<h1>Lane ") == 2 and page.count("<svg") == 6
    picture = as_svg(draw(run_parts(*summaries)))
    assert picture.count("lane A</text>") == picture.count("lane B</text>") == 3


async def test_the_story_of_a_comparison_that_ended_says_that_there_was_one(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await record(path, "c", "b", "c")
    (summary,) = read_summaries(str(path))
    assert summary.header.own and summary.header.own.network.batch_norm
    assert (summary.compared_until, summary.lane) == (50, "")
