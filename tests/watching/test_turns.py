"""Where a measurement is dear, layers take turns: and each frame says which were measured."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.watching.recorded import frames
from vgtui import watch
from vgtui.watching.cadence import MAX_PARTS, PERIOD, SHARE, Cadence
from vgtui.watching.turns import LEAST, Turns

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


def masked(*values: float | None) -> Any:
    return np.ma.MaskedArray([value or 0.0 for value in values], mask=[value is None for value in values])


def test_a_round_has_every_layer_once_in_turns_of_about_the_same_size() -> None:
    sizes = [10 * LEAST, *[0] * 30, 20 * LEAST, *[0] * 5]
    turns = Turns(sizes)
    taken = [turns.take(parts=6)]
    while not turns.is_last(taken[-1]):
        taken.append(turns.take(parts=1))
    assert [index for turn in taken for index in turn] == list(range(len(sizes)))
    assert 4 <= len(taken) <= 6
    assert turns.take(parts=1) == turns.all
    assert [list(turn) for turn in (turns.take(10**6), turns.take(1))] == [[0], [1]]


def test_a_layer_that_costs_more_than_all_others_leaves_them_a_turn() -> None:
    for sizes in ([1, 1, 10**9], [10**9, 1, 1]):
        turns = Turns(sizes)
        assert turns.take(2) != turns.all


def test_a_layer_whose_turn_it_is_not_keeps_its_last_number_or_stays_unknown() -> None:
    turns = Turns([1, 1, 1])
    turns.complete({"grad_norm": masked(1.0, 2.0, None), "dead": masked(None, 0.5, None)}, turns.all)
    found = turns.complete({"grad_norm": masked(None, None, 30.0), "saturated": masked(0.1, 0.2, None)}, range(1, 3))
    assert found["grad_norm"].tolist() == [1.0, None, 30.0]
    assert found["dead"].tolist() == [None, None, None]
    assert found["saturated"].tolist() == [None, 0.2, None]
    assert turns.complete({"grad_norm": masked(0.0, None, None)}, range(1))["grad_norm"].tolist() == [0.0, None, 30.0]


def test_parts_are_as_many_as_a_frame_a_second_needs() -> None:
    assert Cadence("100ms").parts(0.9 * SHARE * PERIOD) == 1
    assert Cadence("100ms").parts(3.5 * SHARE * PERIOD) == 4
    assert Cadence("100ms").parts(1e9) == MAX_PARTS
    assert Cadence("8s").parts(3.5 * SHARE * PERIOD) == 1
    assert Cadence(1).parts(1e9) == 1


def test_the_norms_of_each_turn_are_those_of_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.watching.cadence.SHARE", 1.0)
    monkeypatch.setattr("vgtui.watching.cadence.PERIOD", 1e-6)  # whatever a measurement takes, it is too dear
    torch.manual_seed(0)
    parts: list[Any] = []
    for _ in range(6):
        parts += [nn.Linear(12, 12), nn.Tanh()]
    model = nn.Sequential(*parts, nn.Linear(12, 5))
    linears = [module for module in model if isinstance(module, nn.Linear)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    true: list[list[float]] = []
    with watch(model, optimizer, every="0.001ms", record=tmp_path / "r.jsonl") as watcher:
        for _ in range(200):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(torch.randn(32, 12)), torch.randint(0, 5, (32,)))
            loss.backward()
            true.append([float(layer.weight.grad.double().norm()) for layer in linears])
            optimizer.step()
            watcher.step(loss=loss)
    told = frames(tmp_path / "r.jsonl")
    assert told[0].fresh is msgspec.UNSET
    shown = np.array(true[0])
    rounds: list[int] = []
    for frame in told[1:]:
        assert isinstance(frame.fresh, tuple)
        fresh = list(frame.fresh)
        rounds += fresh
        shown[fresh] = np.array(true[frame.step])[fresh]
        assert frame.layers.grad_norm.tolist() == pytest.approx(shown.tolist(), rel=1e-6, abs=0)
        assert not np.ma.getmaskarray(frame.layers.delta_norm)[fresh].any()
        assert not np.ma.getmaskarray(frame.layers.update_ratio).any()
        assert frame.clip_factor == 1.0
    assert rounds[:14] == [*range(7), *range(7)]
