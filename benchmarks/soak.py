"""A long sitting in little time: `make soak` presses any keys, resizes, stalls and kills for an hour, and watches.

What it does to the dashboard on a real pseudo-terminal is chance, begun from a seed that is printed. What must hold
all the while: it answers keys, its memory, files, threads and processes stay bounded, and it leaves properly. Then
twenty signals come while nobody reads the terminal. It ends with 1 where anything of that does not hold; what it
prints is kept in SOAK.txt.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from benchmarks.dashboard import read_for, resident_megabytes
from benchmarks.output import print_and_keep
from tests.terminal.stalled import leave_while_stalled
from tests.terminal.terminal import Terminal, has_ended
from vgtui.dashboard.keymap import KEYS

RESULTS = Path(__file__).with_name("SOAK.txt")
SPECIAL = {
    "space": " ", "enter": "\r", "tab": "\t", "ctrl+p": "\x10", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C",
    "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
    "shift+left": "\x1b[1;2D", "shift+right": "\x1b[1;2C",
}  # fmt: skip
"""What a terminal sends for keys that are no characters."""
PRESSES = [SPECIAL.get(key.key, key.shown) for key in KEYS if key.name != "quit"]
ESCAPE = "\x1b"
SIZES = [(120, 40), (80, 24), (200, 60), (40, 12), (20, 5), (100, 100), (3, 3), (160, 45)]
SAMPLE_SECONDS = 10.0
SIGNALS = 20
MOST_MEGABYTES, MOST_GROWTH = 160.0, 10.0
"""Of the dashboard, all in all; and from the second quarter of the time to the last, of which the history is part."""
MOST_FILES_MORE, MOST_THREADS_MORE = 12, 4
"""Than at the start: a second worker has a socket, a pipe and a process; a recording has a file."""
MOST_PROCESSES = 3
"""Two lanes, and one that is just leaving."""
MOST_KEY_SECONDS = 0.25
MOST_SIGNAL_SECONDS = 1.0


@dataclass(slots=True)
class Watch:
    """What was done, and what was seen every ten seconds."""

    done: Counter[str] = field(default_factory=Counter)
    megabytes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    key_seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def sample(self, terminal: Terminal) -> None:
        process = Path(f"/proc/{terminal.process.pid}")
        self.megabytes.append(resident_megabytes(terminal.process.pid))
        self.files.append(len(list((process / "fd").iterdir())))
        self.threads.append(len(list((process / "task").iterdir())))
        self.processes.append(len(terminal.workers()))


def sit(minutes: float, seed: int, watch: Watch) -> Iterator[str]:
    """Use the dashboard so long, in a folder of its own; a line now and then for who waits."""
    chance = random.Random(seed)
    with Terminal() as terminal:
        terminal.wait_for(lambda: terminal.step)
        watch.sample(terminal)
        begin = sampled = told = time.monotonic()
        while (now := time.monotonic()) - begin < 60 * minutes:
            _do_something(terminal, chance, watch)
            if terminal.process.poll() is not None:
                watch.faults.append(f"it left with {terminal.process.returncode}: {_last_words()}")
                return
            if now - sampled >= SAMPLE_SECONDS:
                sampled = now
                _press_and_measure(terminal, watch)
                watch.sample(terminal)
                _tidy()
                terminal.received.clear()
            if now - told >= 60:
                told = now
                yield f"{(now - begin) / 60:3.0f} min: {sum(watch.done.values())} things done, {_present(watch)}"
        _leave(terminal, watch)


def _do_something(terminal: Terminal, chance: random.Random, watch: Watch) -> None:
    what = chance.choices(["keys", "size", "stall", "kill", "hang"], [80, 10, 4, 4, 0.4])[0]
    watch.done[what] += 1
    match what:
        case "keys":
            for _ in range(chance.randint(1, 8)):
                terminal.press(chance.choice([*PRESSES, ESCAPE]))
                read_for(terminal, chance.choice([0.0, 0.01, 0.1]))
        case "size":
            terminal.resize(*chance.choice(SIZES))
        case "stall":
            terminal.press(chance.choice(PRESSES) * 20)
            time.sleep(chance.uniform(1, 6))  # nobody reads
        case "kill" | "hang":
            number = signal.SIGKILL if what == "kill" else signal.SIGSTOP
            for worker in terminal.workers():
                os.kill(worker, number)
            read_for(terminal, 0.5 if what == "kill" else 12)
            terminal.press("r")
    read_for(terminal, chance.uniform(0.1, 1.0))


def _press_and_measure(terminal: Terminal, watch: Watch) -> None:
    """Close what lies over the screen, and see how long a key takes that changes the first line."""
    for _ in range(4):
        terminal.press(ESCAPE)
        read_for(terminal, 0.3)
    terminal.resize(120, 40)
    read_for(terminal, 1)
    shown = " fps" in terminal.line
    begin = time.monotonic()
    terminal.press("f")
    read_for(terminal, 1.5)
    for when, line in terminal.replay_lines():
        if (" fps" in line) != shown:
            watch.key_seconds.append(when - begin)
            return
    watch.faults.append(f"no answer to a key within 1.5 s:\n{terminal.text}")


def _last_words() -> str:
    """Where the dashboard itself failed, if it did."""
    kept = Path(os.environ["XDG_STATE_HOME"]) / "vgtui" / "log" / "crash.log"
    return kept.read_text("utf-8") if kept.exists() else "without a word"


def _tidy() -> None:
    """Exports and recordings of this folder; one that is being written may go too."""
    for path in Path().iterdir():
        path.unlink()


def _leave(terminal: Terminal, watch: Watch) -> None:
    workers = terminal.workers()
    for _ in range(4):
        terminal.press(ESCAPE)
        read_for(terminal, 0.3)
    terminal.press("q")
    code = terminal.wait_for_exit()
    if code != 0:
        watch.faults.append(f"q left with {code}")
    if not terminal.is_restored():
        watch.faults.append("q left the terminal otherwise than it was")
    read_for(terminal, 1)
    if left := [pid for pid in workers if not has_ended(pid)]:
        watch.faults.append(f"{len(left)} processes stay")


def _present(watch: Watch) -> str:
    return f"{watch.megabytes[-1]:.0f} MB, {watch.files[-1]} files, {watch.processes[-1]} workers"


def report(watch: Watch, minutes: float, seed: int) -> Iterator[str]:
    """What was done and seen; faults are added where a bound was passed."""
    done = ", ".join(f"{count} × {what}" for what, count in watch.done.most_common())
    yield f"{minutes:g} minutes, seed {seed}: {done}"
    quarter = max(1, len(watch.megabytes) // 4)
    early, late = (
        statistics.median(part) for part in (watch.megabytes[quarter : 2 * quarter], watch.megabytes[-quarter:])
    )
    yield (
        f"memory of the dashboard: {watch.megabytes[0]:.0f} MB at the start, median {early:.0f} MB in the second "
        f"quarter and {late:.0f} MB in the last, {max(watch.megabytes):.0f} MB at most"
    )
    for words, values in (("files", watch.files), ("threads", watch.threads), ("workers", watch.processes)):
        yield f"{words}: {values[0]} at the start, {min(values)} to {max(values)}"
    keys = sorted(watch.key_seconds) or [float("nan")]  # of a sitting that ended before the first
    late_key = keys[round(0.95 * (len(keys) - 1))]
    yield (
        f"key to screen: median {statistics.median(keys) * 1e3:.0f} ms, 95th percentile {late_key * 1e3:.0f} ms, "
        f"{keys[-1] * 1e3:.0f} ms at most, {len(keys)} keys"
    )
    bounds = {
        f"more than {MOST_MEGABYTES:g} MB": max(watch.megabytes) > MOST_MEGABYTES,
        f"memory grew by more than {MOST_GROWTH:g} MB": late - early > MOST_GROWTH,
        "files were left open": max(watch.files) - watch.files[0] > MOST_FILES_MORE,
        "threads were left": max(watch.threads) - watch.threads[0] > MOST_THREADS_MORE,
        "processes were left": max(watch.processes) > MOST_PROCESSES,
        f"keys took more than {MOST_KEY_SECONDS * 1e3:.0f} ms": late_key > MOST_KEY_SECONDS,
    }
    watch.faults += [words for words, passed in bounds.items() if passed]


def report_signals(watch: Watch) -> Iterator[str]:
    """Signals while nobody reads the terminal: how many ended it as they should."""
    well, times = 0, []
    for number in range(SIGNALS):
        ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)[number % 3]
        path = Path(f"signal-{number}.jsonl.gz")
        leaving = leave_while_stalled(ending, path)
        path.unlink()
        times.append(leaving.seconds)
        well += (
            leaving.code == 128 + ending
            and leaving.seconds <= MOST_SIGNAL_SECONDS
            and leaving.restored
            and not leaving.orphans
            and leaving.frames > 0
        )
    yield (
        f"signals while nobody reads: {well} of {SIGNALS} ended it within {MOST_SIGNAL_SECONDS:g} s, the slowest in "
        f"{max(times):.2f} s, with the terminal as it was, no process left, the recording whole"
    )
    if well < SIGNALS:
        watch.faults.append("a signal did not end it as it should")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="of the chance (default: another one each time)")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    watch = Watch()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder, chdir(folder):
        os.environ |= dict.fromkeys(("XDG_STATE_HOME", "XDG_CONFIG_HOME"), home)
        for line in sit(chosen.minutes, seed, watch):
            print(line, flush=True)
        print_and_keep(chain(report(watch, chosen.minutes, seed), report_signals(watch), report_faults(watch)), RESULTS)
    return 1 if watch.faults else 0


def report_faults(watch: Watch) -> Iterator[str]:
    """What did not hold, when all has been looked at."""
    yield from [f"fault: {fault}" for fault in watch.faults] or ["all of it held"]


if __name__ == "__main__":
    sys.exit(main())
