"""How a sweep of small runs scales with the cores: 200 points by one process, and by one a core, in turns.

`python -m benchmarks.sweep`; what it prints is kept in SWEEP.txt.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.output import print_and_keep
from engine.threads import usable_cores

RESULTS = Path(__file__).with_name("SWEEP.txt")
POINTS = ["--vary", "hidden_layers=2:21:20", "--vary", "lr=0.001:1:10:log"]
EACH = ["--width", "32", "--batch-size", "64", "--steps", "300"]
GOAL_ON_TWO = 1.8


def measure(jobs: int) -> float:
    """The seconds of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["sweep", *POINTS, *EACH, "--jobs", str(jobs), "--output", str(Path(folder) / "sweep.jsonl")]
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "vgtui", *words], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often the two alternate (default: 3)")
    chosen = parser.parse_args()
    print_and_keep(report(chosen.rounds), RESULTS)


def report(rounds: int) -> Iterator[str]:
    """A line a round, then the median."""
    cores, ratios = usable_cores(), []
    for _ in range(rounds):
        one, all_cores = measure(1), measure(cores)
        ratios.append(one / all_cores)
        yield f"200 runs by 1 process {one:.1f} s, by {cores} {all_cores:.1f} s: {one / all_cores:.2f}×"
    yield f"ratio: median {statistics.median(ratios):.2f} (goal on two cores: {GOAL_ON_TWO})"


if __name__ == "__main__":
    main()
