"""Right files of every format, changed by chance, and what must come of reading them: a value, or one sentence."""

import gzip
import json
import os
import random
import resource
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from engine.config import NetworkConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from tests.cli.shell import call
from tests.engine.test_files import IMAGES, LABELS, ROWS, idx, npz
from tests.outside.corpus import HOSTILE, LESSON, MODEL, RECORDING, SETTINGS_FILE, SWEEP, SWEEP_FILE, THEME
from tests.outside.harmless import COMMANDING
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.recordings.tables import frame_rows
from vgtui.reports.summary import read_summaries
from vgtui.sweeps.rows import SweepFile
from vgtui.user.settings_file import Remembered, recall, remember
from vgtui.wire.frames import Frame, Header
from vgtui.wire.run_settings import RunSettings
from vgtui.worker.run import Run

MAX_SECONDS = 2.0
MAX_BYTES = 500_000_000
SMALL = RunSettings(NetworkConfig(2, 8))
VALUES: tuple[Any, ...] = (
    -1, 0, 2**63, -(10**30), 10**400, 1e308, 1e-320, -0.0, float("nan"), float("inf"), "NaN", "-Infinity", "x", HOSTILE,
    "", "=cmd|' /C calc'!A0", "<script>", None, True, [], {}, [None], [[[[]]]], {"": 0}, "9" * 5000,
)  # fmt: skip
"""What stands in the place of a right value."""
BYTES = (b"", b"\xff", b"\xed\xa0\x80", b"\0", b"\n", b"[" * 5000, b'{"a":' * 2000, b"-", b"1e999", b"9" * 500, b"null")

Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Format:
    """A right file, its name, whether its lines are JSON, and all the ways in which vgtui reads it."""

    name: str
    right: bytes
    reads: tuple[Read, ...]
    json: bool = False


@dataclass(slots=True)
class Tally:
    """What came of it. megabytes: the most that the process ever had."""

    tried: int = 0
    came: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    megabytes: float = 0.0
    faults: list[str] = field(default_factory=list)


def _call(*words: str) -> Read:
    """`vgtui` with these words, FILE and OUT being the file and one beside it."""

    def read(file: Path) -> None:
        out = file.with_name("out.csv")
        out.unlink(missing_ok=True)
        done = call(*(word.replace("FILE", str(file)).replace("OUT", str(out)) for word in words))
        said = done.stdout + done.stderr
        if done.returncode not in (0, 2) or "internal error" in said or COMMANDING.search(said):
            raise AssertionError(f"{done.returncode}: {said[:300]!r}")
        if done.returncode == 2:
            raise UsageError("FILE", done.stderr.strip())

    return read


def _export(file: Path) -> None:
    header = None
    for message in read_recording(str(file), RecordingReader("it")):
        if isinstance(message, Header):
            header = message
        elif isinstance(message, Frame):
            assert header
            list(frame_rows(header, message))


def _resume_sweep(file: Path) -> None:
    with SweepFile(str(file), SWEEP):
        pass


def _resume(file: Path) -> None:
    run = Run(SMALL)
    try:
        run.resume(str(file))
    finally:
        assert all(np.isfinite(values).all() for values in run.trainer.network.named_parameters().values())


def _recall(file: Path) -> None:
    found = recall()
    assert isinstance(found, Remembered)
    remember(hints=True)
    assert recall().hints


def _data(file: Path) -> None:
    data = load_dataset(str(file))
    assert np.isfinite(data.inputs).all()
    assert 0 <= data.labels.min() <= data.labels.max() < data.classes


def _checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"
        assert Run(SMALL).save(str(path), "-", 0) is None
        return path.read_bytes()


def formats() -> list[Format]:
    """Every format that vgtui reads."""
    recording = (_call("replay", "FILE"), _export, lambda file: read_summaries(str(file)))
    sweep = (_call("plot", "FILE"), _call("export", "FILE", "-o", "OUT"), _resume_sweep)
    toml = tuple(map(_call, ("config", "lessons"))), (_call("list", "themes"),)
    return [
        Format("run.jsonl", RECORDING.right, recording, json=True),
        Format("model.jsonl", MODEL.right, recording, json=True),
        Format("run.jsonl.gz", gzip.compress(RECORDING.right), recording),
        Format("sweep.jsonl", SWEEP_FILE.right, sweep, json=True),
        Format("run.npz", _checkpoint(), (_resume,)),
        Format("d.csv", ROWS.encode(), (_data,)),
        Format("d.csv.gz", gzip.compress(ROWS.encode()), (_data,)),
        Format("d.npz", npz(x=IMAGES, y=LABELS), (_data,)),
        Format("a-images-idx3-ubyte", idx(IMAGES), (_data,)),
        Format("a-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES)), (_data,)),
        Format(SETTINGS_FILE.name, SETTINGS_FILE.right, toml[0][:1]),
        Format(THEME.name, THEME.right, toml[1]),
        Format(LESSON.name, LESSON.right, (_call("lessons"), _call("lessons", "own"))),
        Format(
            "vgtui/look.json",
            b'{"view":"layers","hints":true,"theme":"dark","lessons":{"quarter":3}}',
            (_recall,),
            json=True,
        ),
    ]


def mutate(right: bytes, chance: random.Random, is_json: bool = False) -> bytes:
    """One to four changes: of bytes, of lines, of values."""
    data = right
    for _ in range(chance.randint(1, 4)):
        change = chance.choice([_flip, _cut, _splice, _lines, *([_value] * 4 if is_json else [_number])])
        data = change(data, chance) or b"x"
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _splice(data: bytes, chance: random.Random) -> bytes:
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    part = chance.choice([*BYTES, data[begin:end] * 2, chance.randbytes(4)])
    return data[:begin] + part + data[chance.choice([begin, begin + 1, end]) :]


def _lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one : one + 1] = chance.choice([[], [lines[one]] * 2, [lines[other]], [lines[one]] * 200])
    return b"".join(lines)


def _number(data: bytes, chance: random.Random) -> bytes:
    """Four bytes, as a size in a header has, or a digit."""
    where = chance.randrange(len(data))
    return (
        data[:where] + chance.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"9"]) + data[where + 4 :]
    )


def _value(data: bytes, chance: random.Random) -> bytes:
    """A line with another value, another name or one entry more or less, anywhere in it."""
    lines = data.splitlines(keepends=True)
    number = chance.randrange(len(lines))
    try:
        value = json.loads(lines[number])
    except (ValueError, RecursionError):
        return data
    places = list(_places(value))
    if not places:
        return data
    inside, key = chance.choice(places)
    new = chance.choice(VALUES)
    match chance.randrange(8):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, list):
            inside.insert(key, inside[key])
        case 2 if isinstance(inside, dict):
            inside[str(new)[:50]] = inside[key]
        case 3:
            for _ in range(chance.choice([5, 100])):
                new = [new]
            inside[key] = new
        case _:
            inside[key] = new
    with suppress(ValueError, RecursionError):
        lines[number] = json.dumps(value).encode() + b"\n"
    return b"".join(lines)


def _places(value: Any) -> Any:
    """Every place in a value that another can take."""
    if not isinstance(value, dict | list):
        return
    for key, entry in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(entry)


def _zeros() -> bytes:
    packed = zlib.compressobj(1, wbits=31)
    return b"".join(packed.compress(bytes(1_000_000)) for _ in range(200)) + packed.flush()


def _one_line() -> bytes:
    packed = zlib.compressobj(1, wbits=31)
    line = RECORDING.right.splitlines(keepends=True)[0] + b'{"type":"frame","x":"' + bytes(100_000_000)
    return packed.compress(line) + packed.flush()


def _giant() -> bytes:
    header, giant = BytesIO(), BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**20)})
    with zipfile.ZipFile(giant, "w") as archive:
        for name in ("x.npy", "y.npy", "about.npy"):
            archive.writestr(name, header.getvalue())
    return giant.getvalue()


def _deflated() -> bytes:
    deflated = BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("x.npy", "y.npy", "about.npy"):
            with archive.open(name, "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(
                    member, {"descr": "|u1", "fortran_order": False, "shape": (100_000_000,)}
                )
                for _ in range(100):
                    member.write(bytes(1_000_000))
    return deflated.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "run.jsonl.gz": _zeros,
    "run.jsonl": _one_line,
    "d.csv.gz": _zeros,
    "a-images-idx3-ubyte.gz": lambda: gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12),
    "a-images-idx3-ubyte": lambda: b"\0\0\x0e\x03" + b"\x7f\xff\xff\xff" * 3,
    "d.npz": _giant,
    "run.npz": _deflated,
}
"""Small files that unpack to, or announce, more than a machine has; under the names of their formats."""


def read_all_ways(kind: Format, data: bytes, folder: Path, tally: Tally) -> None:
    """Write a file where vgtui looks for it, have it read in every way, and add what came of it."""
    file = folder / kind.name
    file.parent.mkdir(parents=True, exist_ok=True)
    tally.tried += 1
    for read in kind.reads:
        file.write_bytes(data)
        begin = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(file)
            tally.came["read"] += 1
        except UsageError as error:
            tally.came["refused"] += 1
            if "\n" in str(error):
                tally.faults.append(f"{kind.name}: more than a sentence: {str(error)[:300]!r}")
        except Exception as error:
            kept = Path(tempfile.gettempdir()) / f"mutation-{os.getpid()}-{len(tally.faults)}-{file.name}"
            kept.write_bytes(data)
            tally.faults.append(f"{kind.name}: {type(error).__name__}: {str(error)[:300]} ({kept})")
        tally.slowest = max(tally.slowest, seconds := time.monotonic() - begin)
        if seconds > MAX_SECONDS:
            tally.faults.append(f"{kind.name}: took {seconds:.1f} s")


def attack(kind: Format, count: int, seed: int) -> Tally:
    """That many changes of a right file, and the bomb of its format; in this process."""
    tally = Tally()
    chance = random.Random(f"{seed} {kind.name}")
    with tempfile.TemporaryDirectory() as folder:
        here = {"XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}
        for ending in ("", ".gz"):
            labels = Path(folder) / f"a-labels-idx1-ubyte{ending}"
            labels.write_bytes(gzip.compress(idx(LABELS)) if ending else idx(LABELS))
        with patch.dict(os.environ, here):
            for _ in range(count):
                read_all_ways(kind, mutate(kind.right, chance, kind.json), Path(folder), tally)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if kind.name in BOMBS:
                read_all_ways(kind, BOMBS[kind.name](), Path(folder), tally)
    tally.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    if tally.megabytes * 1e6 > MAX_BYTES:
        tally.faults.append(f"{kind.name}: {tally.megabytes:.0f} MB, {before / 1000:.0f} before the bomb")
    return tally
