"""Files that are wrong, and how each kind is looked at: cut off, of another kind, of impossible values, or hostile."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.frames import make_frame, make_header
from tests.models import make_model_frame, make_model_header
from tests.sweeps.rows import row_of, small_sweep
from vgtui.user.data_files import own_folder
from vgtui.wire.frames import Event, encode_line
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings()
SWEEP = small_sweep("width=4,8", "activation=relu,tanh")
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202e[/][bold]\0"
"""Commands of a terminal, a mark that turns a line around, markup, and the end of a string in C."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Of file: a right one, under this name, and the words that have vgtui read it."""

    name: str
    right: bytes
    words: Callable[[Path], list[tuple[str, ...]]]


RECORDING = Kind(
    "run.jsonl",
    encode_line(make_header(SETTINGS))
    + encode_line(make_frame(SETTINGS, [0.5] * 21))
    + encode_line(Event(step=0, kind="note", message="a note"))
    + encode_line(make_frame(SETTINGS, [0.25] * 21, step=10)),
    lambda file: [("replay", str(file)), ("export", str(file), "-o", str(file.with_name("out.csv")))],
)
MODEL = Kind(
    "model.jsonl", encode_line(make_model_header()) + encode_line(make_model_frame([1e-9, *[0.5] * 7])), RECORDING.words
)
SWEEP_FILE = Kind(
    "sweep.jsonl",
    encode_line(SWEEP) + b"".join(encode_line(row_of(point)) for point in SWEEP.points()),
    lambda file: [("plot", str(file)), ("export", str(file), "-o", str(file.with_name("out.csv")))],
)
SETTINGS_FILE = Kind(
    "vgtui/settings.toml",
    b'[options]\nactivation = "relu"\nhidden_layers = 10\ntheme = "light"\n\n[keys]\nbatch_norm = "B"\n',
    lambda file: [("config",), ("list", "themes")],
)
THEME = Kind(
    "vgtui/themes/own.toml",
    (own_folder("themes") / "dark.toml").read_bytes().replace(b'"dark"', b'"own"'),
    lambda file: [("list", "themes"), ("replay", "nothing.jsonl", "--theme", "own")],
)
LESSON = Kind(
    "vgtui/lessons/own.toml",
    (own_folder("lessons") / "batch-norm.toml").read_bytes().replace(b'"batch-norm"', b'"own"'),
    lambda file: [("lessons",), ("lessons", "own")],
)
KINDS = {kind.name: kind for kind in (RECORDING, MODEL, SWEEP_FILE, SETTINGS_FILE, THEME, LESSON)}


def _damaged(right: bytes) -> Iterator[tuple[str, bytes]]:
    """What can become of any file."""
    lines = right.splitlines(keepends=True)
    yield "empty", b""
    yield "one newline", b"\n"
    yield "zeros", bytes(5000)
    yield "all bytes", bytes(range(256)) * 20
    yield "cut in half", right[: len(right) // 2]
    yield "its last byte missing", right[:-2]
    yield "its first line missing", b"".join(lines[1:])
    yield "backwards", b"".join(reversed(lines))
    yield "doubled", right * 2
    yield "as UTF-16", right.decode().encode("utf-16")
    yield "a byte that is no UTF-8", right.replace(b'"', b'"\xff', 1)
    yield "hostile words", right.replace(b'"', b'"' + HOSTILE.encode(), 3)
    yield "hostile words, escaped", right.replace(b'"', b'"' + json.dumps(HOSTILE)[1:-1].encode(), 7)
    yield "brackets without an end", b"[" * 100_000
    yield "an endless word", b"x" * 3_000_000
    yield "numbers beyond all numbers", right.replace(b"0", b"9" * 400)
    yield "digits turned to signs", right.replace(b"1", b"-")
    yield "compressed", gzip.compress(right)
    yield "compressed and cut", gzip.compress(right)[:-20]


def _json_changed(right: bytes, **changes: Any) -> bytes:
    """A recording or sweep whose first line has other values; a name with __ goes down."""
    first, _, rest = right.partition(b"\n")
    value = json.loads(first)
    for name, new in changes.items():
        *path, last = name.split("__")
        inner = value
        for part in path:
            inner = inner[part]
        inner[last] = new
    return json.dumps(value).encode() + b"\n" + rest


_HEADERS: dict[str, dict[str, Any]] = {
    "another format": {"format": "frames"},
    "a version of tomorrow": {"version": 99},
    "a version in words": {"version": "one"},
    "no layers": {"layers": []},
    "layers without an end": {"layers": [{"name": "x", "fan_in": 1, "fan_out": 1}] * 50_000},
    "a layer of no size": {"layers": [{"name": "x", "fan_in": -1, "fan_out": 0}] * 21},
    "hostile layers": {"layers": [{"name": HOSTILE, "fan_in": 1, "fan_out": 1}] * 21},
    "an activation that there is not": {"network__activation": "cosine"},
    "a network of no width": {"network__width": 0},
    "a network as wide as the world": {"network__width": 10**18},
    "a learning rate in words": {"training__learning_rate": "fast"},
    "a hostile data set": {"dataset__name": HOSTILE},
    "a data set of nothing": {"dataset__samples": 0},
    "a hostile device": {"backend__device": HOSTILE, "backend__fallback_reason": HOSTILE},
    "null everywhere": {"network": None, "training": None, "dataset": None, "backend": None},
}
_SWEEPS: dict[str, dict[str, Any]] = {
    "another format": {"format": "vgtui-frames"},
    "a version of tomorrow": {"version": 99},
    "nothing varies": {"vary": []},
    "an option that there is not": {"vary": [{"field": "depth", "values": [1, 2]}]},
    "values of another kind": {"vary": [{"field": "width", "values": ["wide", None]}]},
    "no values": {"vary": [{"field": "width", "values": []}]},
    "hostile values": {"vary": [{"field": "dataset", "values": [HOSTILE, "digits"]}]},
    "a grid beyond all memory": {
        "vary": [{"field": field, "values": list(range(1, 1001))} for field in ("width", "hidden_layers")]
    },
    "seeds without an end": {"seeds": 10**12},
    "no seeds": {"seeds": 0},
    "steps before the start": {"steps": -5},
}


def corpus() -> Iterator[tuple[Kind, str, bytes]]:
    """Every bad file: its kind, what is wrong with it, and its bytes."""
    for kind in KINDS.values():
        for words, data in _damaged(kind.right):
            yield kind, words, data
    for words, changes in _HEADERS.items():
        yield RECORDING, words, _json_changed(RECORDING.right, **changes)
    for words, changes in _SWEEPS.items():
        yield SWEEP_FILE, words, _json_changed(SWEEP_FILE.right, **changes)
