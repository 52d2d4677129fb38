"""Several passes a step: gradient checkpointing, accumulation, closures, SAM, gradient penalties."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.watching.loops import CLASSES, FEATURES, SAMPLES, STEPS, Truth, check_norms, told_norms, train
from tests.watching.recorded import frames
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    torch._dynamo.utils.counters.clear()  # nothing was compiled


def loss_of(model: Any) -> Any:
    return functional.cross_entropy(model(torch.randn(SAMPLES, FEATURES)), torch.randint(0, CLASSES, (SAMPLES,)))


def rows(model: Any) -> dict[str, Any]:
    return {name: module.weight for name, module in model.named_modules() if isinstance(module, nn.Linear)}


class Block(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(FEATURES, FEATURES)
        self.activation = nn.Tanh()
        self.outer = nn.Linear(FEATURES, FEATURES)

    def forward(self, inputs: Any) -> Any:
        return inputs + self.outer(self.activation(self.inner(inputs)))


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """Blocks that may be checkpointed. The true error signals and outputs are noted at each layer's first run."""

    def __init__(self, call: Callable[[Any, Any], Any] = lambda block, inputs: block(inputs)) -> None:
        super().__init__()
        self.stem = nn.Linear(FEATURES, FEATURES)
        self.blocks = nn.ModuleList(Block() for _ in range(5))
        self.head = nn.Linear(FEATURES, CLASSES)
        self.call = call

    def forward(self, inputs: Any) -> Any:
        hidden = self.stem(inputs)
        for block in self.blocks:
            hidden = self.call(block, hidden)
        return self.head(hidden)


def checkpointed(use_reentrant: bool) -> Callable[[Any, Any], Any]:
    from torch.utils.checkpoint import checkpoint

    return lambda block, inputs: checkpoint(block, inputs, use_reentrant=use_reentrant)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_checkpointed_model_is_told_as_the_same_model_without(use_reentrant: bool, tmp_path: Path) -> None:
    """Not only the gradients: error signals, activations, what is used, and no profile over time."""
    plain, saving = Net(), Net(checkpointed(use_reentrant))
    saving.load_state_dict(plain.state_dict())
    for name, model in (("plain", plain), ("saving", saving)):
        torch.manual_seed(1)
        truth = Truth(rows(model))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        verdict = train(model, optimizer, tmp_path / f"{name}.jsonl", loss_of, truth)
        truth.check(tmp_path / f"{name}.jsonl")
        assert verdict.is_calm
    for ours, true in zip(frames(tmp_path / "saving.jsonl"), frames(tmp_path / "plain.jsonl"), strict=True):
        for field in ("delta_norm", "activation_mean", "activation_std", "saturated", "update_ratio"):
            told, expected = getattr(ours.layers, field).tolist(), getattr(true.layers, field).tolist()
            assert [number is None for number in told] == [number is None for number in expected], field
            known = [number for number in expected if number is not None]
            assert [number for number in told if number is not None] == pytest.approx(known, rel=1e-5), field
        assert not ours.through_time


def accumulate(model: Any, optimizer: Any, watcher: Any, truth: Truth, order: str, batches: int = 4) -> None:
    """Train with step() after each micro-batch; the gradient that an update uses is noted."""
    for number in range(STEPS * batches):
        loss = loss_of(model) / batches
        loss.backward()
        updates = number % batches == batches - 1
        if order == "step first":
            watcher.step(loss=loss * batches)
        if updates:
            truth.note()
            optimizer.step()
        if order == "update first":
            watcher.step(loss=loss * batches)
        if updates:
            optimizer.zero_grad()


def test_step_may_be_called_after_each_micro_batch(tmp_path: Path) -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    truth = Truth(rows(model))
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        accumulate(model, optimizer, watcher, truth, "update first")
    truth.check(tmp_path / "r.jsonl")
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(STEPS))
    assert all(frame.verdict.is_calm for frame in told)
    assert not any(frame.through_time for frame in told)


@pytest.mark.parametrize("batches", [2, 4])
@pytest.mark.parametrize("order", ["step first", "update first"])
def test_without_an_optimizer_accumulation_is_not_taken_for_a_forgotten_zero_grad(
    order: str, batches: int, tmp_path: Path
) -> None:
    for every in (1, batches):  # always the same micro-batch, or each
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        with watch(model, every=every, record=tmp_path / f"{every}.jsonl") as watcher:
            accumulate(model, optimizer, watcher, Truth({}), order, batches)
        told = frames(tmp_path / f"{every}.jsonl")
        assert len(told) >= STEPS and all(frame.verdict.is_calm for frame in told)


@pytest.mark.parametrize("order", ["step first", "update first"])
def test_without_an_optimizer_a_forgotten_zero_grad_is_still_found(order: str, tmp_path: Path) -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(2 * STEPS):
            loss = loss_of(model)
            loss.backward()
            if order == "step first":
                watcher.step(loss=loss)
            optimizer.step()
            if order == "update first":
                watcher.step(loss=loss)
    assert frames(tmp_path / "r.jsonl")[-1].verdict.kind == "gradients-accumulate"


class SharpnessAware(torch.optim.Optimizer):  # type: ignore[misc, name-defined]
    """SAM (Foret et al. 2021) as it is often written: two passes a step, around another optimizer."""

    def __init__(self, parameters: Any, base: Any, rho: float = 0.05, **options: Any) -> None:
        super().__init__(parameters, {"rho": rho, **options})
        groups: Any = vars(self)["param_groups"]
        self.base_optimizer = base(groups, **options)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def first_step(self) -> None:
        entries = [entry for group in self.param_groups for entry in group["params"] if entry.grad is not None]
        norm = torch.stack([entry.grad.norm() for entry in entries]).norm()
        for entry in entries:
            self.state[entry]["old"] = entry.detach().clone()
            entry.add_(entry.grad * (0.05 / norm))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def second_step(self) -> None:
        for group in self.param_groups:
            for entry in group["params"]:
                if "old" in self.state[entry]:
                    entry.copy_(self.state[entry]["old"])
        self.base_optimizer.step()


@pytest.mark.parametrize("set_to_none", [True, False])
def test_of_sams_two_passes_the_second_makes_the_update(set_to_none: bool, tmp_path: Path) -> None:
    model = Net()
    optimizer = SharpnessAware(model.parameters(), torch.optim.SGD, lr=0.05)
    truth = Truth(rows(model))
    signals: list[float] = []
    model.head.register_forward_hook(
        lambda module, inputs, output: (
            output.register_hook(lambda signal: signals.append(float(signal.double().norm()))) and None
        )
    )
    moved = []
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            inputs, labels = torch.randn(SAMPLES, FEATURES), torch.randint(0, CLASSES, (SAMPLES,))
            functional.cross_entropy(model(inputs), labels).backward()
            before = model.head.weight.detach().clone()
            optimizer.first_step()
            optimizer.zero_grad(set_to_none=set_to_none)
            loss = functional.cross_entropy(model(inputs), labels)
            loss.backward()
            truth.note()
            optimizer.second_step()
            moved.append(float((model.head.weight.detach() - before).norm() / before.norm()))
            optimizer.zero_grad(set_to_none=set_to_none)
            watcher.step(loss=loss)
    truth.check(tmp_path / "r.jsonl")
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(STEPS))
    for frame in told[1:]:
        assert frame.layers.delta_norm[-1] == pytest.approx(signals[2 * frame.step + 1], rel=1e-6)
        assert frame.layers.update_ratio[-1] == pytest.approx(moved[frame.step], rel=1e-4)
        assert frame.verdict.is_calm and frame.clip_factor == 1


def test_a_closure_that_is_called_again_leaves_the_numbers_of_its_last_call(tmp_path: Path) -> None:
    model = Net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    truth = Truth(rows(model))
    signals: list[float] = []
    model.head.register_forward_hook(
        lambda module, inputs, output: (
            output.register_hook(lambda signal: signals.append(float(signal.double().norm()))) and None
        )
    )
    inputs, labels = torch.randn(SAMPLES, FEATURES), torch.randint(0, CLASSES, (SAMPLES,))

    def closure() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), labels)
        loss.backward()
        truth.note()
        return loss

    last = []
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            watcher.step(loss=optimizer.step(closure))
            last.append((truth.steps[-1], signals[-1]))
    told = told_norms(tmp_path / "r.jsonl")
    assert [step for step, _ in told] == list(range(STEPS))
    for step, norms in told:
        check_norms(norms, last[step][0])
    for frame in frames(tmp_path / "r.jsonl")[1:]:
        assert frame.layers.delta_norm[-1] == pytest.approx(last[frame.step][1], rel=1e-6)


def test_a_pass_for_a_gradient_penalty_is_not_the_error_signal(tmp_path: Path) -> None:
    model = Net()
    signals: list[list[float]] = []

    def see(module: Any, inputs: Any, output: Any) -> None:
        output.register_hook(lambda signal: signals[-1].append(float(signal.double().norm())))

    def loss_with_penalty(model: Any) -> Any:
        signals.append([])
        inputs = torch.randn(SAMPLES, FEATURES, requires_grad=True)
        outputs = model(inputs)
        (slopes,) = torch.autograd.grad(outputs.sum(), inputs, create_graph=True)
        return functional.cross_entropy(outputs, torch.randint(0, CLASSES, (SAMPLES,))) + slopes.square().mean()

    model.head.register_forward_hook(see)
    truth = Truth(rows(model))
    train(model, torch.optim.SGD(model.parameters(), lr=0.01), tmp_path / "r.jsonl", loss_with_penalty, truth)
    truth.check(tmp_path / "r.jsonl")
    for frame in frames(tmp_path / "r.jsonl")[1:]:
        _, in_training = signals[frame.step]
        assert frame.layers.delta_norm[-1] == pytest.approx(in_training, rel=1e-6)
