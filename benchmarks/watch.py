"""What watching costs a training script: bare, watched, watched with `vgtui attach` open, and with nn-htop's hooks.

`python -m benchmarks.watch`; what it prints is kept in WATCH.txt. All are in one process and take turns, a second each,
so that a ratio is one of neighbours: with one thread of PyTorch, and with as many as it takes by itself, where the
viewer has no core of its own. nn-htop is measured where it is installed.
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

import vgtui
from benchmarks.output import print_and_keep

RESULTS = Path(__file__).with_name("WATCH.txt")
TURN_SECONDS = 1.0
GOALS = {"watched": 1.01, "attached": 1.03}
LETTERS, LENGTH, WIDTH = 26, 12, 32


def mlp() -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    """Thirty hidden layers of 64, batch 128."""
    parts: list[nn.Module] = []
    for _ in range(30):
        parts += [nn.Linear(64, 64), nn.Sigmoid()]
    inputs, labels = torch.randn(128, 64), torch.randint(0, 10, (128,))
    model = nn.Sequential(*parts, nn.Linear(64, 10))
    return model, lambda model: nn.functional.cross_entropy(model(inputs), labels)


def transformer() -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    """That of examples/transformer.py in one piece: four encoder layers, batch 32."""
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    model = nn.Sequential(nn.Embedding(LETTERS, WIDTH), encoder, nn.Linear(WIDTH, LETTERS))
    words = torch.randint(LETTERS, (32, LENGTH))
    return model, lambda model: nn.functional.cross_entropy(model(words).flatten(0, 1), words.flip(1).flatten())


CASES = {"30 layers of 64, batch 128": mlp, "the small transformer": transformer}


class Training:
    """A model with its loop. step: told of every loss, where there is somebody to tell."""

    def __init__(self, case: Callable[[], Any]) -> None:
        torch.manual_seed(0)
        self.model, self._loss = case()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.watcher: Any = None

    def turn(self) -> float:
        """Seconds a step, over about TURN_SECONDS."""
        steps, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < TURN_SECONDS:
            for _ in range(20):
                self.optimizer.zero_grad()
                loss = self._loss(self.model)
                loss.backward()
                self.optimizer.step()
                if self.watcher is not None:
                    self.watcher.step(loss=loss)
            steps += 20
        return (time.perf_counter() - begin) / steps


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


def measure(case: Callable[[], Any], rounds: int) -> dict[str, list[float]]:
    """Seconds a step, of each kind in each round."""
    kinds = {name: Training(case) for name in ("bare", "watched", "attached", "nn-htop")}
    with ExitStack() as stack:
        for name in GOALS:
            training = kinds[name]
            training.watcher = stack.enter_context(vgtui.watch(training.model, training.optimizer, name=name))
        stack.enter_context(monitor(kinds["nn-htop"].model))
        for training in kinds.values():
            training.turn()
        stack.enter_context(attached(kinds["attached"].watcher))
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(rounds):
            for name in list(kinds) if number % 2 else list(kinds)[::-1]:
                found[name].append(kinds[name].turn())
    return found


def report(rounds: int) -> Iterator[str]:
    yield f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); the median of {rounds} ratios of neighbours"
    for title, case in CASES.items():
        found = measure(case, rounds)
        yield f"{title}: bare {1e3 * statistics.median(found['bare']):.2f} ms a step"
        for name, seconds in found.items():
            if name == "bare" or (name == "nn-htop" and importlib.util.find_spec("nn_htop") is None):
                continue
            ratios = [one / bare for one, bare in zip(seconds, found["bare"], strict=True)]
            quarters = statistics.quantiles(ratios, n=4)
            goal = f" (goal: at most {GOALS[name]})" if name in GOALS else ""
            yield f"  {name:<14} {quarters[1]:.3f}×, quartiles {quarters[0]:.3f} and {quarters[2]:.3f}{goal}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each kind (default: 20)")
    chosen = parser.parse_args()
    print_and_keep(report_all(chosen.rounds), RESULTS)


def report_all(rounds: int) -> Iterator[str]:
    """With one thread of PyTorch, and with as many as it takes by itself."""
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        yield from report(rounds)


if __name__ == "__main__":
    main()
