"""Input, limits, lines and kills that no user means: `python -m benchmarks.attack` tries each many times, and counts.

It prints a line a kind: what was tried, how often, and what came of it. It ends with 1 where anything failed: a
traceback, a file that cannot be read, a process that stays, more than 2 s or 500 MB for a small file. The forms that
take seconds are in tests/outside.
"""

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

from tests.cli.shell import command
from tests.outside.hostile import TALKS, hostile_socket
from tests.outside.kills import kill_checkpoints, kill_recording, kill_run, kill_sweep, whole_run
from tests.outside.limits import FULL, PRINTING, call_with, fault_in, write_files
from tests.outside.mutations import Tally, attack, formats
from tests.outside.ssh import dashboard_over_ssh, remote_processes, seconds_until_ended, why_not
from tests.terminal.terminal import Terminal

MUTATIONS = 20
"""Of every format, a round."""
KILLS_AT_ONCE = 10
"""Of one run or one sweep, which must then be able to end."""
ATTACH_SECONDS = 5.0
MAX_MEGABYTES = 500
LINES: tuple[tuple[int | None, tuple[str, ...]], ...] = ((1000, ("--fps", "0.1")), (4000, ()), (20_000, ()), (None, ()))
"""Bytes a second of a line, and the options of the dashboard on it."""

Outcome = tuple[int, list[str]]
"""How often it was tried, and what was wrong."""


def mutations(rounds: int, seed: int) -> Iterator[str | Outcome]:
    """Every format in a process of its own, whose memory is then that format's."""
    for number, kind in enumerate(formats()):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            tally: Tally = pool.apply(_attack, (number, rounds * MUTATIONS, seed))
        came = ", ".join(f"{count} {what}" for what, count in tally.came.most_common())
        yield f"  {kind.name}: {tally.tried} files, {came}, {tally.slowest:.2f} s and {tally.megabytes:.0f} MB at most"
        yield tally.tried, tally.faults


def _attack(number: int, count: int, seed: int) -> Tally:
    return attack(formats()[number], count, seed)


def full_disk(rounds: int, seed: int) -> Iterator[str | Outcome]:
    """Every command that prints, once."""
    if not FULL.is_char_device():
        yield "  there is no /dev/full here"
        return
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        for words in PRINTING:
            fault = fault_in(call_with(*words, cwd=Path(folder), stdout=str(FULL)), codes=(1, 2))
            yield 1, [f"{' '.join(words)}: {fault}"] if fault else []


def kills(rounds: int, seed: int) -> Iterator[str | Outcome]:
    """Each kind of output, a kill a round."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = whole_run(folder)
        yield from _killed("run --output", rounds, lambda most: (1, kill_run(folder, chance, 4)))
        yield from _killed("recording", rounds, lambda most: (1, kill_recording(folder, chance)))
        yield from _killed("checkpoints", rounds, lambda most: kill_checkpoints(folder, chance, whole, 6, most))
        yield from _killed("sweep", rounds, lambda most: kill_sweep(folder, chance, 8, most))


def _killed(what: str, kills: int, kill: Callable[[int], tuple[int, str | None]]) -> Iterator[str | Outcome]:
    done = 0
    faults: list[str] = []
    while done < kills and not faults:
        count, fault = kill(min(KILLS_AT_ONCE, kills - done))
        done += max(count, 1)
        faults += [f"{what}: {fault}"] if fault else []
    yield f"  {what}: {done} kills"
    yield done, faults


def sockets(rounds: int, seed: int) -> Iterator[str | Outcome]:
    """Every hostile talk, on a screen and in a pipe."""
    for name, talk in TALKS.items():
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path = Path(folder) / "model.sock"
            with hostile_socket(path, talk):
                yield from _attach(name, path)


def _attach(name: str, path: Path) -> Iterator[str | Outcome]:
    faults = []
    with Terminal(["attach", str(path)]) as terminal:
        begin = time.monotonic()
        while time.monotonic() - begin < ATTACH_SECONDS and terminal.process.poll() is None:
            terminal.read(0.05)
        megabytes = _peak_megabytes(terminal.process.pid)
        begin = time.monotonic()
        if terminal.process.poll() is None:
            terminal.press("q")
        code = terminal.wait_for_exit(60)
        seconds = time.monotonic() - begin
        if code not in (0, 2) or any(bad in terminal.received for bad in (b"Traceback", b"of its own", b"\x1b]52")):
            faults.append(f"{name}: on a screen, exit code {code}")
    try:
        done = subprocess.run(
            command("attach", str(path)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=ATTACH_SECONDS,
        )  # fmt: skip
        came = f"exit code {done.returncode}"
        if fault := fault_in(done):
            faults.append(f"{name}: in a pipe: {fault}")
    except subprocess.TimeoutExpired:
        came = "waits on"
    if megabytes > MAX_MEGABYTES:
        faults.append(f"{name}: {megabytes:.0f} MB")
    yield f"  {name}: q ended it in {seconds:.2f} s, {megabytes:.0f} MB at most; in a pipe: {came}"
    yield 2, faults


def _peak_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    return 0.0  # it has ended


def ssh(rounds: int, seed: int) -> Iterator[str | Outcome]:
    """A key over slow lines, then a client that is dropped."""
    if reason := why_not():
        yield f"  left out: {reason}"
        return
    for speed, options in LINES:
        with (
            tempfile.TemporaryDirectory() as folder,
            dashboard_over_ssh(Path(folder), speed, *options) as (terminal, port),
        ):
            first = terminal.wait_for(lambda terminal=terminal: terminal.step, 120)  # type: ignore[misc]
            processes = remote_processes(port)
            shown = " fps" in terminal.line
            terminal.press("f")
            try:
                key = terminal.wait_for(lambda t=terminal, s=shown: (" fps" in t.line) != s, 120)  # type: ignore[misc]
                answered = f"the first key after {key:.2f} s"
            except AssertionError:
                answered = "no key answered within 120 s"
            terminal.process.send_signal(signal.SIGKILL)
            gone = seconds_until_ended(processes, 60)
        line = f"{speed} bytes a second" if speed else "a line without a bound"
        yield (
            f"  {' '.join([line, *options])}: the first step after {first:.1f} s, {answered}; "
            f"dropped, all had ended after {gone:.2f} s"
        )
        yield 1, []


PARTS = {"mutations": mutations, "full disk": full_disk, "kills": kills, "sockets": sockets, "ssh": ssh}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=100, help="kills of each kind, and 20 times as many changed files"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the chance (default: 1)")
    parser.add_argument("--only", choices=PARTS, help="one part (default: all)")
    chosen = parser.parse_args()
    tried: Counter[str] = Counter()
    faults = []
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder, chdir(folder):
        os.environ |= dict.fromkeys(("XDG_STATE_HOME", "XDG_CONFIG_HOME"), home)
        for name in [chosen.only] if chosen.only else PARTS:
            print(f"{name}:", flush=True)
            for said in PARTS[name](chosen.rounds, chosen.seed):
                if isinstance(said, str):
                    print(said, flush=True)
                else:
                    tried[name] += said[0]
                    faults += said[1]
    print("tried: " + ", ".join(f"{count} × {name}" for name, count in tried.items()))
    print("\n".join([f"fault: {fault}" for fault in faults] or ["all of it held"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
