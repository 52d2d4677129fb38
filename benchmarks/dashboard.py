"""What the dashboard costs: `make bench` drives it in a pseudo-terminal of 120×40.

Training speed with the dashboard open, against `vgtui run`, alternating and as a ratio in one run; and while it is
open, the dashboard's share of a core, its bytes a second and its memory, at 10 and at 30 pictures a second and in each
view. First paint, first frame, the time from a key to the changed screen, and the memory after minutes against after
one come from the same terminal. It takes a quarter of an hour; what it prints is kept in DASHBOARD.txt.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.output import print_and_keep
from tests.terminal.terminal import Terminal
from vgtui.dashboard.view.look import VIEWS

RESULTS = Path(__file__).with_name("DASHBOARD.txt")
SIZES = {
    "20×64, batch 128": ["--hidden-layers", "20", "--width", "64"],
    "30×64, batch 128": ["--hidden-layers", "30", "--width", "64"],
    "20×256, batch 256": ["--hidden-layers", "20", "--width", "256", "--batch-size", "256"],
}
WIDTHS = (8, 8, 6, 6, 6, 5)
LARGE_STEPS = ["--width", "1024", "--batch-size", "256"]
SETTLE_SECONDS = 3.0
KEYS_PRESSED = 40


@dataclass(frozen=True, slots=True)
class Live:
    """One sitting with the dashboard open."""

    steps_per_second: float
    cpu_share: float
    bytes_per_second: float
    megabytes: float


@contextmanager
def open_dashboard(options: Sequence[str] = ()) -> Iterator[Terminal]:
    """The dashboard as on the first day, until it trains: no view, theme or key is remembered from a sitting before."""
    with (
        tempfile.TemporaryDirectory() as home,
        Terminal(options, XDG_STATE_HOME=home, XDG_CONFIG_HOME=home) as terminal,
    ):
        terminal.wait_for(lambda: terminal.step)
        yield terminal


def measure_live(options: list[str], fps: float, seconds: float, keys: Sequence[str] = ()) -> Live:
    """Let the dashboard run, press these keys, and watch it from outside once it has settled."""
    with open_dashboard([*options, "--fps", str(fps)]) as terminal:
        for key in keys:
            terminal.press(key)
        read_for(terminal, SETTLE_SECONDS)
        assert terminal.step is not None
        bytes_before, cpu_before, begin = len(terminal.received), _cpu(terminal.process.pid), time.monotonic()
        read_for(terminal, seconds)
        elapsed = time.monotonic() - begin
        cpu_share = (_cpu(terminal.process.pid) - cpu_before) / elapsed
        seen = [(when, step) for when, step in terminal.replay() if step is not None]
        changes = [now for before, now in pairwise(seen) if before[1] != now[1]]
        (first_time, first_step), (last_time, last_step) = changes[0], changes[-1]
        return Live(
            (last_step - first_step) / (last_time - first_time),
            cpu_share,
            (len(terminal.received) - bytes_before) / elapsed,
            resident_megabytes(terminal.process.pid),
        )


def measure_headless(options: list[str], steps: int) -> float:
    """Steps a second of `vgtui run`, from a frame after a warm-up to the last; the clock is this process's."""
    arguments = [sys.executable, "-m", "vgtui", "run", *options, "--format", "jsonl"]
    arguments += ["--steps", str(2 * steps), "--every", str(steps)]
    times = []
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout
        for line in process.stdout:
            if json.loads(line)["type"] == "frame":
                times.append(time.monotonic())
    return steps / (times[-1] - times[-2])


def measure_start() -> tuple[float, float]:
    """Seconds from the start to the first paint and to the first frame."""
    begin = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as home,
        Terminal(XDG_STATE_HOME=home, XDG_CONFIG_HOME=home) as terminal,
    ):
        terminal.wait_for(lambda: "sigmoid" in terminal.text)
        paint = time.monotonic() - begin
        terminal.wait_for(lambda: "‖∂E/∂W‖" in terminal.text and terminal.step is not None)
        return paint, time.monotonic() - begin


def measure_keys(options: list[str]) -> list[float]:
    """Seconds from a key to the bytes that show on the state line what it changed.

    The bytes are stamped as they come and interpreted afterwards, as an emulated terminal is slower than a real one.
    """
    delays = []
    with open_dashboard(options) as terminal:
        read_for(terminal, 1)
        for number in range(KEYS_PRESSED):
            expected = "BatchNorm on" if number % 2 == 0 else "BatchNorm off"
            assert expected not in terminal.line  # and so all that came before the key has been interpreted
            begin = time.monotonic()
            terminal.press("b")
            read_for(terminal, 0.4 + 0.013 * number)
            delays.append(next(when - begin for when, line in terminal.replay_lines() if expected in line))
    return sorted(delays)


def measure_memory(minutes: float) -> tuple[float, float]:
    """Megabytes of the dashboard after one minute, and after so many."""
    with open_dashboard() as terminal:
        read_for(terminal, 60)
        early = resident_megabytes(terminal.process.pid)
        read_for(terminal, 60 * (minutes - 1))
        return early, resident_megabytes(terminal.process.pid)


def read_for(terminal: Terminal, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        terminal.read(left)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often live and headless alternate (default: 3)")
    parser.add_argument("--seconds", type=float, default=8, help="seconds a round (default: 8)")
    parser.add_argument("--fps", type=float, default=10, help="pictures a second (default: 10)")
    parser.add_argument("--minutes", type=float, default=10, help="how long the memory is watched (default: 10)")
    chosen = parser.parse_args()
    print_and_keep(report(chosen.rounds, chosen.seconds, chosen.fps, chosen.minutes), RESULTS)


def report(rounds: int, seconds: float, fps: float, minutes: float) -> Iterator[str]:
    """Every figure, a line each as it is known."""
    yield from report_speed(rounds, seconds, fps)
    yield from report_views(seconds)
    yield from report_times()
    early, late = measure_memory(minutes)
    yield f"memory: {early:.1f} MB after 1 minute, {late:.1f} MB after {minutes:g}"


def report_speed(rounds: int, seconds: float, fps: float) -> Iterator[str]:
    """A row a network: with the dashboard and without, in turns."""
    names = ("run", "live", "ratio", "cpu", "kB/s", "MB")
    headings = " ".join(f"{name:>{width}}" for name, width in zip(names, WIDTHS, strict=True))
    yield f"{'network':<20} {headings}   steps a second, best of"
    for name, options in SIZES.items():
        guess = measure_headless(options, 100)
        live, headless = [], []
        for _ in range(rounds):
            headless.append(measure_headless(options, max(10, round(guess * seconds / 2))))
            live.append(measure_live(options, fps, seconds))
        best = max(entry.steps_per_second for entry in live)
        yield (
            f"{name:<20} {max(headless):>8.1f} {best:>8.1f} {best / max(headless):>6.2f} "
            f"{statistics.median(entry.cpu_share for entry in live):>6.1%} "
            f"{statistics.median(entry.bytes_per_second for entry in live) / 1e3:>6.1f} "
            f"{max(entry.megabytes for entry in live):>5.0f}   {rounds} rounds"
        )


def report_views(seconds: float) -> Iterator[str]:
    """What each view costs of the 30×64 network, at 10 and 30 pictures a second."""
    for fps in (10, 30):
        for number, view in enumerate(VIEWS):
            live = measure_live(SIZES["30×64, batch 128"], fps, seconds, "v" * number)
            yield (
                f"30×64, {view}, at most {fps} pictures a second: {live.cpu_share:.1%} of a core, "
                f"{live.bytes_per_second / 1e3:.1f} kB/s"
            )


def report_times() -> Iterator[str]:
    """How long a user waits: for the first picture, and for the answer to a key."""
    starts = [measure_start() for _ in range(5)]
    paint, frame = (min(times) for times in zip(*starts, strict=True))
    yield f"first paint {paint:.2f} s, first frame {frame:.2f} s, best of {len(starts)}"
    for words, options in (("small steps", []), ("large steps", LARGE_STEPS)):
        delays = measure_keys(options)
        yield (
            f"key to screen, {words}: median {statistics.median(delays) * 1e3:.0f} ms, "
            f"95th percentile {delays[round(0.95 * (len(delays) - 1))] * 1e3:.0f} ms, {len(delays)} keys"
        )


if __name__ == "__main__":
    main()
