"""The first number that is not finite: the module that it came from is named, and the step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.watching.recorded import frames
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn

FAULTS_AT = 7
"""The step at which the models below break."""


class Fault:
    """What a model computes of its features, from a step on."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.step = 0

    def __call__(self, values: Any) -> Any:
        return self.function(values) if self.step >= FAULTS_AT else values


class Part(nn.Module):  # type: ignore[misc, name-defined]
    """A module whose forward pass is the fault, or nothing."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, values: Any) -> Any:
        return self.fault(values)


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """Two layers, and the fault between them in the block's own code."""

    def __init__(self, fault: Callable[[Any], Any]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.fault = fault

    def forward(self, values: Any) -> Any:
        return values + self.second(torch.relu(self.fault(self.first(values))))


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """Three blocks, of which the middle one may break."""

    def __init__(self, fault: Callable[[Any], Any]) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.blocks = nn.Sequential(Block(lambda values: values), Block(fault), Block(lambda values: values))
        self.head = nn.Linear(8, 3)

    def forward(self, values: Any) -> Any:
        return self.head(self.blocks(self.embed(values)))


def log_of_negative(values: Any) -> Any:
    return torch.log(-values.abs() - 1)


def root_of_zero(values: Any) -> Any:
    return values + torch.sqrt((values - values).abs())


def mean_square(outputs: Any, step: int) -> Any:
    return outputs.square().mean()


def untold(outputs: Any, step: int) -> Any:
    """A loss of which the watcher hears nothing."""
    return outputs.square().mean()


def train(
    model: Any,
    fault: Fault,
    path: Path,
    *,
    steps: int = 10,
    every: int = 1,
    make_inputs: Callable[[int], Any] = lambda step: torch.ones(16, 4),
    loss_of: Callable[[Any, int], Any] = mean_square,
    repair: bool = False,
) -> Any:
    """Train, and return the last verdict."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with watch(model, optimizer, every=every, record=path) as watcher:
        for step in range(steps):
            fault.step = step
            optimizer.zero_grad()
            loss = loss_of(model(make_inputs(step)), step)
            loss.backward()
            for parameter in model.parameters() if repair else ():
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)
            optimizer.step()
            if loss_of is not untold:
                watcher.step(loss=loss)
    return frames(path)[-1].verdict


def test_code_between_two_modules_of_a_middle_block_is_named_with_its_step(tmp_path: Path) -> None:
    fault = Fault(log_of_negative)
    verdict = train(Net(fault), fault, tmp_path / "r.jsonl")
    assert verdict.kind == "non-finite"
    assert "what blocks.1 computes itself, between its modules, is the first that is NaN or ∞" in verdict.message
    assert "first seen at step 7 (last finite step 6)" in verdict.message
    assert verdict.cures[0].text.startswith("look at how blocks.1 computes it")


def test_a_module_whose_output_is_not_finite_is_named(tmp_path: Path) -> None:
    fault = Fault(log_of_negative)
    model = Net(Part(fault))
    verdict = train(model, fault, tmp_path / "r.jsonl")
    assert "the output of blocks.1.fault is the first that is NaN or ∞" in verdict.message


@pytest.mark.parametrize(("as_module", "named"), [(True, "blocks.1.fault"), (False, "blocks.1")])
def test_where_the_gradient_alone_is_not_finite_the_module_that_made_it_so_is_named(
    tmp_path: Path, as_module: bool, named: str
) -> None:
    fault = Fault(root_of_zero)
    verdict = train(Net(Part(fault) if as_module else fault), fault, tmp_path / "r.jsonl")
    assert verdict.kind == "non-finite"
    assert f"all outputs are finite, and the gradient is NaN or ∞ from {named} backward" in verdict.message
    assert "first seen at step 7 (last finite step 6)" in verdict.message
    assert verdict.cures[0].text.startswith(f"look in {named} for the square root")


def test_a_logarithm_of_zero_is_named_and_not_the_layer_that_makes_nan_of_it(tmp_path: Path) -> None:
    fault = Fault(lambda values: torch.log(torch.relu(values - 1000)))
    model = nn.Sequential(nn.Linear(4, 8), Part(fault), nn.Linear(8, 8))
    verdict = train(model, fault, tmp_path / "r.jsonl")
    assert "the output of 1 is the first that is NaN or ∞" in verdict.message


def test_inputs_and_a_loss_that_are_not_finite_are_told_apart_from_the_model(tmp_path: Path) -> None:
    fault = Fault(lambda values: values)

    def make_inputs(step: int) -> Any:
        return torch.full((16, 4), float("nan") if step == FAULTS_AT else 1.0)

    verdict = train(Net(fault), fault, tmp_path / "inputs.jsonl", make_inputs=make_inputs)
    assert "the inputs of the model hold NaN or ∞" in verdict.message
    assert "the data" in verdict.cures[0].text

    def loss_of(outputs: Any, step: int) -> Any:
        return torch.sqrt((outputs - outputs if step == FAULTS_AT else outputs).square().mean())

    verdict = train(Net(fault), fault, tmp_path / "loss.jsonl", loss_of=loss_of)
    assert "the gradient that comes from the loss is NaN or ∞" in verdict.message


def test_the_first_step_is_looked_at_too(tmp_path: Path) -> None:
    fault = Fault(lambda values: values)
    model = Net(Part(fault))
    model.blocks[1].fault.fault = log_of_negative
    verdict = train(model, fault, tmp_path / "r.jsonl", steps=2)
    assert "the output of blocks.1.fault is the first that is NaN or ∞" in verdict.message
    assert "first seen at step 0" in verdict.message and "last finite" not in verdict.message


def test_between_two_measurements_the_step_of_the_loss_is_exact_and_no_wrong_module_is_named(tmp_path: Path) -> None:
    fault = Fault(log_of_negative)
    verdict = train(Net(Part(fault)), fault, tmp_path / "r.jsonl", every=5, steps=20)
    assert "first seen at step 8 (last finite step 5)" in verdict.message
    assert "the first loss that is not finite is that of step 7" in verdict.message
    assert "the weights are NaN or ∞ already, so that it cannot be seen any more" in verdict.message


def test_a_loop_that_mends_its_gradients_has_the_module_named_at_the_next_step(tmp_path: Path) -> None:
    fault = Fault(log_of_negative)
    verdict = train(Net(Part(fault)), fault, tmp_path / "r.jsonl", every=5, steps=20, repair=True)
    steps = [frame.step for frame in frames(tmp_path / "r.jsonl")]
    assert steps[:3] == [0, 5, 8] and len(steps) < 10
    assert "the output of blocks.1.fault is the first that is NaN or ∞" in verdict.message
    assert "the first loss that is not finite is that of step 7" in verdict.message


def test_without_a_loss_a_gradient_that_is_not_finite_is_enough(tmp_path: Path) -> None:
    fault = Fault(root_of_zero)
    verdict = train(Net(fault), fault, tmp_path / "r.jsonl", loss_of=untold)
    assert "the gradient is NaN or ∞ from blocks.1 backward" in verdict.message


def test_a_mask_of_minus_infinity_is_not_to_blame(tmp_path: Path) -> None:
    class Masked(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, fault: Fault) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), 1)
            self.softmax = nn.Softmax(-1)
            self.fault = Part(fault)
            self.head = nn.Linear(4, 4)

        def forward(self, values: Any) -> Any:
            mask = nn.Transformer.generate_square_subsequent_mask(4)
            found = self.encoder(values, mask=mask)
            weights = self.softmax(found + mask)
            return self.head(self.fault(weights))

    fault = Fault(lambda values: values)
    arguments: Any = {"make_inputs": lambda step: torch.randn(16, 4, 4)}
    verdict = train(Masked(fault), fault, tmp_path / "sound.jsonl", **arguments)
    assert verdict.kind != "non-finite"
    fault = Fault(log_of_negative)
    verdict = train(Masked(fault), fault, tmp_path / "r.jsonl", **arguments)
    assert "the output of fault is the first that is NaN or ∞" in verdict.message


def test_no_hook_is_left_and_no_number_changes(tmp_path: Path) -> None:
    def losses(watched: bool) -> tuple[list[float], Any]:
        torch.manual_seed(0)
        model = Net(lambda values: values)
        optimizer = torch.optim.Adam(model.parameters())
        watcher = watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") if watched else None
        found = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 4)).square().mean()
            loss.backward()
            optimizer.step()
            found.append(float(loss.detach()))
        if watcher:
            watcher.close()
        return found, model

    plain, _ = losses(watched=False)
    watched, model = losses(watched=True)
    assert watched == plain
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_update_that_breaks_the_weights_is_told_and_no_module_is_named(tmp_path: Path) -> None:
    model = Net(lambda values: values)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl"):
        for step in range(10):
            optimizer.param_groups[0]["lr"] = float("inf") if step == FAULTS_AT else 1e-3
            optimizer.zero_grad()
            model(torch.ones(16, 4)).square().mean().backward()
            optimizer.step()
    verdict = frames(tmp_path / "r.jsonl")[-1].verdict
    assert "the update before it has made the weights NaN or ∞, of gradients that were finite" in verdict.message
    assert "first seen at step 8 (last finite step 7)" in verdict.message
