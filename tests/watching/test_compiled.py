"""What torch.compile runs is neither broken nor compiled again by watching, whichever comes first."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.watching.loops import CLASSES, FEATURES, SAMPLES, Truth
from tests.watching.recorded import frames
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.compile itself
STEPS = 12


@pytest.fixture(autouse=True)
def _repeatable() -> Iterator[None]:
    torch.manual_seed(0)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


class Block(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(FEATURES, FEATURES)
        self.outer = nn.Linear(FEATURES, FEATURES)

    def forward(self, inputs: Any) -> Any:
        return self.outer(self.inner(inputs).relu())


class Net(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, FEATURES)
        self.block = Block()
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, inputs: Any) -> Any:
        return self.head(torch.tanh(self.block(functional.relu(self.first(inputs)))))


def compile_around(model: Any) -> Any:
    return torch.compile(model, backend="eager")


def compile_in_place(model: Any) -> Any:
    model.compile(backend="eager")
    return model


def compile_a_block(model: Any) -> Any:
    model.block.compile(backend="eager")
    return model


def compile_the_forward(model: Any) -> Any:
    """Only that: the hooks of the model are outside of what is compiled."""
    model.forward = torch.compile(model.forward, backend="eager")
    return model


WAYS: dict[str, Callable[[Any], Any]] = {
    "torch.compile(model)": compile_around,
    "model.compile()": compile_in_place,
    "block.compile()": compile_a_block,
    "torch.compile(model.forward)": compile_the_forward,
}


def run(model: Any, optimizer: Any, call: Any, truth: Truth, watcher: Any = None) -> None:
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = functional.cross_entropy(call(torch.randn(SAMPLES, FEATURES)), torch.randint(0, CLASSES, (SAMPLES,)))
        loss.backward()
        truth.note()
        optimizer.step()
        if watcher:
            watcher.step(loss=loss)


def compiled() -> tuple[int, int]:
    """How many frames were compiled, and how often a graph was broken."""
    counters = torch._dynamo.utils.counters
    return counters["frames"]["ok"], sum(counters["graph_break"].values())


def rows(model: Any) -> dict[str, Any]:
    return {
        name.removeprefix("_orig_mod."): part.weight
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear)
    }


@pytest.mark.parametrize("comes_first", ["watch", "compile"])
@pytest.mark.parametrize("way", WAYS)
def test_watching_breaks_no_graph_and_compiles_nothing_again(way: str, comes_first: str, tmp_path: Path) -> None:
    torch._dynamo.utils.counters.clear()
    plain = Net()
    run(plain, torch.optim.SGD(plain.parameters(), lr=0.01), WAYS[way](plain), Truth(rows(plain)))
    alone = compiled()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    truth = Truth(rows(model))
    path = tmp_path / "r.jsonl"
    if comes_first == "compile":
        call = WAYS[way](model)
        with watch(call, optimizer, every=1, record=path) as watcher:
            run(model, optimizer, call, truth, watcher)
    else:
        with watch(model, optimizer, every=1, record=path) as watcher:
            run(model, optimizer, WAYS[way](model), truth, watcher)
    assert compiled() == alone
    truth.check(path)
    told = frames(path)
    assert len(told) >= STEPS - 1 and told[-1].verdict.is_calm
    assert all(ratio > 0 for frame in told for ratio in frame.layers.update_ratio.tolist())


def test_of_a_model_with_a_compiled_block_the_other_layers_are_seen(tmp_path: Path) -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        run(model, optimizer, compile_a_block(model), Truth(rows(model)), watcher)
    signals = frames(tmp_path / "r.jsonl")[-1].layers.delta_norm.tolist()
    assert [signal is not None for signal in signals] == [True, False, False, True]
