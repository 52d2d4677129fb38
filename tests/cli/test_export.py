"""`vgtui export`: tables that other programs read, and pictures."""

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine.telemetry import LAYER_FIELDS
from tests.cli.shell import SMALL, call
from tests.forms import slow_but
from tests.models import make_model_frame, make_model_header
from vgtui.wire.frames import encode_line

EXPLODING = ["--hidden-layers", "40", "--activation", "relu", "--init", "standard_normal", "--width", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a recording, one whose numbers are none, one of somebody's own model, and a sweep."""
    path = tmp_path_factory.mktemp("export")
    call("run", *SMALL, "--steps", "6", "--every", "2", "--output", "run.jsonl", cwd=path)
    call("run", *EXPLODING, "--steps", "2", "--every", "1", "--output", "nan.jsonl", cwd=path)
    call("sweep", *SMALL, "--vary", "width=2,4", "--vary", "clip=none,1", "--steps", "2", "-o", "sweep.jsonl", cwd=path)
    lines = [make_model_header(), make_model_frame([None, *[0.5] * 6, 1.0], step=3)]
    (path / "model.jsonl").write_bytes(b"".join(map(encode_line, lines)))
    return path


def export(folder: Path, *words: str) -> Any:
    return call("export", *words, cwd=folder)


def test_csv_of_a_recording_is_what_run_writes_as_csv(folder: Path) -> None:
    assert export(folder, "run.jsonl", "-o", "run.csv").returncode == 0
    run = call("run", *SMALL, "--steps", "6", "--every", "2", "--format", "csv").stdout
    ours, theirs = (list(csv.DictReader(io.StringIO(text))) for text in ((folder / "run.csv").read_text(), run))
    for row in (*ours, *theirs):
        del row["steps_per_second"]
    assert ours == theirs and len(ours) == 4 * 4


def test_csv_goes_into_a_pipe(folder: Path) -> None:
    assert export(folder, "run.jsonl", "-o", "-").stdout.splitlines()[0].startswith("step,epoch,loss,")


def test_parquet_of_a_recording_has_the_numbers_of_its_frames(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert export(folder, "nan.jsonl", "-o", "nan.parquet").returncode == 0
    table = parquet.read_table(folder / "nan.parquet").to_pylist()
    frames = [json.loads(line) for line in (folder / "nan.jsonl").read_text().splitlines()][1:]
    assert len(table) == len(frames) * 41
    for number, row in enumerate(table):
        frame, layer = frames[number // 41], number % 41
        assert (row["step"], row["layer"], row["verdict"]) == (
            frame["step"],
            f"layers.{layer}",
            frame["verdict"]["kind"],
        )
        for field in LAYER_FIELDS:
            expected = frame["layers"][field][layer]
            assert str(row[field]) == str(None if expected is None else float(expected))


def test_a_recording_of_somebodys_own_model_is_exported_with_gaps(folder: Path) -> None:
    for name in ("model.csv", "model.parquet"):
        assert export(folder, "model.jsonl", "-o", name).returncode == 0
    first, *_, last = csv.DictReader(io.StringIO((folder / "model.csv").read_text()))
    assert (first["layer"], first["grad_norm"], first["epoch"], first["accuracy"]) == ("embed", "", "", "")
    assert (last["layer"], last["grad_norm"], last["loss"]) == ("head", "1.0", "2.5")


def test_a_sweep_as_a_table_has_a_row_a_run(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for ending in ("csv", "parquet"):
        assert export(folder, "sweep.jsonl", "-o", f"sweep.{ending}").returncode == 0
    ours = list(csv.DictReader(io.StringIO((folder / "sweep.csv").read_text())))
    assert [(row["width"], row["gradient_clip"]) for row in ours] == [("2", ""), ("2", "1.0"), ("4", ""), ("4", "1.0")]
    theirs = parquet.read_table(folder / "sweep.parquet").to_pylist()
    assert [(row["width"], row["gradient_clip"], row["error"]) for row in theirs][:2] == [
        (2, None, None),
        (2, 1.0, None),
    ]
    assert [float(row["loss"]) for row in ours] == [row["loss"] for row in theirs]


PICTURES = [[name, ending] for name in ("run", "nan", "model", "sweep") for ending in ("svg", "png")]


@pytest.mark.parametrize(
    ("name", "ending"), slow_but(PICTURES, ["nan", "svg"], ["model", "png"], ["sweep", "png"], ["sweep", "svg"])
)
def test_pictures_are_svg_and_png(folder: Path, name: str, ending: str) -> None:
    pytest.importorskip("matplotlib")
    done = export(folder, f"{name}.jsonl", "-o", f"{name}.{ending}")
    assert (done.returncode, done.stderr) == (0, "")
    if ending == "svg":
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
    else:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope", "-o", "x.csv"], "FILE: nope cannot be read: No such file or directory"),
        (["nope", "-o", "run.csv"], "FILE: nope cannot be read: No such file or directory"),
        (["run.jsonl", "-o", "run.jsonl", "--format", "csv"], "--output: run.jsonl is what is exported"),
        (["run.jsonl", "-o", "x.txt"], "--output: x.txt does not end with .csv, .parquet, .svg, .png"),
        (["run.jsonl", "-o", "x.csv", "--format", "xls"], '--format: no format "xls"'),
        (["run.jsonl", "-o", "/nope/x.csv"], "--output: /nope/x.csv cannot be written: No such file or directory"),
        (["run.jsonl", "-o", "/dev/full", "--format", "csv"], "--output: /dev/full cannot be written: No space left"),
        (["run.csv.none", "-o", "x.csv"], "FILE: run.csv.none cannot be read"),
        (["sweep.jsonl", "-o", "x.svg", "--depth-scale"], "--depth-scale: takes a sweep over hidden_layers"),
    ],
)
def test_bad_usage_is_one_sentence(folder: Path, words: list[str], sentence: str) -> None:
    done = export(folder, *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


def test_what_is_damaged_is_left_out_and_said(folder: Path) -> None:
    lines = (folder / "run.jsonl").read_text().splitlines()
    lines[2] = lines[2][:50]
    (folder / "torn.jsonl").write_text("\n".join(lines) + "\n")
    done = export(folder, "torn.jsonl", "-o", "-")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1 + 3 * 4
    assert done.stderr == "vgtui: 3 frames; 1 damaged line left out, the first is line 3\n"


FAULTS = {"cut.jsonl": "the last line is torn", "broken.jsonl.gz": "the compressed data are damaged"}
TOLD = [[name, output] for name in FAULTS for output in ("part.csv", "part.svg")]


@pytest.mark.parametrize(("name", "output"), slow_but(TOLD, *(case for case in TOLD if case != TOLD[1])))
def test_what_is_cut_off_or_does_not_unpack_is_said_by_tables_and_pictures(
    folder: Path, name: str, output: str
) -> None:
    whole = (folder / "run.jsonl").read_bytes()
    (folder / "cut.jsonl").write_bytes(whole[:-9])
    (folder / "broken.jsonl.gz").write_bytes(gzip.compress(whole) + b"what is not gzip")
    done = export(folder, name, "-o", f"{name}-{output}")
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert FAULTS[name] in done.stderr


def test_a_picture_of_a_sweep_says_how_many_runs_are_not_in_it(folder: Path) -> None:
    header, first, second, *_ = (folder / "sweep.jsonl").read_text().splitlines()
    failed = {**json.loads(second), "loss": None, "error": "why"}
    (folder / "part_sweep.jsonl").write_text("\n".join([header, first, json.dumps(failed)]) + "\n")
    done = export(folder, "part_sweep.jsonl", "--metric", "loss", "-o", "part_sweep.svg")
    assert done.returncode == 0
    assert re.fullmatch(r"vgtui: 2 of [0-9]+ runs are there, 1 of them without this number\n", done.stderr)
