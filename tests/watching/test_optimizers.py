"""Whatever makes the updates: several optimizers, one that is unknown, something around one, several passes a step."""

from pathlib import Path
from typing import Any

import pytest

from tests.watching.loops import CLASSES, FEATURES, SAMPLES, STEPS, Truth, check_norms, told_norms
from tests.watching.recorded import frames, header
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


def loss_of(model: Any) -> Any:
    return functional.cross_entropy(model(torch.randn(SAMPLES, FEATURES)), torch.randint(0, CLASSES, (SAMPLES,)))


def network() -> Any:
    return nn.Sequential(
        nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, CLASSES)
    )


def rows(model: Any) -> dict[str, Any]:
    return {name: module.weight for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def several(model: Any) -> list[Any]:
    return [
        torch.optim.SGD([*model[0].parameters(), *model[2].parameters()], lr=0.05),
        torch.optim.AdamW(model[4].parameters(), lr=1e-2),
    ]


FORMS: dict[str, Any] = {
    "a list": list,
    "a tuple": tuple,
    "a dictionary": lambda optimizers: dict(zip("ab", optimizers, strict=True)),
}


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("form", FORMS)
def test_of_several_optimizers_each_layer_is_read_at_its_own_update(
    form: str, order: int, is_told: bool, tmp_path: Path
) -> None:
    model = network()
    optimizers = several(model)
    truth = Truth(rows(model))
    moved: list[float] = []
    with watch(model, FORMS[form](optimizers), every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            loss = loss_of(model)
            loss.backward()
            truth.note()
            for optimizer in optimizers[::order]:
                before = model[4].weight.detach().clone()
                optimizer.step()
                optimizer.zero_grad(set_to_none=False)  # which leaves zeros for the other one to find
                if optimizer is optimizers[1]:
                    moved.append(float((model[4].weight.detach() - before).norm() / before.norm()))
            if is_told:
                watcher.step(loss=loss)
    told = frames(tmp_path / "r.jsonl")
    assert len(told) >= (STEPS if is_told else STEPS // 2)
    # the first step is known when the first optimizer updates: the other's update was before it
    truth.check(tmp_path / "r.jsonl", since=0 if order == 1 else 1)
    for frame in told[0 if order == 1 else 1 :]:
        assert frame.layers.update_ratio[2] == pytest.approx(moved[frame.step], rel=1e-5)
        assert frame.verdict.is_calm and set(frame.ties or ()) <= {"trained"}
    model_info = header(tmp_path / "r.jsonl").model
    assert model_info and model_info.optimizer == "SGD, AdamW"


def test_adversaries_in_one_model_have_the_gradients_of_their_own_updates(tmp_path: Path) -> None:
    class Pair(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.maker = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, FEATURES))
            self.judge = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 1))

    model = Pair()
    judging, making = (torch.optim.Adam(part.parameters(), lr=1e-3) for part in (model.judge, model.maker))
    truth = Truth(rows(model))
    with watch(model, [judging, making], every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            made = model.maker(torch.randn(SAMPLES, 4))
            judging.zero_grad()
            loss = functional.softplus(-model.judge(torch.randn(SAMPLES, FEATURES))).mean()
            (loss + functional.softplus(model.judge(made.detach())).mean()).backward()
            truth.note()
            judging.step()
            making.zero_grad()
            functional.softplus(-model.judge(made)).mean().backward()
            norms = truth.steps[-1]
            truth.note()
            making.step()
            norms.update({name: norm for name, norm in truth.steps.pop().items() if name.startswith("maker")})
            watcher.step(loss=loss)
    for step, norms in told_norms(tmp_path / "r.jsonl"):
        check_norms(norms, {name: truth.steps[step][name] for name in norms})
    assert frames(tmp_path / "r.jsonl")[-1].verdict.is_calm


def test_what_an_unknown_optimizer_trains_is_not_taken_for_frozen_or_vanished(tmp_path: Path) -> None:
    model = network()
    known, unknown = several(model)
    truth = Truth(rows(model))
    steps = 40
    with watch(model, known, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(steps):
            loss = loss_of(model)
            loss.backward()
            truth.note()
            unknown.step()
            unknown.zero_grad(set_to_none=False)
            known.step()
            known.zero_grad(set_to_none=False)
            watcher.step()
    for step, norms in told_norms(tmp_path / "r.jsonl"):
        check_norms(norms, truth.steps[step])
    told = frames(tmp_path / "r.jsonl")
    assert {frame.layers.update_ratio.tolist()[2] for frame in told} == {None}
    assert all(frame.verdict.is_calm for frame in told), {frame.verdict.message for frame in told}
    assert set(told[-1].ties or ()) <= {"trained"}


class Around:
    """As Apex's, or Accelerate's."""

    def __init__(self, inner: Any) -> None:
        self.optimizer = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.optimizer, name)


def schedule(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)


def schedules(optimizer: Any) -> Any:
    halves = [torch.optim.lr_scheduler.ConstantLR(optimizer), torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]
    return torch.optim.lr_scheduler.SequentialLR(optimizer, halves, [2])


WRAPPED: dict[str, Any] = {
    "a wrapper": Around,
    "a wrapper around a wrapper": lambda optimizer: Around(Around(optimizer)),
    "a schedule": schedule,
    "a schedule of several": schedules,
    "a plateau": torch.optim.lr_scheduler.ReduceLROnPlateau,
    "a wrapper in a list": lambda optimizer: [Around(optimizer)],
}


@pytest.mark.filterwarnings("ignore:.*lr_scheduler:UserWarning")
@pytest.mark.parametrize("way", WRAPPED)
def test_the_optimizer_inside_is_found(way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    given = WRAPPED[way](optimizer)
    truth = Truth(rows(model))
    with caplog.at_level("WARNING", "vgtui"), watch(model, given, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(model)
            loss.backward()
            truth.note()
            optimizer.step()
            watcher.step(loss=loss)
    truth.check(tmp_path / "r.jsonl")
    told = header(tmp_path / "r.jsonl").model
    assert told and told.optimizer == "AdamW"
    assert not caplog.records
    assert frames(tmp_path / "r.jsonl")[-1].verdict.is_calm
    assert not optimizer._optimizer_step_pre_hooks


class WithoutHooks:
    """As those of other libraries are."""

    def __init__(self, parameters: Any) -> None:
        self.parameters = list(parameters)

    def step(self) -> None:
        with torch.no_grad():
            for parameter in self.parameters:
                parameter -= 0.05 * parameter.grad


def test_beside_an_optimizer_with_hooks_one_without_is_said_and_its_layers_have_their_gradients(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = network()
    known = torch.optim.SGD(model[0].parameters(), lr=0.05)
    other = WithoutHooks([*model[2].parameters(), *model[4].parameters()])
    truth = Truth(rows(model))
    path = tmp_path / "r.jsonl"
    with caplog.at_level("WARNING", "vgtui"), watch(model, [known, other], every=1, record=path) as watcher:
        for _ in range(STEPS):
            model.zero_grad()
            loss = loss_of(model)
            loss.backward()
            truth.note()
            other.step()
            known.step()
            watcher.step(loss=loss)
    truth.check(path)
    assert [record.getMessage().startswith("vgtui: WithoutHooks has no hooks") for record in caplog.records] == [True]
    assert all(frame.verdict.is_calm for frame in frames(path))
