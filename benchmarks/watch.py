"""What watching costs a training script: bare, watched, watched with `vgtui attach` open, and with nn-htop's hooks.

`python -m benchmarks.watch`; what it prints is kept in WATCH.txt. `--cases` chooses, and then nothing is kept. All of
a model are in one process and take turns, a second each, so that a ratio is one of neighbours: with one thread of
PyTorch, and with as many as it takes by itself, where the viewer has no core of its own. The time by which a sampled
step is due stands still while others have their turn. nn-htop is measured where it is installed. Beside the ratios it
tells how long a sampled step's hooks take, when the first frame comes after attaching, and how many come a second.
`vgtui exec` and two ranks are processes of their own (watch_processes.py).
"""

import argparse
import importlib.util
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

import vgtui
from benchmarks.output import print_and_keep
from benchmarks.watch_models import MODELS, Case
from benchmarks.watch_processes import FORMS, exec_ratios, rank_ratios
from vgtui.watching import cadence

RESULTS = Path(__file__).with_name("WATCH.txt")
TURN_SECONDS = 1.0
GOALS = {"watched": 1.01, "attached": 1.03, "exec": 1.01}
MAX_WAIT = 20
"""Turns in which the first frame is waited for."""
PROCESSES = ("exec", *FORMS)


class Training:
    """A model with its loop, and a clock that runs in its turns alone.

    Attributes:
        watcher: Is told of every loss, where there is one.
        frames: When frames were given, by the clock.
        spent: The seconds that hooks took for each of them.
    """

    def __init__(self, case: Callable[[], Case]) -> None:
        torch.manual_seed(0)
        self.model, self._loss = case()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.watcher: Any = None
        self.frames: list[float] = []
        self.spent: list[float] = []
        self._before = self._began = 0.0

    def watch(self, name: str) -> Any:
        """Return a watcher, whose frames are noted."""
        self.watcher = vgtui.watch(self.model, self.optimizer, name=name)
        emitter = self.watcher._emitter
        took = emitter.took

        def note(seconds: float) -> None:
            self.frames.append(self.monotonic())
            self.spent.append(seconds)
            took(seconds)

        emitter.took = note
        return self.watcher

    def monotonic(self) -> float:
        """Return the seconds of its turns so far."""
        return self._before + time.perf_counter() - self._began

    def turn(self) -> float:
        """Return the seconds a step, over about TURN_SECONDS."""
        vars(cadence)["time"] = self
        steps, self._began = 0, time.perf_counter()
        while (passed := time.perf_counter() - self._began) < TURN_SECONDS:
            self.optimizer.zero_grad()
            loss = self._loss(self.model)
            loss.backward()
            self.optimizer.step()
            if self.watcher is not None:
                self.watcher.step(loss=loss)
            steps += 1
        self._before += passed
        return passed / steps


def monitor(model: nn.Module) -> AbstractContextManager[Any]:
    """nn-htop's hooks, without its screen."""
    if importlib.util.find_spec("nn_htop") is None:
        return nullcontext()
    from nn_htop import Monitor

    context: AbstractContextManager[Any] = Monitor(model)
    return context


@contextmanager
def attached(watcher: Any) -> Iterator[None]:
    """`vgtui attach` in a pseudo-terminal, which another process reads, until it has asked for a frame."""
    script = (
        "import select, sys\n"
        "from tests.terminal.terminal import Terminal\n"
        "with Terminal(['attach', sys.argv[1]]) as terminal:\n"
        "    while not select.select([sys.stdin], [], [], 0)[0]:\n"
        "        terminal.read(0.1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, watcher.path], stdin=subprocess.PIPE) as process:
        while not watcher._emitter.wanted:
            time.sleep(0.01)
        yield
        process.communicate()


class Measured(NamedTuple):
    """What was measured of a model.

    Attributes:
        steps: Seconds a step, of each kind in each round.
        first: Seconds until the first frame after attaching; NaN if none came.
        rate: Frames a second with a viewer.
        spent: Seconds of hooks for each of them.
    """

    steps: dict[str, list[float]]
    first: float
    rate: float
    spent: list[float]


def measure(case: Callable[[], Case], rounds: int) -> Measured:
    """Let the kinds take turns."""
    names = ["bare", "watched", "attached", *(["nn-htop"] if importlib.util.find_spec("nn_htop") else [])]
    kinds = {name: Training(case) for name in names}
    with ExitStack() as stack:
        stack.callback(vars(cadence).__setitem__, "time", time)
        for name in ("watched", "attached"):
            stack.enter_context(kinds[name].watch(name))
        if "nn-htop" in kinds:
            stack.enter_context(monitor(kinds["nn-htop"].model))
        for training in kinds.values():
            training.turn()
        seen = kinds["attached"]
        stack.enter_context(attached(seen.watcher))
        seen.frames.clear()
        seen.spent.clear()
        begin = seen._before
        for _ in range(MAX_WAIT):
            seen.turn()
            if seen.frames:
                break
        first = seen.frames[0] - begin if seen.frames else math.nan
        steps: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(rounds):
            for name in list(kinds) if number % 2 else list(kinds)[::-1]:
                steps[name].append(kinds[name].turn())
        return Measured(steps, first, len(seen.frames) / (seen._before - begin), seen.spent)


def quartiles(name: str, ratios: list[float]) -> str:
    """Describe ratios in a line."""
    if len(ratios) < 2:
        return f"  {name:<14} not measured"
    low, median, high = statistics.quantiles(ratios, n=4)
    goal = f" (goal: at most {GOALS[name]})" if name in GOALS else ""
    return f"  {name:<14} {median:.3f}×, quartiles {low:.3f} and {high:.3f}{goal}"


def report(cases: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield the lines of the models."""
    yield f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); the median of {rounds} ratios of neighbours"
    for word in cases:
        title, case = MODELS[word]
        found = measure(case, rounds)
        bare = found.steps["bare"]
        yield f"{title}: bare {1e3 * statistics.median(bare):.2f} ms a step"
        for name, seconds in found.steps.items():
            if name != "bare":
                yield quartiles(name, [one / other for one, other in zip(seconds, bare, strict=True)])
        spent = 1e3 * statistics.median(found.spent) if found.spent else math.nan
        yield (
            f"  hooks of a sampled step {spent:.1f} ms; "
            f"first frame {found.first:.2f} s after attaching, then {found.rate:.1f} a second"
        )


def report_processes(cases: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield the lines of the trainings that are processes of their own."""
    for word in cases:
        if word == "exec":
            yield "30 layers of 64, batch 128, as a command: vgtui exec over bare"
            yield quartiles("exec", list(exec_ratios(rounds)))
        else:
            yield f"30 layers of 64, batch 128, {FORMS[word]} on gloo, one thread each: watched over bare"
            yield quartiles("watched", rank_ratios(word, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each kind (default: 20)")
    known = [*MODELS, *PROCESSES]
    parser.add_argument("--cases", nargs="+", choices=known, metavar="CASE", help=f"of {', '.join(known)}")
    chosen = parser.parse_args()
    lines = report_all(chosen.cases or known, chosen.rounds)
    if chosen.cases is None:
        print_and_keep(lines, RESULTS)
    else:
        for line in lines:
            print(line, flush=True)


def report_all(cases: Sequence[str], rounds: int) -> Iterator[str]:
    """With one thread of PyTorch, and with as many as it takes by itself."""
    if models := [word for word in MODELS if word in cases]:
        for threads in sorted({1, torch.get_num_threads()}):
            torch.set_num_threads(threads)
            yield from report(models, rounds)
    yield from report_processes([word for word in PROCESSES if word in cases], rounds)


if __name__ == "__main__":
    main()
