"""Which modules are hooked so that some layers are seen."""

from pathlib import Path
from typing import Any

import pytest

from tests.watching.recorded import frames

torch = pytest.importorskip("torch")
nn = torch.nn


def uses(layers: list[Any], used: list[Any]) -> Any:
    from vgtui.watching.layers import Layer, activations
    from vgtui.watching.uses import Uses

    found = [Layer(str(place), layer, layer.weight, True) for place, layer in enumerate(layers)]
    return Uses(found, activations(nn.ModuleList(dict.fromkeys(used))), used)


def test_a_part_has_its_layers_their_activations_and_the_layer_after() -> None:
    layers, acts = [nn.Linear(2, 2) for _ in range(4)], [nn.Tanh() for _ in range(4)]
    found = uses(layers, [module for pair in zip(layers, acts, strict=True) for module in pair])
    assert found.hooked(range(1, 3)) == ({1, 2, 3}, acts[1:3])
    assert found.hooked(range(3, 4)) == ({3}, acts[3:])
    assert found.hooked(range(4)) == ({0, 1, 2, 3}, acts)


def test_a_layer_that_is_used_several_times_is_always_among_it() -> None:
    layers, act = [nn.Linear(2, 2) for _ in range(4)], nn.Tanh()
    order = [layers[0], act, layers[1], act, layers[0], act, layers[2], act, layers[3]]
    found = uses(layers, order)
    assert found.hooked(range(2, 3)) == ({0, 2, 3}, [act])
    assert uses(layers, order * 3).hooked(range(2, 3)) == ({0, 2, 3}, [act])  # of several steps before an update


def test_without_an_order_everything_is_hooked() -> None:
    layers = [nn.Linear(2, 2) for _ in range(2)]
    assert uses(layers, []).hooked(range(1)) == ({0, 1}, [])


def test_the_parts_of_a_model_with_one_activation_are_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of layers in turn, at a rate of 0, are those of one step of all layers."""
    import vgtui
    from vgtui.watching.emitter import Emitter

    def train(path: Path) -> list[Any]:
        torch.manual_seed(0)
        relu = nn.ReLU()
        model = nn.Sequential(*[part for _ in range(6) for part in (nn.Linear(8, 8), relu)], nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        inputs, labels = torch.randn(16, 8), torch.randint(0, 3, (16,))
        with vgtui.watch(model, optimizer, every=1, record=path) as watcher:
            for _ in range(9):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(inputs), labels)
                loss.backward()
                optimizer.step()
                watcher.step(loss=loss)
        return frames(path)

    whole = train(tmp_path / "whole.jsonl")[-1].layers
    monkeypatch.setattr(Emitter, "parts", lambda self, *_: 3)
    told = train(tmp_path / "parts.jsonl")
    assert any(isinstance(frame.fresh, tuple) and len(frame.fresh) < 7 for frame in told)
    parts = told[-1].layers
    for name in ("grad_norm", "weight_norm", "delta_norm", "activation_mean", "activation_std", "dead"):
        assert parts.of(name).tolist() == pytest.approx(whole.of(name).tolist(), rel=1e-6)
