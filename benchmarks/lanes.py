"""What comparing costs: two lanes in step in the dashboard, against two `vgtui run` side by side, in one run.

`python -m benchmarks.lanes`; what it prints is kept in LANES.txt. All train the 30×64 network; the figure is the ratio
of steps a second. The keys' answers are measured while both lanes train.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.dashboard import measure_headless, open_dashboard, read_for
from benchmarks.output import print_and_keep
from tests.terminal.terminal import Terminal

RESULTS = Path(__file__).with_name("LANES.txt")
NETWORK = ["--hidden-layers", "30", "--width", "64"]
SETTLE_SECONDS = 4.0
KEYS_PRESSED = 30
PATIENCE_SECONDS = 60.0


def measure_lanes(seconds: float) -> tuple[float, list[float]]:
    """Steps a second of the slower lane, and seconds from a key to its change on the screen, sorted."""
    with open_dashboard(NETWORK) as terminal:
        terminal.press("c")
        terminal.wait_for(lambda: in_step(terminal), PATIENCE_SECONDS)
        read_for(terminal, SETTLE_SECONDS)
        before, begin = steps(terminal), time.monotonic()
        read_for(terminal, seconds)
        after, elapsed = steps(terminal), time.monotonic() - begin
        rate = min(late - early for early, late in zip(before, after, strict=True)) / elapsed
        delays = []
        for number in range(KEYS_PRESSED):
            chosen = "▸B" if number % 2 == 0 else "▸A"
            assert chosen not in terminal.text
            pressed = time.monotonic()
            terminal.press("\t")
            read_for(terminal, 0.3 + 0.013 * number)
            delays.append(next(when - pressed for when, text in terminal.replay_screens() if chosen in text))
        return rate, sorted(delays)


def steps(terminal: Terminal) -> list[int]:
    """The steps on the two lines of state."""
    return [step for line in terminal.text.split("\n")[:2] if (step := Terminal.step_on(line)) is not None]


def in_step(terminal: Terminal) -> bool:
    shown = steps(terminal)
    return len(shown) == 2 and shown[0] == shown[1]


def measure_side_by_side(count: int) -> float:
    """Steps a second of the slower of two `vgtui run`."""
    with ThreadPoolExecutor(2) as pool:
        return min(pool.map(lambda _: measure_headless(NETWORK, count), range(2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often the two alternate (default: 3)")
    parser.add_argument("--seconds", type=float, default=10, help="seconds a round (default: 10)")
    chosen = parser.parse_args()
    print_and_keep(report(chosen.rounds, chosen.seconds), RESULTS)


def report(rounds: int, seconds: float) -> Iterator[str]:
    """A line a round, then what they give together."""
    guess = measure_side_by_side(100)
    ratios, delays = [], []
    for _ in range(rounds):
        before = measure_side_by_side(round(guess * seconds / 4))
        together, answers = measure_lanes(seconds)
        after = measure_side_by_side(round(guess * seconds / 4))
        apart = (before + after) / 2  # the machine's own speed drifts
        ratios.append(together / apart)
        delays += answers
        yield f"two runs {apart:.1f} steps/s each, two lanes {together:.1f}: {together / apart:.2f}"
    delays.sort()
    yield (
        f"ratio: median {statistics.median(ratios):.2f}, best {max(ratios):.2f}; key to screen: "
        f"median {1e3 * statistics.median(delays):.0f} ms, "
        f"95th percentile {1e3 * delays[round(0.95 * (len(delays) - 1))]:.0f} ms, {len(delays)} keys"
    )


if __name__ == "__main__":
    main()
