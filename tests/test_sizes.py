"""Whatever vgtui writes, vgtui reads, however large it is; what no reader could take is refused in a sentence."""

import logging
import socket
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import vgtui
from engine.config import MAX_HIDDEN_LAYERS, NetworkConfig, TrainingConfig
from engine.diagnosis import diagnose
from engine.errors import UsageError
from engine.telemetry import ALL_FIELDS, LAYER_FIELDS, OPTIONAL_FIELDS, LayerMeasurements
from engine.verdict import PERSISTENCE, Cure, Evidence, Verdict
from tests.frames import make_frame, make_header
from tests.sweeps.rows import SMALL, row_of
from tests.watching.recorded import lines
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.recordings.writer import Recorder
from vgtui.sweeps.grid import MAX_BYTES, make_sweep
from vgtui.sweeps.job import failed
from vgtui.sweeps.rows import SweepFile, read_sweep
from vgtui.user.settings_file import Remembered, recall, remember
from vgtui.wire.frames import LINE_LIMIT, Event, Frame, Header, LayerInfo, Line, ModelInfo, Number, encode_line
from vgtui.wire.run_settings import RunSettings
from vgtui.worker.checkpoint import About, read_checkpoint, write_checkpoint

SIZES = settings(max_examples=settings().max_examples // 4)
LONG = 1.2345678901234567e-308
"""A number of as many characters as there can be."""
numbers = st.sampled_from([LONG, 0.0, 1.0, float("nan"), float("inf"), 5e-324])
texts = st.builds(lambda text, times: text * times, st.text(max_size=20), st.integers(1, 500))


def measured(count: int, value: float, is_known: bool = True) -> LayerMeasurements:
    columns: dict[str, Any] = {name: np.full(count, value) for name in LAYER_FIELDS}
    for name in ("saturated", "dead", "update_ratio", *OPTIONAL_FIELDS):
        columns[name] = np.ma.MaskedArray(np.full(count, value), mask=not is_known)
    return LayerMeasurements(**columns)


def frame_of(count: int, value: float, words: str, is_known: bool = True) -> Frame:
    """With a verdict that names every layer, for every reason that there is."""
    evidence = tuple(Evidence(tuple(range(count)), name, np.float64(value), LONG) for name in ALL_FIELDS)
    return Frame(
        step=2**63 - 1,
        epoch=2**63 - 1,
        loss=Number(value),
        accuracy=None,
        validation_accuracy=Number(value),
        steps_per_second=LONG,
        layers=measured(count, value, is_known),
        verdict=Verdict("vanishing", words, (Cure(None, None, words),), evidence),
        clip_factor=Number(value),
    )


def read_back(path: Path) -> list[bytes]:
    """The lines of a recording in which nothing is damaged, written once more, as NaN is not equal to itself."""
    reader = RecordingReader(str(path))
    found = [encode_line(line) for line in read_recording(str(path), reader)]
    assert not reader.flawed
    return found


def record(path: Path, written: list[Line]) -> None:
    recorder = Recorder(path)
    for line in written:
        recorder.write(line)
    recorder.close()


@given(
    count=st.integers(1, 300), value=numbers, words=texts, is_known=st.booleans(), ending=st.sampled_from(["", ".gz"])
)
@example(count=MAX_HIDDEN_LAYERS, value=LONG, words="'\"\\\x00" * 9999, is_known=True, ending="")
@example(count=MAX_HIDDEN_LAYERS, value=LONG, words="‖", is_known=False, ending=".gz")
@SIZES
def test_a_recording_is_read_as_it_was_written(
    count: int, value: float, words: str, is_known: bool, ending: str
) -> None:
    header = make_header(RunSettings(NetworkConfig(count, 1)), fallback_reason=words)
    event = Event(step=0, kind="change", network=header.network, message=words)
    written: list[Line] = [header, frame_of(count + 1, value, words, is_known), event, header]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"run.jsonl{ending}"
        record(path, written)
        assert read_back(path) == [encode_line(line) for line in written]


@given(
    rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    norms=st.lists(st.floats(min_value=0), min_size=2, max_size=2),
)
@example(rate=5e-324, norms=[1e9, 1e9])
@example(rate=1.7e308, norms=[1e-30, 1.0])
@example(rate=1.0, norms=[1.0, 5e-324])
def test_a_cure_is_a_setting_that_a_reader_takes(rate: float, norms: list[float]) -> None:
    asked = RunSettings(NetworkConfig(1, 1, activation="relu"), TrainingConfig(learning_rate=rate))
    reader = RecordingReader("frames")
    list(reader.feed(encode_line(make_header(asked))))
    for layers in (make_frame(asked, norms).layers, measured(2, 0.0)):
        verdict = diagnose(asked.network, asked.training, [layers] * PERSISTENCE)
        frame = Frame(step=0, steps_per_second=0.0, layers=layers, verdict=verdict)
        (found,) = reader.feed(encode_line(frame))
        assert isinstance(found, Frame) and encode_line(found) == encode_line(frame)


@given(count=st.integers(1, 200), name=texts, kind=texts, shape=st.lists(st.integers(0, 2**62), max_size=9))
@example(count=30_000, name="model.layers.0.mlp.experts.0.down_proj", kind="Linear", shape=[2**20] * 2)
@SIZES
def test_a_watched_model_is_recorded_and_read(count: int, name: str, kind: str, shape: list[int]) -> None:
    layers = tuple(LayerInfo(f"{name}{number}", 2**62, 2**62, kind, tuple(shape), kind) for number in range(count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        with vgtui.Emitter(layers, name=name, framework=kind, optimizer=name, record=path) as emitter:
            emitter.note(name * 30)
            emitter.emit(np.int64(7), np.full(count, LONG), loss=np.float32(0.1))  # type: ignore[arg-type]
        header, note, frame = lines(path)
    assert isinstance(header, Header) and (header.layers, header.model) == (layers, ModelInfo(name, kind, None, name))
    assert isinstance(note, Event) and note.message == (name * 30)[:10_000]
    assert isinstance(frame, Frame) and (frame.step, frame.layers.grad_norm.tolist()) == (7, [LONG] * count)


def test_a_large_header_comes_through_a_socket() -> None:
    layers = [LayerInfo("x" * 100 + str(number), 1, 1) for number in range(30_000)]
    with vgtui.Emitter(layers, name="large") as emitter, socket.socket(socket.AF_UNIX) as viewer:
        assert emitter.path
        viewer.connect(emitter.path)
        reader = RecordingReader("socket")
        found: list[Line] = []
        while not found:
            found += reader.feed(viewer.recv(2**20))
    assert isinstance(found[0], Header) and list(found[0].layers) == layers


def test_a_model_that_no_reader_takes_is_a_warning_and_trains_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = [LayerInfo("x" * 10_000, 1, 1)] * (LINE_LIMIT // 10_000 + 1)
    words = "where 67108864 are read at most"
    with caplog.at_level(logging.WARNING, "vgtui"), vgtui.Emitter(layers, record=tmp_path / "run.jsonl") as emitter:
        emitter.note("begun")
        emitter.emit(0, np.ones(len(layers)))
        assert not emitter.wanted
    told = [entry.getMessage() for entry in caplog.records]
    assert len(told) == 2 and all(words in sentence for sentence in told)
    assert not (tmp_path / "run.jsonl").exists()


def test_a_layer_whose_name_is_not_utf_8_is_shown_with_a_question_mark(tmp_path: Path) -> None:
    with vgtui.Emitter(["\udcff"], record=tmp_path / "run.jsonl") as emitter:
        emitter.emit(0, [1.0])
    header, _ = read_back(tmp_path / "run.jsonl")
    assert b'"name":"?"' in header


def test_a_note_keeps_its_beginning(tmp_path: Path) -> None:
    with vgtui.Emitter(["one"], record=tmp_path / "run.jsonl") as emitter:
        emitter.note("begun \udcff" + "x" * LINE_LIMIT)
    _, note = read_back(tmp_path / "run.jsonl")
    assert b'"message":"begun ?xxx' in note and len(note) < LINE_LIMIT // 1000


@given(
    count=st.integers(1, 2_000),
    names=st.lists(texts.map(lambda text: f"{text}/x.csv".replace("\0", "")), min_size=1, max_size=20, unique=True),
    reason=texts,
)
@example(count=2, names=[f"{number}/{'x' * 70_000}.csv" for number in range(20)], reason="why")
@SIZES
def test_a_sweep_goes_on_in_the_file_that_it_wrote(count: int, names: list[str], reason: str) -> None:
    names = [name for name in names if "," not in name] or ["x.csv"]
    vary = [f"lr=1.23456789e-300:9.87654321e-299:{count}", f"dataset={','.join(names)}"]
    base = RunSettings(SMALL.network, SMALL.training, names[-1], threads=1)
    sweep = make_sweep(base, vary, 1, 5)
    point = next(sweep.points())
    rows = {0: row_of(point, loss=Number(LONG)), sweep.size - 1: failed(list(sweep.points())[-1], reason * 99)}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/sweep.jsonl"
        for number in rows:
            with SweepFile(path, sweep) as file:
                file.append(rows[number])
        with SweepFile(path, sweep) as file:
            assert (file.done, file.damage) == (rows, "")
        assert read_sweep(path) == (sweep, [rows[number] for number in sorted(rows)])


def test_a_sweep_that_no_file_holds_is_refused_before_it_begins() -> None:
    base = RunSettings(dataset="x" * MAX_BYTES + ".csv")
    with pytest.raises(
        UsageError, match=r"vary: all values together take 3355\d{4} bytes; a sweep's file takes 33554432"
    ):
        make_sweep(base, ["width=1,2"], 1, 5)


@given(count=st.integers(1, 300), value=numbers, output=texts)
@example(count=MAX_HIDDEN_LAYERS, value=LONG, output="\x00" * 4096)
@SIZES
def test_a_checkpoint_is_read_as_it_was_written(count: int, value: float, output: str) -> None:
    asked = RunSettings(NetworkConfig(count, 1))
    recent = tuple(measured(count + 1, value, is_known) for is_known in (True, False, True))
    about = About(settings=asked, step=2**63 - 1, output=output, output_bytes=2**63 - 1, recent=recent)
    state = {"parameters": np.full(count, value)}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.npz"
        assert write_checkpoint(path, about, state) is None
        read, arrays = read_checkpoint(path, asked, state)
    assert encode_line(read) == encode_line(about)
    assert np.array_equal(arrays["parameters"], state["parameters"], equal_nan=True)


def test_a_checkpoint_that_no_reader_takes_is_told_and_not_written(tmp_path: Path) -> None:
    about = About(settings=RunSettings(), step=0, output="x" * LINE_LIMIT, output_bytes=0, recent=())
    problem = write_checkpoint(str(tmp_path / "run.npz"), about, {})
    assert problem and "cannot be written: a line of" in problem
    assert list(tmp_path.iterdir()) == []


@given(
    view=st.none() | texts, hints=st.none() | st.booleans(), lessons=st.dictionaries(texts, st.integers(0, 2**63 - 1))
)
@SIZES
def test_what_is_remembered_is_recalled_however_much(
    view: str | None, hints: bool | None, lessons: dict[str, int]
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("XDG_STATE_HOME", folder)
        remember(view=view, hints=hints, theme=view, lessons=lessons)
        assert recall() == Remembered(view, hints, view, lessons)
