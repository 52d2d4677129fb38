"""Activations that are functions are seen as modules are, and nothing of the looking stays."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.watching.loops import CLASSES, FEATURES, SAMPLES, train
from tests.watching.recorded import frames, header
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    torch._dynamo.utils.counters.clear()  # nothing was compiled


@pytest.fixture(autouse=True)
def _no_mode_stays() -> Any:
    yield
    assert torch._C._len_torch_function_stack() == 0


def loss_of(model: Any) -> Any:
    return functional.cross_entropy(model(torch.randn(SAMPLES, FEATURES)), torch.randint(0, CLASSES, (SAMPLES,)))


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """Two hidden layers with a function after each; the outputs are noted."""

    def __init__(self, activation: Callable[[Any], Any]) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, FEATURES)
        self.second = nn.Linear(FEATURES, FEATURES)
        self.head = nn.Linear(FEATURES, CLASSES)
        self.activation = activation
        self.seen: list[Any] = []

    def forward(self, inputs: Any) -> Any:
        hidden = self.activation(self.first(inputs))
        self.seen.append(hidden.detach().double())
        return self.head(functional.dropout(self.activation(self.second(hidden)), 0.1, self.training))


def slopes_of_sigmoid(values: Any) -> Any:
    return values * (1 - values) / 0.25


def slopes_of_tanh(values: Any) -> Any:
    return 1 - values * values


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "F.relu": (functional.relu, "ReLU"),
    "torch.relu": (torch.relu, "ReLU"),
    "x.relu()": (lambda values: values.relu(), "ReLU"),
    "F.relu in place": (lambda values: functional.relu(values, inplace=True), "ReLU"),
    "torch.tanh": (torch.tanh, "Tanh"),
    "F.tanh": (functional.tanh, "Tanh"),
    "torch.sigmoid": (torch.sigmoid, "Sigmoid"),
    "F.sigmoid": (functional.sigmoid, "Sigmoid"),
    "F.gelu": (functional.gelu, "GELU"),
    "F.silu": (functional.silu, "SiLU"),
    "F.leaky_relu": (functional.leaky_relu, "LeakyReLU"),
    "F.softplus": (functional.softplus, "Softplus"),
}


@pytest.mark.parametrize("way", FUNCTIONS)
def test_a_function_is_seen_as_its_module_would_be(way: str, tmp_path: Path) -> None:
    function, kind = FUNCTIONS[way]
    model = Net(function)
    verdict = train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of)
    assert verdict.is_calm
    assert [layer.activation for layer in header(tmp_path / "r.jsonl").layers] == [kind, kind, ""]
    for frame in frames(tmp_path / "r.jsonl")[1:]:
        values, layers = model.seen[frame.step], frame.layers
        assert layers.activation_mean[0] == pytest.approx(float(values.mean()), rel=1e-5)
        assert layers.activation_std[0] == pytest.approx(float(values.std(correction=0)), rel=1e-5)
        dead, slope, saturated = (
            column.tolist()[0] for column in (layers.dead, layers.derivative_rms, layers.saturated)
        )
        if kind == "ReLU":
            assert dead == pytest.approx(float((values.amax(0) == 0).double().mean()), abs=1e-6)
        elif kind in ("Tanh", "Sigmoid"):
            slopes = slopes_of_tanh(values) if kind == "Tanh" else slopes_of_sigmoid(values)
            steepest = 1 if kind == "Tanh" else 0.25
            assert slope == pytest.approx(float(slopes.square().mean().sqrt()) * steepest, rel=1e-5)
            assert saturated == pytest.approx(float((slopes < 0.05).double().mean()), abs=1e-6)
        else:
            assert (dead, slope, saturated) == (None, None, None)


def test_dead_and_saturated_functions_are_named_in_the_verdict(tmp_path: Path) -> None:
    model = Net(functional.relu)
    model.second.bias.data.fill_(-100.0)
    verdict = train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of)
    assert verdict.kind == "dead" and "second" in verdict.message


GATES: dict[str, Callable[[Any], Any]] = {
    "GELU's tanh": lambda values: 0.5 * values * (1 + torch.tanh(0.8 * (values + 0.044715 * values**3))),
    "swish": lambda values: values * torch.sigmoid(values),
    "a gate": lambda values: values * torch.sigmoid(values.roll(1, -1)),
}


@pytest.mark.parametrize("way", GATES)
def test_what_is_a_part_of_something_is_not_the_activation(way: str, tmp_path: Path) -> None:
    model = Net(GATES[way])
    train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of)
    assert [layer.activation for layer in header(tmp_path / "r.jsonl").layers] == ["", "", ""]
    assert all(frame.layers.saturated.tolist() == [None] * 3 for frame in frames(tmp_path / "r.jsonl"))


def test_of_modules_and_functions_together_each_layer_has_its_own(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.Sigmoid(), Net(functional.relu))
    train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of)
    assert [layer.activation for layer in header(tmp_path / "r.jsonl").layers] == ["Sigmoid", "ReLU", "ReLU", ""]
    last = frames(tmp_path / "r.jsonl")[-1].layers
    assert [value is not None for value in last.derivative_rms.tolist()] == [True, False, False, False]
    assert [value is not None for value in last.dead.tolist()] == [False, True, True, False]


def test_a_forward_pass_that_fails_leaves_no_mode(tmp_path: Path) -> None:
    model = Net(functional.relu)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for number in range(4):
            if number < 3:
                with pytest.raises(RuntimeError, match="shapes"):
                    model(torch.randn(3, FEATURES + 1))
                assert torch._C._len_torch_function_stack() == 0
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
            watcher.step()
            if number == 2:  # as ctrl+c does in a notebook; what it leaves ends with the next step
                model.activation = interrupt
                with pytest.raises(KeyboardInterrupt):
                    loss_of(model)
                model.activation = functional.relu
    assert len(frames(tmp_path / "r.jsonl")) == 4


def interrupt(values: Any) -> Any:
    raise KeyboardInterrupt


def test_modes_of_the_script_stay_where_they_are(tmp_path: Path) -> None:
    class Other(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func(*args, **(kwargs or {}))

    kept: list[Any] = []

    def enter(values: Any) -> Any:
        if not kept:
            kept.append(Other().__enter__())
        return functional.relu(values)

    model = Net(enter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
            watcher.step()
            assert torch._C._len_torch_function_stack() == 1
            assert torch._C._get_function_stack_at(0) is kept[0]
    kept[0].__exit__(None, None, None)


def test_other_threads_have_no_mode(tmp_path: Path) -> None:
    stacks: list[int] = []

    def look(values: Any) -> Any:
        thread = threading.Thread(target=lambda: stacks.append(torch._C._len_torch_function_stack()))
        thread.start()
        thread.join()
        stacks.append(-torch._C._len_torch_function_stack())
        return functional.relu(values)

    model = Net(look)
    train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of)
    assert set(stacks) == {0, -1}
