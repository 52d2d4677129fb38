"""Each weight of a model is a row, however the model has it: bare, in a list, in parts, computed, or shared."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.watching.loops import CLASSES, FEATURES, SAMPLES, Truth, train
from tests.watching.recorded import frames, header

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional
utils = nn.utils
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")

HIDDEN = 8


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


class Sequence(nn.Module):  # type: ignore[misc, name-defined]
    """A layer that runs over time, and a head."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.rnn = layer
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, inputs: Any) -> Any:
        outputs, _ = self.rnn(inputs[:, :, None].expand(-1, -1, FEATURES))
        return self.head(outputs[:, -1])


class Tokens(nn.Module):  # type: ignore[misc, name-defined]
    """Bare parameters, as of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, FEATURES))
        self.pos_embed = nn.Parameter(torch.randn(1, 4, FEATURES))
        self.mix = nn.Linear(FEATURES, FEATURES)
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(FEATURES)), nn.Parameter(torch.ones(FEATURES))])
        self.heads = nn.ParameterDict({"w": nn.Parameter(torch.randn(FEATURES, CLASSES))})

    def forward(self, inputs: Any) -> Any:
        words = inputs.view(-1, 1, FEATURES).expand(-1, 3, -1)
        words = torch.cat([self.cls_token.expand(len(inputs), -1, -1), words], 1) + self.pos_embed
        return (self.mix(words) * self.scales[0]).relu().mean(1) * self.scales[1] @ self.heads["w"]


class Experts(nn.Module):  # type: ignore[misc, name-defined]
    """Matrices of all experts in one parameter each."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(3, FEATURES, HIDDEN) / 4)
        self.down_proj = nn.Parameter(torch.randn(3, HIDDEN, CLASSES) / 4)
        self.down_proj_bias = nn.Parameter(torch.zeros(3, CLASSES))

    def forward(self, inputs: Any) -> Any:
        hidden = torch.einsum("bf,efh->ebh", inputs, self.gate_up_proj).relu()
        return (torch.einsum("ebh,ehc->ebc", hidden, self.down_proj) + self.down_proj_bias[:, None]).mean(0)


class Attention(nn.Module):  # type: ignore[misc, name-defined]
    """Keys and values of other sizes than the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(FEATURES, 2, kdim=4, vdim=6, batch_first=True)
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, inputs: Any) -> Any:
        words = inputs[:, None].expand(-1, 3, -1) * torch.linspace(0.5, 1, 3)[:, None]
        mixed, _ = self.attention(words, words[:, :, :4], words[:, :, :6])
        return self.head(mixed.mean(1))


class Tied(nn.Module):  # type: ignore[misc, name-defined]
    """A head that is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(CLASSES, FEATURES)
        self.mix = nn.Linear(FEATURES, FEATURES)
        self.head = nn.Linear(FEATURES, CLASSES, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, inputs: Any) -> Any:
        return self.head(self.mix(self.embed(inputs[:, 0].gt(0).long())))


class Adapted(nn.Module):  # type: ignore[misc, name-defined]
    """A frozen matrix with a low-rank one beside it, in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, FEATURES) / 3, requires_grad=False)
        self.lora_A = nn.Parameter(torch.randn(2, FEATURES) / 3)
        self.lora_B = nn.Parameter(torch.randn(CLASSES, 2) / 3)

    def forward(self, inputs: Any) -> Any:
        return functional.linear(inputs, self.weight + self.lora_B @ self.lora_A)


def computed(make: Callable[[Any], Any]) -> Any:
    """A network whose first layer has a weight that is computed."""
    return nn.Sequential(make(nn.Linear(FEATURES, FEATURES)), nn.ReLU(), nn.Linear(FEATURES, CLASSES))


def parts(model: Any) -> dict[str, Any]:
    """The rows of such a network: everything of the first layer but its bias is one row."""
    first = [entry for name, entry in model[0].named_parameters() if not name.endswith("bias")]
    return {"0": first, "2": model[2].weight}


def pruned(layer: Any) -> Any:
    from torch.nn.utils import prune

    return prune.random_unstructured(layer, "weight", 0.5)


COMPUTED = {
    "weight_norm": utils.parametrizations.weight_norm,
    "weight_norm of old": utils.weight_norm,
    "spectral_norm": utils.parametrizations.spectral_norm,
    "spectral_norm of old": utils.spectral_norm,
    "orthogonal": utils.parametrizations.orthogonal,
    "pruned": pruned,
}


def named(model: Any, *names: str) -> dict[str, Any]:
    """Rows that are called as their parameters are; `weight` is called as its module is."""
    parameters = dict(model.named_parameters())
    return {name.removesuffix(".weight"): parameters[name] for name in names}


ROWS: dict[str, tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]] = {
    **{name: (partial(computed, make), parts) for name, make in COMPUTED.items()},
    "an LSTM of two layers": (
        lambda: Sequence(nn.LSTM(FEATURES, HIDDEN, 2, batch_first=True)),
        lambda model: named(
            model, *(f"rnn.weight_{side}_l{layer}" for layer in (0, 1) for side in ("ih", "hh")), "head.weight"
        ),
    ),
    "a GRU in both directions": (
        lambda: Sequence(nn.GRU(FEATURES, HIDDEN // 2, batch_first=True, bidirectional=True)),
        lambda model: named(
            model, *(f"rnn.weight_{side}_l0{way}" for way in ("", "_reverse") for side in ("ih", "hh")), "head.weight"
        ),
    ),
    "attention with keys of another size": (
        Attention,
        lambda model: named(
            model,
            *(f"attention.{name}_proj_weight" for name in "qkv"),
            "attention.out_proj.weight",
            "head.weight",
        ),
    ),
    "bare parameters and lists": (
        Tokens,
        lambda model: named(model, "cls_token", "pos_embed", "mix.weight", "scales.0", "scales.1", "heads.w"),
    ),
    "experts in one parameter": (Experts, lambda model: named(model, "gate_up_proj", "down_proj")),
    "a low-rank matrix beside a frozen one": (
        Adapted,
        lambda model: {"Adapted": model.weight, **named(model, "lora_A", "lora_B")},
    ),
    "a head tied to its embedding": (
        Tied,
        lambda model: {"embed + head": model.embed.weight, "mix": model.mix.weight},
    ),
}
"""Ways to have weights: a model, and its rows."""


def loss_of(model: Any) -> Any:
    return functional.cross_entropy(model(torch.randn(SAMPLES, FEATURES)), torch.randint(0, CLASSES, (SAMPLES,)))


@pytest.mark.parametrize("way", ROWS)
def test_each_weight_is_a_row_with_the_norm_that_pytorch_gives(way: str, tmp_path: Path) -> None:
    make, rows = ROWS[way]
    model = make()
    truth = Truth(rows(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    verdict = train(model, optimizer, tmp_path / "r.jsonl", loss_of, truth)
    truth.check(tmp_path / "r.jsonl")
    assert verdict.is_calm, verdict.message


def test_of_weight_norm_the_norm_is_that_of_the_weights_own_gradient_at_first(tmp_path: Path) -> None:
    model = computed(utils.parametrizations.weight_norm)
    seen: list[Any] = []

    def see(module: Any, inputs: Any, output: Any) -> None:
        output.register_hook(lambda gradient: seen.append(float(gradient.norm())))

    model[0].parametrizations.weight.register_forward_hook(see)
    train(model, torch.optim.SGD(model.parameters(), lr=0.0), tmp_path / "r.jsonl", loss_of)
    told = [frame.layers.grad_norm[0] for frame in frames(tmp_path / "r.jsonl")]
    assert told == pytest.approx(seen, rel=1e-5)


def test_kinds_and_which_rows_are_matrices(tmp_path: Path) -> None:
    kinds: dict[str, list[tuple[str, str, bool]]] = {}
    for way in ("weight_norm", "bare parameters and lists", "experts in one parameter"):
        model = ROWS[way][0]()
        train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / f"{way}.jsonl", loss_of)
        kinds[way] = [(layer.name, layer.kind, layer.is_matrix) for layer in header(tmp_path / f"{way}.jsonl").layers]
    assert kinds["weight_norm"] == [("0", "Linear", True), ("2", "Linear", True)]
    assert kinds["bare parameters and lists"] == [
        ("cls_token", "Parameter", False), ("pos_embed", "Parameter", False), ("mix", "Linear", True),
        ("scales.0", "Parameter", False), ("scales.1", "Parameter", False), ("heads.w", "Parameter", True),
    ]  # fmt: skip
    assert kinds["experts in one parameter"] == [("gate_up_proj", "Parameter", True), ("down_proj", "Parameter", True)]


def test_biases_and_the_shifts_of_norms_are_rows_on_demand(tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Linear(FEATURES, FEATURES), nn.LayerNorm(FEATURES), nn.ReLU(), nn.Linear(FEATURES, CLASSES)
    )
    truth = Truth(named(model, *dict(model.named_parameters())))
    verdict = train(
        model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of, truth, biases=True
    )
    truth.check(tmp_path / "r.jsonl")
    assert list(truth.rows) == ["0", "0.bias", "1", "1.bias", "3", "3.bias"]
    assert [layer.is_matrix for layer in header(tmp_path / "r.jsonl").layers] == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]
    assert verdict.is_calm


def test_the_error_signal_of_a_layer_that_is_used_twice_is_that_of_both_uses(tmp_path: Path) -> None:
    class Twice(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(FEATURES, FEATURES)
            self.head = nn.Linear(FEATURES, CLASSES)

        def forward(self, inputs: Any) -> Any:
            return self.head(self.mix(self.mix(inputs).relu()).relu())

    model = Twice()
    squares: list[list[float]] = []

    def see(module: Any, inputs: Any, output: Any) -> None:
        output.register_hook(lambda signal: squares[-1].append(float(signal.double().square().sum())))

    def loss_of_step(model: Any) -> Any:
        squares.append([])
        return loss_of(model)

    model.mix.register_forward_hook(see)
    train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_of_step)
    for frame in frames(tmp_path / "r.jsonl")[1:]:
        assert len(squares[frame.step]) == 2
        assert frame.layers.delta_norm[0] == pytest.approx(sum(squares[frame.step]) ** 0.5, rel=1e-6)
