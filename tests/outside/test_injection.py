"""Names from outside that are code elsewhere: in a page, a picture, a table and on a terminal they are words."""

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from engine.config import NetworkConfig
from engine.verdict import Cure, Verdict
from tests.cli.shell import call
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.models import make_model_frame, make_model_header
from tests.outside.harmless import COMMANDING
from tests.sweeps.rows import SMALL, row_of
from vgtui.sweeps.grid import Axis, Sweep
from vgtui.wire.frames import BackendInfo, Event, LayerInfo, ModelInfo, encode_line
from vgtui.wire.run_settings import RunSettings

pytest.importorskip("matplotlib")
FORMULAS = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1")
NAMES = (
    *FORMULAS, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "</title><b>", "&lt;",
    "$\\frac{$", "$x^{2$", "a\u202eb", "\x1b[31mred\x1b]52;c;aGk=\x07", "\ufffe", "nul\0", "x" * 3000,
)  # fmt: skip
ALL = " ".join(NAMES[:-1])
"""All of them in one, for what takes long to draw."""
SETTINGS = RunSettings(NetworkConfig(hidden_layers=3))


class Elements(HTMLParser):
    """Every element of a page with the names of its attributes; raises nothing, as a browser does not."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("path", "use", "g", "defs", "text", "clippath", "rect", "image"):  # of the pictures
            self.found.append((tag, tuple(name for name, _ in attributes)))


def own_recording(name: str) -> bytes:
    """A run of ours with this name wherever a file can have one."""
    header = make_header(SETTINGS)
    assert header.dataset
    header = msgspec.structs.replace(
        header,
        dataset=msgspec.structs.replace(header.dataset, name=_as_file(name)),
        backend=BackendInfo(name, name, name, name),
        layers=tuple(msgspec.structs.replace(layer, name=name) for layer in header.layers),
    )
    frame = make_frame(SETTINGS, [1e-9, *[0.5] * 3])
    verdict = Verdict("vanishing", name, (Cure(None, None, name),), frame.verdict.evidence)
    frame = msgspec.structs.replace(frame, verdict=verdict)
    return b"".join(map(encode_line, (header, frame, Event(step=0, kind="note", message=name))))


def model_recording(name: str) -> bytes:
    """The same of a user's model."""
    header = make_model_header([LayerInfo(name, 2, 2, name, (2, 2), name)] * 8, name=name)
    header = msgspec.structs.replace(header, model=ModelInfo(name, name, 1, name))
    frame = make_model_frame([1e-9, *[0.5] * 7])
    frame = msgspec.structs.replace(frame, verdict=replace(frame.verdict, message=name))
    return encode_line(header) + encode_line(frame)


def sweep_file(name: str) -> bytes:
    """A sweep over a data set of this name, one run of which failed for a reason of this name."""
    sweep = Sweep(settings=SMALL, vary=(Axis("dataset", (f"{_as_file(name)}.csv", "digits")),), seeds=1, steps=2)
    first, second = sweep.points()
    rows = (row_of(first, verdict=name, computed_on=name), row_of(second, error=name))
    return b"".join(map(encode_line, (sweep, *rows)))


def _as_file(name: str) -> str:
    """As far as a file can be called so."""
    return name.replace("\0", "")


FILES = {"own": own_recording, "model": model_recording, "sweep": sweep_file}


@pytest.mark.parametrize("kind", FILES)
def test_no_name_is_an_element_of_a_page(tmp_path: Path, kind: str) -> None:
    file, page = tmp_path / "it.jsonl", tmp_path / "it.html"
    harmless = None
    for name in ("harmless", ALL):
        file.write_bytes(FILES[kind](name))
        page.unlink(missing_ok=True)
        done = call("report", str(file), "-o", str(page))
        assert (done.returncode, done.stderr) == (0, f"vgtui: the page is {page}\n"), (name, done)
        text = page.read_text()
        found = Elements(text).found
        harmless = harmless or found
        assert found == harmless, name
        assert not COMMANDING.search(text.replace("\r", "")), name


@pytest.mark.parametrize("kind", slow_but(FILES, "own", "sweep"))
def test_no_name_is_markup_or_mathematics_in_a_picture(tmp_path: Path, kind: str) -> None:
    file, picture = tmp_path / "it.jsonl", tmp_path / "it.svg"
    for name in (ALL, NAMES[-1]):
        file.write_bytes(FILES[kind](name))
        picture.unlink(missing_ok=True)
        done = call("export", str(file), "-o", str(picture))
        assert (done.returncode, done.stderr) == (0, ""), name
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(picture).iter()}
        assert not tags & {"script", "img", "a", "foreignObject"}, name


@pytest.mark.parametrize("kind", FILES)
def test_no_name_is_a_formula_in_a_table_and_every_number_stays_one(tmp_path: Path, kind: str) -> None:
    file, table = tmp_path / "it.jsonl", tmp_path / "it.csv"
    for name in NAMES:
        file.write_bytes(FILES[kind](name))
        table.unlink(missing_ok=True)
        assert call("export", str(file), "-o", str(table)).returncode == 0
        with table.open(newline="") as lines:
            columns, *rows = csv.reader(lines)
        assert all(len(row) == len(columns) for row in rows)
        for cell in (cell for row in rows for cell in row if cell):
            assert not COMMANDING.search(cell)
            if cell[0] in "=+-@\t\r\n":
                float(cell)  # else it would be text that computes


def test_a_negative_number_has_no_apostrophe(tmp_path: Path) -> None:
    first, frame, *_ = own_recording("it").splitlines(keepends=True)
    value = json.loads(frame)
    value["layers"]["activation_mean"] = [-0.25] * 4
    (tmp_path / "it.jsonl").write_bytes(first + json.dumps(value).encode() + b"\n")
    assert ",-0.25," in call("export", str(tmp_path / "it.jsonl"), "-o", "-").stdout


@pytest.mark.parametrize("kind", FILES)
def test_no_name_commands_a_terminal(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "it.jsonl"
    for name in NAMES:
        file.write_bytes(FILES[kind](name))
        done = call("plot" if kind == "sweep" else "replay", str(file))
        assert done.returncode == 0, (name, done.stderr)
        assert not COMMANDING.search(done.stdout + done.stderr), name
