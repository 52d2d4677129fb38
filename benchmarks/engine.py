"""What a training step costs, in one run: this engine, PyTorch eager, JAX jit, and the bare matrix products.

All train the same network on batches of digits with plain SGD, and take the norm of every layer's weight gradient in
every step (torch._foreach_norm, and inside of the jitted function). The contestants alternate, and each has its
minimum over the rounds, as the machines are shared. PyTorch has the better of one thread and its default.
"""

import argparse
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.threads import limit_threads, threads_for
from engine.trainer import Trainer
from vgtui.cli.commands.bench import cases as bench_cases

RESULTS = Path(__file__).with_name("ENGINE.md")
FEATURES, CLASSES = 64, 10
LEARNING_RATE = 0.01
BURST_SECONDS = 0.25

Step = Callable[[], Any]
"""Makes one step; returns what must be waited for, if anything."""


@dataclass(frozen=True, slots=True)
class Case:
    """A network and a batch."""

    network: NetworkConfig
    batch: int

    @property
    def name(self) -> str:
        extras = " BatchNorm skip" if self.network.batch_norm else ""
        return f"{self.network.hidden_layers}×{self.network.width}, {self.batch}, {self.network.activation}{extras}"

    @property
    def training(self) -> TrainingConfig:
        return TrainingConfig(batch_size=self.batch, learning_rate=LEARNING_RATE)


def cases() -> list[Case]:
    """Those of `vgtui bench`."""
    return [Case(settings.network, settings.training.batch_size) for settings in bench_cases("numpy")]


def engine_step(case: Case) -> Step:
    limit_threads(threads_for(case.network, case.training))
    return Trainer(case.network, case.training, load_dataset("digits"), select_backend("numpy")).step


def product_step(case: Case) -> Step:
    """The matrix products of one step and nothing else, at the engine's shapes."""
    depth, width, batch = case.network.hidden_layers, case.network.width, case.batch
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((depth, width, width)).astype("f4") / math.sqrt(width)
    signals, deltas = rng.standard_normal((2, depth, width, batch)).astype("f4")
    out, gradients = np.empty((width, batch), "f4"), np.empty((depth, width, width), "f4")
    columns = deltas.transpose(0, 2, 1)

    def step() -> None:
        for layer in range(depth):
            np.matmul(weights[layer].T, signals[layer], out=out)
        for layer in range(depth):
            np.matmul(weights[layer], deltas[layer], out=out)
        np.matmul(signals, columns, out=gradients)

    return step


def torch_step(case: Case, threads: int) -> Step:
    import torch

    torch.set_num_threads(threads)
    data = load_dataset("digits")
    inputs = torch.tensor(data.inputs, dtype=torch.float32) / 16
    labels = torch.tensor(data.labels)
    network = case.network
    phi = {"sigmoid": torch.sigmoid, "relu": torch.relu}[network.activation]
    widths = [FEATURES, *[network.width] * network.hidden_layers]
    hidden = [torch.nn.Linear(fan_in, fan_out, bias=not network.batch_norm) for fan_in, fan_out in pairwise(widths)]
    norms = [torch.nn.BatchNorm1d(network.width) for _ in hidden] if network.batch_norm else []
    output = torch.nn.Linear(network.width, CLASSES)
    weights = [layer.weight for layer in (*hidden, output)]
    modules = torch.nn.ModuleList([*hidden, *norms, output])
    optimizer = torch.optim.SGD(modules.parameters(), lr=LEARNING_RATE, foreach=True)
    order, place = torch.randperm(len(labels)), 0

    def step() -> Any:
        nonlocal place
        rows = order[place : place + case.batch]
        place = (place + case.batch) % (len(order) - case.batch)
        h = inputs[rows]
        for index, layer in enumerate(hidden):
            z = layer(h)
            activated = phi(norms[index](z) if norms else z)
            h = h + activated if network.skip_connections and h.shape == activated.shape else activated
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.cross_entropy(output(h), labels[rows])
        loss.backward()
        gradient_norms = torch._foreach_norm([weight.grad for weight in weights if weight.grad is not None])
        optimizer.step()
        return gradient_norms

    return step


def jax_step(case: Case) -> Step:
    import jax
    import jax.numpy as jnp

    data = load_dataset("digits")
    inputs, labels = jnp.asarray(data.inputs / 16, jnp.float32), jnp.asarray(data.labels)
    network = case.network
    phi = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[network.activation]
    rng = np.random.default_rng(0)
    widths = [FEATURES, *[network.width] * network.hidden_layers, CLASSES]
    parameters = [
        {
            "weight": jnp.asarray(rng.standard_normal((widths[i], widths[i + 1])) / math.sqrt(widths[i]), jnp.float32),
            "bias": jnp.zeros(widths[i + 1], jnp.float32),
            "gain": jnp.ones(widths[i + 1], jnp.float32),
        }
        for i in range(len(widths) - 1)
    ]

    def loss(parameters: Any, h: Any, targets: Any) -> Any:
        for layer in parameters[:-1]:
            z = h @ layer["weight"]
            if network.batch_norm:
                z = (z - z.mean(0)) / jnp.sqrt(z.var(0) + 1e-5) * layer["gain"]
            activated = phi(z + layer["bias"])
            h = h + activated if network.skip_connections and h.shape == activated.shape else activated
        logits = h @ parameters[-1]["weight"] + parameters[-1]["bias"]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=1).mean()

    def update(parameters: Any, rows: Any) -> Any:
        gradients = jax.grad(loss)(parameters, inputs[rows], labels[rows])
        norms = jnp.stack([jnp.sqrt((layer["weight"] ** 2).sum()) for layer in gradients])
        return jax.tree.map(lambda value, slope: value - LEARNING_RATE * slope, parameters, gradients), norms

    compiled = jax.jit(update, donate_argnums=0)
    order, place = jnp.asarray(rng.permutation(len(data.labels))), 0
    batches = [order[start : start + case.batch] for start in range(0, len(order) - case.batch, case.batch)]

    def step() -> Any:
        nonlocal parameters, place
        place = (place + 1) % len(batches)
        parameters, norms = compiled(parameters, batches[place])
        return norms

    return step


def contestants(case: Case) -> dict[str, tuple[Step, Callable[[], None]]]:
    """Each step, with what must be set before a burst of it: threads belong to the process."""
    import torch

    ours = threads_for(case.network, case.training)
    most = os.cpu_count() or 1
    return {
        "engine": (engine_step(case), lambda: limit_threads(ours)),
        "products": (product_step(case), lambda: limit_threads(ours)),
        "torch 1": (torch_step(case, 1), lambda: torch.set_num_threads(1)),
        "torch all": (torch_step(case, most), lambda: torch.set_num_threads(most)),
        "jax": (jax_step(case), lambda: None),
    }


def measure(case: Case, rounds: int) -> dict[str, float]:
    """Milliseconds a step of each contestant, the minimum over alternating bursts."""
    best: dict[str, float] = {}
    entries = contestants(case)
    counts = {}
    for name, (step, prepare) in entries.items():
        prepare()
        _burst(step, 3)  # compiles, and fills caches
        counts[name] = max(2, round(BURST_SECONDS / _burst(step, 3)))
    for _ in range(rounds):
        for name, (step, prepare) in entries.items():
            prepare()
            best[name] = min(best.get(name, math.inf), _burst(step, counts[name]) * 1e3)
    best["torch"] = min(best.pop("torch 1"), best.pop("torch all"))
    return best


def _burst(step: Step, count: int) -> float:
    """Seconds a step, over `count` of them."""
    begin = time.perf_counter()
    for _ in range(count):
        result = step()
    if hasattr(result, "block_until_ready"):
        result.block_until_ready()
    return (time.perf_counter() - begin) / count


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def table(results: dict[str, dict[str, float]]) -> str:
    """The results in Markdown: milliseconds, then how many times faster the engine is."""
    lines = [
        "| network, batch | engine ms | torch ms | JAX ms | products ms "
        "| torch/engine | JAX/engine | products/engine |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, times in results.items():
        columns = [times[key] for key in ("engine", "torch", "jax", "products")]
        ratios = [times[key] / times["engine"] for key in ("torch", "jax", "products")]
        cells = [*(f"{value:.3f}" for value in columns), *(f"{ratio:.2f}" for ratio in ratios)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    plain = {name: times for name, times in results.items() if "skip" not in name}
    small = [times for name, times in plain.items() if "1024" not in name]
    large = [times for name, times in plain.items() if "1024" in name]
    lines.append("")
    for words, group in (("the first four sizes", small), ("the fifth size", large), ("all", list(results.values()))):
        if group:
            means = {key: geometric_mean([t[key] / t["engine"] for t in group]) for key in ("torch", "jax", "products")}
            lines.append(
                f"Geometric mean over {words}: torch/engine {means['torch']:.2f}, JAX/engine {means['jax']:.2f}, "
                f"products/engine {means['products']:.2f}.  "
            )
    return "\n".join(lines) + "\n"


def machine() -> str:
    """The machine and the versions, in a line."""
    import jax
    import torch

    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    versions = (
        f"Python {platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}, JAX {jax.__version__}"
    )
    return f"{model}, {os.cpu_count()} cores; {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="how often the contestants alternate (default: 6)")
    chosen = parser.parse_args()
    results = {}
    for case in cases():
        results[case.name] = measure(case, chosen.rounds)
        print(case.name, {key: round(value, 3) for key, value in results[case.name].items()}, flush=True)
    text = table(results)
    print(text)
    RESULTS.write_text(f"{machine()}.\n\n{__doc__}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
