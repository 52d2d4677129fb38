"""A model that changes while it is trained: parts added, replaced, frozen and unfrozen; rows that nobody trains."""

from pathlib import Path
from typing import Any

import pytest

from tests.watching.loops import CLASSES, FEATURES, SAMPLES, Truth, check_norms, norm_of
from tests.watching.recorded import frames, lines
from vgtui import watch
from vgtui.wire.frames import Frame, Header

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional
BEFORE, AFTER = 4, 6


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


def batch() -> tuple[Any, Any]:
    return torch.randn(SAMPLES, FEATURES), torch.randint(0, CLASSES, (SAMPLES,))


def network() -> Any:
    return nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, CLASSES))


def add_layer(model: Any, optimizer: Any) -> None:
    model.insert(2, nn.Linear(FEATURES, FEATURES))
    optimizer.add_param_group({"params": model[2].parameters()})


def replace_head(model: Any, optimizer: Any) -> None:
    model[2] = nn.Linear(FEATURES, CLASSES + 1)
    optimizer.add_param_group({"params": model[2].parameters()})


def replace_weight(model: Any, optimizer: Any) -> None:
    model[0].weight = nn.Parameter(torch.randn(FEATURES, FEATURES) / 4)
    optimizer.add_param_group({"params": [model[0].weight]})


def replace_activation(model: Any, optimizer: Any) -> None:
    model[1] = nn.Tanh()


CHANGES = {
    "a layer is added": (add_layer, ["0", "2", "3"]),
    "the head is replaced": (replace_head, ["0", "2"]),
    "a weight is replaced by another of its shape": (replace_weight, None),
    "an activation is replaced": (replace_activation, ["0", "2"]),
}
"""What is changed, and the rows of the new header; None where there is no new one."""


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_the_layers_are_those_that_there_are(change: str, tmp_path: Path) -> None:
    model = network()
    make, names = CHANGES[change]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    true: list[dict[str, float | None]] = []
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for step in range(BEFORE + AFTER):
            if step == BEFORE:
                make(model, optimizer)
            inputs, labels = batch()
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs), labels)
            loss.backward()
            linear = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
            true.append({name: norm_of([part.weight]) for name, part in linear.items()})
            optimizer.step()
            watcher.step(loss=loss)
    told = lines(tmp_path / "r.jsonl")
    headers = [line for line in told if isinstance(line, Header)]
    assert [[layer.name for layer in header.layers] for header in headers] == [["0", "2"], *([names] if names else [])]
    steps = []
    for line in told:
        if isinstance(line, Header):
            rows = [layer.name for layer in line.layers]
        if isinstance(line, Frame):
            steps.append(line.step)
            check_norms(dict(zip(rows, line.layers.grad_norm.tolist(), strict=True)), true[line.step])
    # the model was hooked already for the step before which it was changed
    assert steps == [step for step in range(BEFORE + AFTER) if step != BEFORE]
    assert headers[-1].layers[0].activation == ("Tanh" if make is replace_activation else "ReLU")
    assert isinstance(told[-1], Frame) and told[-1].verdict.is_calm


def test_layers_that_are_unfrozen_one_after_another_get_their_numbers_then(tmp_path: Path) -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.05)
    truth = Truth({"0": model[0].weight, "2": model[2].weight})
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for step in range(BEFORE + AFTER):
            if step == BEFORE:
                model[0].requires_grad_(True)
                optimizer.add_param_group({"params": model[0].parameters()})
            inputs, labels = batch()
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs), labels)
            loss.backward()
            truth.note()
            optimizer.step()
            watcher.step(loss=loss)
    truth.check(tmp_path / "r.jsonl")
    told = frames(tmp_path / "r.jsonl")
    ties = [frame.ties[0] if frame.ties else "trained" for frame in told]
    assert ties == ["frozen"] * BEFORE + ["trained"] * AFTER
    assert all(frame.verdict.is_calm for frame in told)
    assert told[-1].layers.update_ratio.tolist()[0] > 0
