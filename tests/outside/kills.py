"""Runs, recordings, checkpoints and sweeps that are killed at any moment, and what is left of them."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.cli.shell import SMALL, call, command
from tests.terminal.terminal import Terminal, has_ended
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.sweeps.rows import read_sweep

ENDINGS = (signal.SIGKILL, signal.SIGTERM)
MAX_SECONDS = 1.5
"""After its start or its first frames, a process is killed within this time."""
MAX_ORPHAN_SECONDS = 3.0
CLOCK = ("steps_per_second",)
"""What is of the machine, and not of the run."""
LONG = ("run", "--steps", "4000", "--every", "200", "--format", "jsonl", *SMALL)
GRID = ("sweep", "--vary", "width=2:9:8", "--steps", "20", "--hidden-layers", "2", "--jobs", "2")


def _kill_within(process: "subprocess.Popen[Any]", chance: random.Random, seconds: float) -> signal.Signals | None:
    """Kill it at a random moment; None where it had ended by itself."""
    ending = chance.choice(ENDINGS)
    try:
        process.wait(chance.uniform(0, seconds))
        return None
    except subprocess.TimeoutExpired:
        process.send_signal(ending)
        process.wait(20)
        return ending


def _readable(path: Path) -> str | None:
    """What is wrong with a recording beside a last line that is torn, if anything is."""
    if not path.exists() or not path.stat().st_size:
        return None
    reader = RecordingReader(path.name)
    first, newline, _ = path.read_bytes()[:100_000].partition(b"\n")
    if path.suffix != ".gz" and not newline:
        return None if first.startswith(b'{"type":"header"') else f"begins with {first[:50]!r}"
    for _ in read_recording(str(path), reader):
        pass
    return reader.summary() if reader.damaged or "damaged" in reader.summary() else None


def kill_run(folder: Path, chance: random.Random, seconds: float) -> str | None:
    """`vgtui run --output`, killed; what is wrong with its file."""
    path = folder / "run.jsonl"
    path.unlink(missing_ok=True)
    words = [*LONG[:2], "1000000", *LONG[3:], "-o", str(path)]
    with subprocess.Popen(command(*words), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _kill_within(process, chance, seconds)
    return _readable(path)


def kill_recording(folder: Path, chance: random.Random) -> str | None:
    """The dashboard with --record, killed while it writes; what is wrong with its file, or stays."""
    path = folder / chance.choice(["kept.jsonl", "kept.jsonl.gz"])
    path.unlink(missing_ok=True)
    with Terminal([*SMALL, "--record", str(path)]) as terminal:
        terminal.wait_for(lambda: path.exists() and path.stat().st_size, 60)
        workers = terminal.workers()
        end = time.monotonic() + chance.uniform(0, MAX_SECONDS)
        while time.monotonic() < end:
            terminal.read(0.05)
        terminal.process.send_signal(chance.choice(ENDINGS))
        terminal.wait_for_exit()
        end = time.monotonic() + MAX_ORPHAN_SECONDS
        while not all(map(has_ended, workers)):
            if time.monotonic() > end:
                return f"its training process is there after {MAX_ORPHAN_SECONDS:g} s"
            time.sleep(0.02)
    return _readable(path)


def _without_clock(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCK} for line in lines]


def whole_run(folder: Path) -> list[dict[str, Any]]:
    """What a run says that nobody kills."""
    path = folder / "whole.jsonl"
    assert call(*LONG, "-o", str(path)).returncode == 0
    return _without_clock(path)


def kill_checkpoints(
    folder: Path, chance: random.Random, whole: list[dict[str, Any]], seconds: float, most: int
) -> tuple[int, str | None]:
    """`vgtui run --checkpoint --resume`, killed again and again until it is done: how often, and what is wrong."""
    output, checkpoint = folder / "run.jsonl", folder / "run.npz"
    for path in (output, checkpoint):
        path.unlink(missing_ok=True)
    words = [*LONG, "-o", str(output), "--checkpoint", str(checkpoint), "--checkpoint-every", "100", "--resume"]
    kills = 0
    while True:
        with subprocess.Popen(command(*words), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            killed = None
            if kills < most:
                killed = _kill_within(process, chance, seconds)
            _, said = process.communicate()
        if killed:
            kills += 1
        elif process.returncode == 0:
            break
        else:
            return kills, f"cannot be resumed: {said.strip()}"
    same = _without_clock(output) == whole
    left = [path.name for path in folder.glob(".run.npz.*")]
    return kills, None if same else f"another output than that of a run never killed ({len(left)} files left)"


def kill_sweep(folder: Path, chance: random.Random, seconds: float, most: int) -> tuple[int, str | None]:
    """`vgtui sweep --output`, killed again and again until it is done: how often, and what is wrong."""
    path = folder / "sweep.jsonl"
    path.unlink(missing_ok=True)
    kills, before = 0, 0
    while True:
        with subprocess.Popen(
            command(*GRID, "-o", str(path)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            killed = _kill_within(process, chance, seconds) if kills < most else None
            _, said = process.communicate()
        if path.exists() and path.stat().st_size:
            rows = read_sweep(str(path))[1]
            if len(rows) < before:
                return kills, f"{len(rows)} rows, and there were {before}"
            before = len(rows)
            if killed is None and process.returncode == 0:
                break
        if killed is None and process.returncode:
            return kills, f"cannot be gone on with: {said.strip()}"
        kills += killed is not None
    numbers = sorted(row.number for row in rows)
    failed = [row.error for row in rows if row.error]
    return kills, None if numbers == list(range(8)) and not failed else f"rows {numbers}, failed: {failed}"
