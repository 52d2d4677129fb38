"""A cure changes a model and its optimizer in place, says so where there is nothing to change, and lets it learn."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vgtui
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.verdict import Change, Cure, Evidence, Verdict

torch = pytest.importorskip("torch")
nn = torch.nn
F = nn.functional

from vgtui.watching.cures import SETTINGS, applicable, applicable_verdict  # noqa: E402
from vgtui.watching.errors import ChangeError  # noqa: E402

OPTIMIZERS: list[Callable[..., Any]] = [
    lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
    lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
    lambda parameters: torch.optim.RMSprop(parameters, lr=1e-3, momentum=0.5),
]


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


def apply(model: Any, optimizer: Any, *changes: tuple[str, Any], uses: tuple[str, ...] = ()) -> Any:
    cure = Cure(None, None, "a cure", tuple(Change(*change) for change in changes))
    made = applicable(cure, uses).apply
    assert made is not None
    model, _ = made(model, optimizer)
    return model


def refused(model: Any, optimizer: Any, *changes: tuple[str, Any]) -> str:
    """What is said of a change that is not possible; it has changed nothing."""
    before = copy.deepcopy((model.state_dict(), optimizer and optimizer.state_dict(), str(model)))
    with pytest.raises(ChangeError) as caught:
        apply(model, optimizer, *changes)
    after = model.state_dict(), optimizer and optimizer.state_dict(), str(model)
    assert same(before, after)
    return str(caught.value)


def same(one: Any, other: Any) -> bool:
    """Whether two structures hold the same, bit for bit."""
    if isinstance(one, torch.Tensor):
        return bool(one.dtype == other.dtype and torch.equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def mlp(activation: Any = nn.ReLU, *output: Any, width: int = 16, depth: int = 3) -> Any:
    hidden = [part for _ in range(depth - 1) for part in (nn.Linear(width, width), activation())]
    return nn.Sequential(nn.Linear(64, width), activation(), *hidden, nn.Linear(width, 10), *output)


def digits() -> tuple[Any, Any]:
    data = load_dataset("digits")
    return torch.tensor(data.inputs / 16, dtype=torch.float32), torch.tensor(np.asarray(data.labels)).long()


def train(model: Any, optimizer: Any, steps: int, batch: Callable[[], tuple[Any, Any]] | None = None) -> float:
    """Train it, and return the mean loss of the last steps."""
    inputs, labels = digits()
    losses = []
    for _ in range(steps):
        if batch:
            x, y = batch()
        else:
            chosen = torch.randint(len(inputs), (64,))
            x, y = inputs[chosen], labels[chosen]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-20:]))


def members(optimizer: Any) -> list[int]:
    return [id(member) for group in optimizer.param_groups for member in group["params"]]


# what holds for every change


def test_a_cure_without_changes_is_for_a_person() -> None:
    cure = applicable(Cure(None, None, "give the loss the logits"))
    assert (cure.text, cure.apply, cure.changes) == ("give the loss the logits", None, ())


def test_a_verdict_keeps_its_words_and_its_cures_can_be_applied() -> None:
    evidence = (Evidence((0,), "grad_norm", np.float64(1e-9), 1e-3),)
    also = (Change("learning_rate", 0.5),)
    verdict = applicable_verdict(
        Verdict(
            "rate-too-small", "rate-too-small: 1", (Cure(None, None, "lr 0.5", also), Cure(None, None, "x")), evidence
        )
    )
    assert (verdict.kind, verdict.message, verdict.evidence) == ("rate-too-small", "rate-too-small: 1", evidence)
    assert not verdict.is_calm
    first, second = verdict.cures
    assert second.apply is None
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert first.apply is not None
    assert first.apply(model, optimizer) == (model, optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_an_unknown_setting_is_a_sentence_that_names_the_known_ones() -> None:
    model = mlp()
    said = refused(model, torch.optim.SGD(model.parameters(), lr=0.1), ("learning_rat", 0.1))
    assert said == 'setting: no change "learning_rat"; did you mean "learning_rate"?'
    assert issubclass(ChangeError, UsageError)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("value", ["nonsense", -1, math.nan, "Sigmoid>Nothing", [], False])
def test_a_wrong_value_is_a_sentence_and_nothing_is_changed(setting: str, value: Any) -> None:
    model = mlp(nn.Sigmoid, nn.Softmax(1))
    assert refused(model, torch.optim.Adam(model.parameters()), (setting, value)).startswith(setting)


@pytest.mark.parametrize(
    "change",
    [
        ("activation", "Sigmoid>ReLU"),
        ("output_activation", None),
        ("batch_norm", "GroupNorm"),
        ("recurrent", "GRU"),
        ("remember", 20),
        ("norm_first", True),
        ("optimizer", "missing"),
        ("learning_rate", 0.1),
    ],
)
def test_what_finds_nothing_to_change_is_a_sentence(change: tuple[str, Any]) -> None:
    model = mlp()
    assert refused(model, torch.optim.SGD(model.parameters(), lr=0.1), change).startswith(change[0])


def test_of_several_changes_all_are_made_or_none() -> None:
    model = mlp(nn.Sigmoid)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    refused(model, optimizer, ("activation", "Sigmoid>ReLU"), ("learning_rate", 0.5), ("recurrent", "GRU"))
    assert sum(type(module) is nn.Sigmoid for module in model.modules()) == 3


def test_without_an_optimizer_the_model_alone_is_changed() -> None:
    model = apply(mlp(nn.Sigmoid), None, ("activation", "Sigmoid>ReLU"), ("normalization", "BatchNorm"))
    assert sum(isinstance(module, nn.BatchNorm1d) for module in model.modules()) == 3
    assert "no optimizer" in refused(mlp(), None, ("learning_rate", 0.1))


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_new_parameters_are_trained_by_an_optimizer_that_has_state(make: Any) -> None:
    model = mlp(nn.Sigmoid)
    optimizer = make(model.parameters())
    train(model, optimizer, 3)
    apply(model, optimizer, ("normalization", "BatchNorm"), ("activation", "Sigmoid>PReLU"))
    assert sorted(members(optimizer)) == sorted(map(id, model.parameters()))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train(model, optimizer, 3)
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_new_parameters_join_the_group_of_their_layer_and_those_of_a_frozen_or_foreign_one_join_none() -> None:
    model = mlp(depth=4)
    model[0].requires_grad_(False)
    groups = [{"params": model[2].parameters(), "lr": 0.1}, {"params": model[8].parameters(), "lr": 0.2}]
    groups[0]["params"], groups[1]["params"] = list(model[2].parameters()), list(model[8].parameters())
    optimizer = torch.optim.SGD(groups, lr=1.0)
    apply(model, optimizer, ("normalization", "BatchNorm"))
    assert isinstance(model[0], nn.Linear)
    assert [id(entry) for entry in optimizer.param_groups[0]["params"]] == [
        id(entry) for entry in model[2].parameters()
    ]
    assert len(optimizer.param_groups[1]["params"]) == 2
    assert isinstance(model[4][1], nn.BatchNorm1d)


def test_a_fresh_model_of_the_class_takes_the_cure_of_a_watched_one() -> None:
    cure = applicable(Cure(None, None, "norms", (Change("normalization", "BatchNorm"),)))
    assert cure.apply
    for _ in range(2):
        model = mlp()
        cure.apply(model, torch.optim.Adam(model.parameters()))
        assert sum(isinstance(module, nn.BatchNorm1d) for module in model.modules()) == 3


def test_a_lazy_model_is_run_first() -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ChangeError, match="run the model on a batch first"):
        apply(model, optimizer, ("normalization", "BatchNorm"))
    apply(model, optimizer, ("learning_rate", 0.2))
    model(torch.randn(4, 3))
    apply(model, optimizer, ("normalization", "BatchNorm"))
    assert isinstance(model[0], nn.Sequential)


class Wrapped(nn.Module):  # type: ignore[misc, name-defined]
    """As torch.compile wraps a model."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._orig_mod = inner

    def forward(self, inputs: Any) -> Any:
        return self._orig_mod(inputs)


@pytest.mark.parametrize("wrap", [Wrapped, nn.DataParallel])
def test_a_wrapped_model_is_changed_inside(wrap: Any) -> None:
    inner = mlp(nn.Sigmoid)
    model = wrap(inner)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert apply(model, optimizer, ("activation", "Sigmoid>ReLU"), ("normalization", "BatchNorm")) is model
    assert isinstance(inner[0][1], nn.BatchNorm1d)
    assert sorted(members(optimizer)) == sorted(map(id, model.parameters()))


def test_a_model_of_ddp_takes_no_new_parameters() -> None:
    class Ddp(nn.parallel.DistributedDataParallel):  # type: ignore[misc, name-defined]
        def __init__(self, module: Any) -> None:
            nn.Module.__init__(self)
            self.module = module

    model = Ddp(mlp(nn.Sigmoid))
    assert "wrap it again" in refused(model, None, ("normalization", "BatchNorm"))
    apply(model, None, ("initialization", "orthogonal_"))


def test_the_optimizer_inside_a_wrapper_is_changed() -> None:
    class Wrapper:
        def __init__(self, optimizer: Any) -> None:
            self.optimizer = optimizer

    model = mlp()
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    apply(model, Wrapper(inner), ("learning_rate", 0.3))
    assert inner.param_groups[0]["lr"] == 0.3


def test_adagrad_takes_no_new_parameters() -> None:
    model = mlp()
    assert "Adagrad" in refused(model, torch.optim.Adagrad(model.parameters()), ("normalization", "BatchNorm"))


# the rate, the decay, and what happens around a step


def test_the_largest_rate_becomes_the_value_and_groups_keep_their_ratio() -> None:
    model = mlp()
    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    apply(model, optimizer, ("learning_rate", 0.5))
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.5])


def test_a_rate_that_is_a_tensor_stays_the_same_tensor() -> None:
    model = mlp()
    rate = torch.tensor(0.25)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    apply(model, optimizer, ("learning_rate", 0.5))
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.5


def test_a_network_with_a_tiny_rate_learns_with_a_larger_one() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    assert train(model, optimizer, 100) > 2.2
    apply(model, optimizer, ("learning_rate", 0.5))
    assert train(model, optimizer, 200) < 1.2


def test_decay_is_set_where_there_is_some_and_everywhere_where_there_is_none() -> None:
    model = mlp()
    groups = [{"params": model[0].parameters(), "weight_decay": 0.0}, {"params": model[2].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.5)
    apply(model, optimizer, ("weight_decay", 5e-4))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 5e-4]
    apply(model, optimizer, ("weight_decay", 0))
    apply(model, optimizer, ("weight_decay", 0.1))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1]


def test_gradients_are_clipped_before_each_step() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    apply(model, optimizer, ("gradient_clip", 0.5))
    assert "already" in refused(model, optimizer, ("gradient_clip", 0.5))
    apply(model, optimizer, ("gradient_clip", 0.25))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    (model(torch.randn(4, 64)).sum() * 1e3).backward()
    optimizer.step()
    moved = [old - new.detach() for old, new in zip(before, model.parameters(), strict=True)]
    assert math.sqrt(sum(float((part**2).sum()) for part in moved)) == pytest.approx(0.25, rel=1e-3)


def test_gradients_that_a_closure_makes_are_clipped_too() -> None:
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    apply(model, optimizer, ("gradient_clip", 0.5))
    before = model.weight.detach().clone()

    def closure() -> Any:
        optimizer.zero_grad()
        loss = model(torch.full((2, 4), 100.0)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float((before - model.weight.detach()).norm()) == pytest.approx(0.5, rel=1e-3)


def test_the_rate_rises_over_the_warm_up_and_the_scripts_schedule_counts_as_well() -> None:
    model = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    apply(model, optimizer, ("warm_up", 4))
    moves = []
    for step in range(6):
        before = model.weight.detach().clone()
        model.weight.grad = torch.ones(1, 1)
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == 0.5**step
        schedule.step()
        moves.append(float(before - model.weight.detach()))
    wanted = [min(1.0, (step + 1) / 4) * 0.5**step for step in range(6)]
    assert moves == pytest.approx(wanted, rel=1e-4)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_step_that_raises_does_not_leave_the_rate_scaled() -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    apply(model, optimizer, ("warm_up", 2))

    def broken() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        optimizer.step(broken)
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_parameters_that_the_optimizer_lacks_join_it() -> None:
    model = mlp()
    model[4].requires_grad_(False)
    optimizer = torch.optim.Adam(model[0].parameters(), lr=1e-3)
    train(model, optimizer, 2)
    apply(model, optimizer, ("optimizer", "missing"))
    wanted = [id(parameter) for parameter in model.parameters() if parameter.requires_grad]
    assert members(optimizer) == wanted
    before = model[2].weight.detach().clone()
    train(model, optimizer, 1)
    assert not torch.equal(before, model[2].weight)


def test_gradients_are_cleared_after_each_step() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    apply(model, optimizer, ("zero_grad", True))
    F.cross_entropy(model(torch.randn(4, 64)), torch.zeros(4).long()).backward()
    optimizer.step()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert "already" in refused(model, optimizer, ("zero_grad", True))


# activations


def test_hidden_activations_are_replaced_and_the_outputs_stays() -> None:
    model = mlp(nn.Sigmoid, nn.Sigmoid())
    apply(model, None, ("activation", "Sigmoid>LeakyReLU"))
    assert [type(part).__name__ for part in model][1::2] == ["LeakyReLU"] * 3 + ["Sigmoid"]


class Shared(nn.Module):  # type: ignore[misc, name-defined]
    """One activation that is used in several places, registered last, as many scripts have it."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        if first:
            self.act = nn.Sigmoid()
        self.layers = nn.ModuleList([nn.Linear(64, 16), nn.Linear(16, 16)])
        self.out = nn.Linear(16, 10)
        if not first:
            self.act = nn.Sigmoid()
        self.again = self.act

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = self.act(layer(x))
        return self.out(x)


USES = ("layers.0", "act", "layers.1", "act", "out")


def test_an_activation_that_is_used_in_several_places_is_replaced_in_all() -> None:
    model = Shared(first=True)
    apply(model, None, ("activation", "Sigmoid>ReLU"))
    assert type(model.act) is nn.ReLU
    assert model.again is model.act


def test_the_order_of_uses_tells_a_hidden_activation_from_the_outputs() -> None:
    model = Shared(first=False)
    refused(model, None, ("activation", "Sigmoid>ReLU"))
    with pytest.raises(ChangeError, match="no activation comes after"):
        apply(model, None, ("output_activation", None), uses=USES)
    apply(model, None, ("activation", "Sigmoid>ReLU"), ("normalization", "BatchNorm"), uses=USES)
    assert type(model.act) is nn.ReLU
    assert isinstance(model.layers[1][1], nn.BatchNorm1d)
    assert isinstance(model.out, nn.Linear)


def test_a_model_that_was_used_twice_keeps_the_activation_of_its_output() -> None:
    model = mlp(nn.Sigmoid, nn.Sigmoid())
    uses = [str(index) for index in range(len(model))] * 2
    apply(model, None, ("activation", "Sigmoid>ReLU"), uses=tuple(uses))
    assert [type(part).__name__ for part in model][1::2] == ["ReLU"] * 3 + ["Sigmoid"]
    looped = nn.ModuleDict({"layer": nn.Linear(4, 4), "act": nn.Tanh(), "out": nn.Linear(4, 4)})
    apply(looped, None, ("activation", "Tanh>ELU"), uses=("layer", "act", "layer", "act", "out"))
    assert isinstance(looped["act"], nn.ELU)


def test_a_transformers_and_an_rnns_activation_are_left_alone() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation=nn.Sigmoid(), batch_first=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), layer, nn.RNN(8, 8, nonlinearity="tanh"))
    apply(model, None, ("activation", "Sigmoid>ReLU"), ("normalization", "LayerNorm"))
    assert type(model[1]) is nn.ReLU
    assert isinstance(layer.activation, nn.Sigmoid)
    assert isinstance(layer.linear1, nn.Linear)
    assert isinstance(model[0], nn.Sequential)


@pytest.mark.parametrize("output", [nn.Softmax(1), nn.Sigmoid(), nn.LogSoftmax(1)])
def test_the_activation_of_the_output_is_taken_away(output: Any) -> None:
    model = mlp(nn.ReLU, output)
    apply(model, None, ("output_activation", None))
    assert isinstance(model[-1], nn.Identity)
    assert sum(isinstance(part, nn.ReLU) for part in model) == 3


def test_softmax_before_cross_entropy_is_cured() -> None:
    def final(cured: bool) -> float:
        torch.manual_seed(0)
        model = mlp(nn.ReLU, nn.Softmax(1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        if cured:
            apply(model, optimizer, ("output_activation", None))
        return train(model, optimizer, 200)

    assert final(cured=True) < 1 < final(cured=False)


def test_a_deep_network_of_sigmoids_is_cured_by_relu_with_its_initialization_and_not_by_relu_alone() -> None:
    def final(*changes: tuple[str, Any]) -> float:
        torch.manual_seed(0)
        model = mlp(nn.Sigmoid, width=64, depth=10)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        if changes:
            apply(model, optimizer, *changes)
        return train(model, optimizer, 150)

    assert final() > 2.2
    assert final(("activation", "Sigmoid>ReLU"), ("initialization", "kaiming_normal_")) < 1.2
    assert final(("activation", "Sigmoid>ReLU")) > 2.2
    assert final(("normalization", "BatchNorm")) < 1.0


# initialization


def test_weights_are_drawn_anew_and_embeddings_frozen_ones_and_tied_ones_are_left_alone() -> None:
    model = nn.Sequential(nn.Embedding(50, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 50))
    model[3].weight = model[0].weight
    model[2].requires_grad_(False)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(2, dtype=torch.long)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for parameter, old in zip(model.parameters(), before, strict=True):
            parameter.copy_(old)
    apply(model, optimizer, ("initialization", "kaiming_normal_"))
    after = list(model.parameters())
    assert [torch.equal(old, new) for old, new in zip(before, after, strict=True)] == [True, False, False, *[True] * 3]
    assert float(model[1].weight.detach().std()) == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert not model[1].bias.any()
    assert model[1].weight not in optimizer.state
    assert model[0].weight in optimizer.state


def test_orthogonal_weights_in_half_precision_and_of_a_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Linear(8, 8)).to(torch.bfloat16)
    apply(model, None, ("initialization", "orthogonal_"))
    assert model[1].weight.dtype == torch.bfloat16
    product = model[1].weight.detach().float() @ model[1].weight.detach().float().T
    assert torch.allclose(product, torch.eye(8), atol=0.05)


def test_a_network_of_zeros_learns_once_it_is_drawn() -> None:
    model = mlp()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    assert train(model, optimizer, 50) > 2.2
    apply(model, optimizer, ("initialization", "kaiming_normal_"))
    assert train(model, optimizer, 200) < 0.7


# normalization


def convnet() -> Any:
    return nn.Sequential(
        *(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 6, 3)),
        *(nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 10)),
    )


def test_norms_go_behind_hidden_layers_that_have_none() -> None:
    model = apply(convnet().eval(), None, ("normalization", "BatchNorm"))
    assert [type(part).__name__ for part in model[1]] == ["Conv2d", "BatchNorm2d"]
    assert isinstance(model[4], nn.Conv2d)
    assert isinstance(model[8][1], nn.BatchNorm1d)
    assert isinstance(model[11], nn.Linear)
    assert not any(module.training for module in model.modules())
    model(torch.randn(3, 64))
    model = apply(convnet(), None, ("normalization", "LayerNorm"))
    assert isinstance(model[1][1], nn.GroupNorm)
    assert isinstance(model[8][1], nn.LayerNorm)
    model(torch.randn(3, 64))


def test_where_activations_are_functions_every_hidden_layer_gets_a_norm() -> None:
    class Functional(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 10)

        def forward(self, x: Any) -> Any:
            return self.three(F.relu(self.two(F.relu(self.one(x)))))

    model = apply(Functional(), None, ("normalization", "BatchNorm"))
    assert [type(part).__name__ for part in (model.one, model.two, model.three)] == [
        "Sequential",
        "Sequential",
        "Linear",
    ]
    assert isinstance(model.one[0], nn.Linear)


def test_a_transformer_gets_no_batch_norm() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), layer, nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2))
    refused(model, None, ("normalization", "BatchNorm"))


def test_the_kind_and_place_of_a_layers_numbers_are_those_of_its_norm() -> None:
    model = apply(mlp().to(torch.float64), None, ("normalization", "BatchNorm"))
    assert model[0][1].weight.dtype == torch.float64


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (32, 16), (48, 16), (6, 2), (7, 1), (2, 1), (1, 1)])
def test_a_group_norm_takes_the_place_of_a_batch_norm_with_its_scale(channels: int, groups: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU())
    nn.init.constant_(model[1].weight, 3.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    kept = members(optimizer)
    apply(model, optimizer, ("batch_norm", "GroupNorm"))
    assert (type(model[1]), model[1].num_groups) == (nn.GroupNorm, groups)
    assert members(optimizer) == kept
    outputs = model[1](model[0](torch.randn(1, 3, 5, 5)))
    if channels > 1:
        assert float(outputs.detach().std()) == pytest.approx(3.0, rel=0.05)


def test_a_batch_of_one_is_cured_by_group_norm() -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    with pytest.raises(ValueError, match="more than 1 value"):
        model(torch.randn(1, 64))
    apply(model, None, ("batch_norm", "GroupNorm"))
    model(torch.randn(1, 64))


def test_inputs_are_standardized_before_the_first_layer() -> None:
    model = apply(mlp(), None, ("standardize_inputs", True))
    outputs = model[0][0](5e3 + 1e3 * torch.randn(1000, 64))
    assert float(outputs.std()) == pytest.approx(1.0, rel=0.01)
    assert not list(model[0][0].parameters())
    assert isinstance(apply(convnet(), None, ("standardize_inputs", True))[1][0], nn.BatchNorm2d)
    assert "BatchNorm1d" in refused(model, None, ("standardize_inputs", True))
    embedded = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4))
    assert "Embedding" in refused(embedded, None, ("standardize_inputs", True))


def test_a_model_that_is_one_layer_is_returned_as_a_new_root() -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    root = apply(model, optimizer, ("standardize_inputs", True))
    assert isinstance(root, nn.Sequential)
    assert root[1] is model
    assert members(optimizer) == [id(model.weight), id(model.bias)]


# through time


class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, layer: Any, width: int) -> None:
        super().__init__()
        self.rnn = layer
        self.out = nn.Linear(width, 4)

    def forward(self, x: Any) -> Any:
        return self.out(self.rnn(x)[0][:, -1])


def first_of_many(steps: int) -> Callable[[], tuple[Any, Any]]:
    """Sequences whose class is in their first step."""

    def batch() -> tuple[Any, Any]:
        labels = torch.randint(4, (32,))
        inputs = torch.zeros(32, steps, 5)
        inputs[:, :, 4] = 0.1 * torch.randn(32, steps)
        inputs[torch.arange(32), 0, labels] = 1.0
        return inputs, labels

    return batch


def test_an_rnn_becomes_a_gru_of_the_same_sizes() -> None:
    layer = nn.RNN(5, 6, num_layers=2, batch_first=True, dropout=0.1, bidirectional=True, bias=False)
    model = Recurrent(layer, 12)
    optimizer = torch.optim.Adam(model.parameters())
    train(model, optimizer, 2, first_of_many(7))
    inputs = torch.randn(3, 7, 5)
    shapes = [part.shape for part in layer(inputs)]
    apply(model, optimizer, ("recurrent", "GRU:20"))
    assert isinstance(model.rnn, nn.GRU)
    assert [part.shape for part in model.rnn(inputs)] == shapes
    assert sorted(members(optimizer)) == sorted(map(id, model.parameters()))
    assert not [key for key in optimizer.state if id(key) not in members(optimizer)]
    train(model, optimizer, 2, first_of_many(7))


def test_a_cell_becomes_one_of_a_gru() -> None:
    model = nn.ModuleDict({"cell": nn.RNNCell(3, 4)})
    apply(model, None, ("recurrent", "GRU"))
    assert model["cell"](torch.randn(2, 3)).shape == (2, 4)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_gates_are_biased_to_remember_over_as_many_steps(kind: Any) -> None:
    layer = kind(1, 1000)
    model = nn.Sequential(layer)
    apply(model, None, ("remember", 100))
    biases = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().view(-1, 1000)
    kept = torch.sigmoid(biases[1])  # the GRU's update gate and the LSTM's forget gate are both the second
    steps = 1 / (1 - kept)
    assert float(steps.min()) >= 2
    assert float(steps.max()) <= 100
    assert float(steps.mean()) == pytest.approx(51, rel=0.1)
    if kind is nn.LSTM:
        assert torch.equal(biases[0], -biases[1])


def test_a_state_of_the_gru_is_kept_as_the_bias_says() -> None:
    layer = apply(nn.Sequential(nn.GRU(1, 100)), None, ("remember", 200))[0]
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if name.startswith("weight"):
                weight.zero_()
            else:
                weight[200:] = 0  # no candidate but 0
        before = torch.ones(1, 1, 100)
        after = layer(torch.zeros(1, 1, 1), before)[1]
    kept = torch.sigmoid((layer.bias_ih_l0 + layer.bias_hh_l0).detach()[100:200])
    assert torch.allclose(after.flatten(), kept, atol=1e-6)
    assert float(kept.min()) >= 0.5


def test_what_an_rnn_forgets_over_thirty_steps_its_gru_learns() -> None:
    batch = first_of_many(30)
    model = Recurrent(nn.RNN(5, 32, batch_first=True), 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    assert train(model, optimizer, 100, batch) > 1.2
    apply(model, optimizer, ("recurrent", "GRU:30"))
    assert train(model, optimizer, 200, batch) < 0.5


# transformers


def test_layers_of_a_transformer_normalize_first_with_a_final_norm() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 3))
    optimizer = torch.optim.Adam(model.parameters())
    apply(model, optimizer, ("norm_first", True))
    assert all(entry.norm_first for entry in model[0].layers)
    assert isinstance(model[0].norm, nn.LayerNorm)
    assert sorted(members(optimizer)) == sorted(map(id, model.parameters()))
    outputs = model(torch.randn(2, 3, 8))
    assert float(outputs.detach().std()) == pytest.approx(1.0, rel=0.05)
    model.eval()
    with torch.no_grad():
        assert torch.allclose(model(inputs := torch.randn(2, 3, 8)), model.train()(inputs), atol=1e-5)


def test_a_decoder_normalizes_first_too_and_keeps_its_norm() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    kept = model.decoder.norm
    apply(model, None, ("norm_first", True))
    assert model.decoder.layers[0].norm_first
    assert model.decoder.norm is kept


def test_a_watched_training_goes_on_after_a_cure(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    model = Recurrent(nn.RNN(5, 8, batch_first=True), 8)
    optimizer = torch.optim.Adam(model.parameters())
    batch = first_of_many(5)
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "run.jsonl") as watcher:
        for step in range(6):
            if step == 3:
                apply(model, optimizer, ("recurrent", "GRU:5"), ("gradient_clip", 1.0))
            train(model, optimizer, 1, batch)
            watcher.step(loss=1.0)
    assert not caplog.records
    assert isinstance(model.rnn, nn.GRU)
