"""All figures in one page: RESULTS.md, of what the other benchmarks have written, with the goals beside them.

No figure stands here: each is found in the file of the benchmark that measured it, and is missing where that has none.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
PARTS = {
    "The engine": "ENGINE.md",
    "The dashboard": "DASHBOARD.txt",
    "Two lanes": "LANES.txt",
    "A long sitting (`make soak`)": "SOAK.txt",
    "Sweeps": "SWEEP.txt",
    "Watching a PyTorch model": "WATCH.txt",
    "The installation": "INSTALL.txt",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and what it is to reach: at least or at most a bound; and the file and pattern where it is measured."""

    figure: str
    sign: Literal["≥", "≤"]
    bound: float
    unit: str
    file: str
    pattern: str

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.sign == "≥" else value <= self.bound


LIVE = r" batch \d+ +\S+ +\S+ +(\S+) "
GOALS = (
    Goal("training speed with the dashboard open, 20×64", "≥", 0.97, " of `run`", "DASHBOARD.txt", "20×64," + LIVE),
    Goal("the same, 30×64", "≥", 0.97, " of `run`", "DASHBOARD.txt", "30×64," + LIVE),
    Goal("the same, 20×256, two threads on two cores", "≥", 0.90, " of `run`", "DASHBOARD.txt", "20×256," + LIVE),
    Goal("key to changed screen, 95th percentile", "≤", 50, " ms", "DASHBOARD.txt", r"small steps.*percentile (\d+)"),
    Goal("the same while a step takes 250 ms", "≤", 50, " ms", "DASHBOARD.txt", r"large steps.*percentile (\d+)"),
    Goal("the same with two lanes", "≤", 50, " ms", "LANES.txt", r"percentile (\d+)"),
    Goal("the same in a sitting of chance", "≤", 250, " ms", "SOAK.txt", r"percentile (\d+)"),
    Goal("first paint", "≤", 0.6, " s", "DASHBOARD.txt", r"first paint (\S+)"),
    Goal("first frame", "≤", 1.2, " s", "DASHBOARD.txt", r"first frame (\S+)"),
    Goal("dashboard, 10 pictures/s, 30 layers", "≤", 20, " % of a core", "DASHBOARD.txt", r"sparklines.*: (\S+)% of"),
    Goal("the same, to the terminal", "≤", 60, " kB/s", "DASHBOARD.txt", r"sparklines, .*, (\S+) kB/s"),
    Goal("memory of the dashboard, minutes later", "≤", 110, " MB", "DASHBOARD.txt", r"minute, (\S+) MB"),
    Goal("the same in a sitting of chance, at most", "≤", 160, " MB", "SOAK.txt", r"last, (\S+) MB at most"),
    Goal("signals while nobody reads, out within 1 s", "≥", 20, " of 20", "SOAK.txt", r"nobody reads: (\d+) of"),
    Goal("PyTorch eager / engine, small networks", "≥", 2, "", "ENGINE.md", r"four sizes: torch/engine (\S+),"),
    Goal("the same, large networks", "≥", 1, "", "ENGINE.md", r"fifth size: torch/engine (\S+),"),
    Goal("the same, 50×128 alone", "≥", 1, "", "ENGINE.md", r"50×128, 256, sigmoid (?:\| \S+ ){4}\| (\S+) "),
    Goal("JAX jit / engine, all networks", "≥", 1, "", "ENGINE.md", r"over all: .*JAX/engine (\S+),"),
    Goal("200 small runs, one process / two", "≥", 1.8, "", "SWEEP.txt", r"median (\S+) \("),
    Goal("a watched PyTorch model, nobody looks", "≤", 1.01, " of bare", "WATCH.txt", r"watched +(\S+)×"),
    Goal("the same, with a viewer", "≤", 1.03, " of bare", "WATCH.txt", r"attached +(\S+)×"),
)


def row(goal: Goal) -> str:
    """A goal's line of the table."""
    file = FOLDER / goal.file
    found = re.search(goal.pattern, file.read_text("utf-8")) if file.exists() else None
    wanted = f"| {goal.figure} | {goal.sign} {goal.bound:g}{goal.unit} |"
    if found is None:
        return f"{wanted} not measured | |"
    return f"{wanted} {found[1]}{goal.unit} | {'yes' if goal.is_met(float(found[1])) else '**no**'} |"


def page() -> str:
    """The goals, then every file as it is."""
    lines = [
        "# Figures",
        "",
        "Written by `make bench` and `make soak`; the machine is named below, with the engine.",
        "",
    ]
    lines += ["| figure | goal | measured | met |", "| --- | --- | ---: | --- |", *map(row, GOALS)]
    for title, name in PARTS.items():
        if (FOLDER / name).exists():
            text = (FOLDER / name).read_text("utf-8").strip()
            lines += ["", f"## {title}", "", text if name.endswith(".md") else f"```\n{text}\n```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    RESULTS.write_text(page(), encoding="utf-8")
