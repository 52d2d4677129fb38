"""What is told of a PyTorch model's gradients is what PyTorch says itself, however the model is trained."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.watching.recorded import frames, header, notes
from vgtui import watch

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional

SAMPLES, FEATURES, CLASSES = 32, 12, 5
STEPS = 4
EXACT = 1e-6


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


def batch() -> tuple[Any, Any]:
    return torch.randn(SAMPLES, FEATURES), torch.randint(0, CLASSES, (SAMPLES,))


def mlp(*activations: Any) -> Any:
    parts: list[Any] = []
    for activation in activations or (nn.Tanh(), nn.ReLU()):
        parts += [nn.Linear(FEATURES, FEATURES), activation]
    return nn.Sequential(*parts, nn.Linear(FEATURES, CLASSES))


class Truth:
    """The norms that PyTorch gives, noted by the training loop itself, of the layers in the order given."""

    def __init__(self, *weights: Any) -> None:
        self.weights = weights
        self.steps: list[Any] = []

    def note(self, scale: float = 1.0) -> None:
        gradients = [weight.grad for weight in self.weights]
        self.steps.append(
            [None if gradient is None else float(dense(gradient).double().norm()) / scale for gradient in gradients]
        )

    def check(self, recording: Path) -> None:
        told = [frame.layers.grad_norm.tolist() for frame in frames(recording)]
        assert len(told) == len(self.steps)
        for ours, true in zip(told, self.steps, strict=True):
            assert [norm is None for norm in ours] == [norm is None for norm in true]
            known = [place for place, norm in enumerate(true) if norm is not None]
            assert [ours[place] for place in known] == pytest.approx([true[place] for place in known], rel=EXACT, abs=0)


def dense(gradient: Any) -> Any:
    return gradient.to_dense() if gradient.is_sparse else gradient


def weights(model: Any) -> list[Any]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Linear)]


def train(model: Any, path: Path, truth: Truth, **changes: Any) -> Any:
    """The plain loop. before: done between backward and the update."""
    optimizer = changes.get("optimizer") or torch.optim.SGD(model.parameters(), lr=0.1)
    before: Callable[[Any], None] = changes.get("before", lambda optimizer: None)
    with watch(model, optimizer, every=1, record=path) as watcher:
        for _ in range(STEPS):
            inputs, labels = changes["data"]() if "data" in changes else batch()
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs), labels)
            loss.backward()
            truth.note()
            before(optimizer)
            optimizer.step()
            watcher.step(loss=loss)
    return optimizer


def test_a_plain_model(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    train(model, tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    told = header(tmp_path / "r.jsonl")
    assert [(layer.name, layer.kind, layer.shape, layer.activation) for layer in told.layers] == [
        ("0", "Linear", (12, 12), "Tanh"),
        ("2", "Linear", (12, 12), "ReLU"),
        ("4", "Linear", (5, 12), ""),
    ]
    assert told.model and told.model.optimizer == "SGD" and told.model.parameters == 2 * (144 + 12) + 65
    assert [frame.step for frame in frames(tmp_path / "r.jsonl")] == list(range(STEPS))


def test_norms_below_what_float32_can_square(tmp_path: Path) -> None:
    model = mlp(*[nn.Sigmoid()] * 30)
    truth = Truth(*weights(model))
    train(model, tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    (first, *_) = frames(tmp_path / "r.jsonl")
    assert 0 < first.layers.grad_norm[0] < 1e-22
    assert first.verdict.kind == "vanishing" and "0 (Linear)" in first.verdict.message
    assert first.verdict.cures[0].text.startswith("nn.ReLU() in place of nn.Sigmoid() after all 30 hidden layers")


def test_without_an_optimizer_step_reads_them(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    watcher = watch(model, every=1, record=tmp_path / "r.jsonl")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(STEPS):
        inputs, labels = batch()
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        truth.note()
        watcher.step(loss=loss)
    watcher.close()
    truth.check(tmp_path / "r.jsonl")


def test_without_step_the_optimizer_says_when(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl"):
        for _ in range(STEPS):
            inputs, labels = batch()
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            truth.note()
            optimizer.step()
    told = frames(tmp_path / "r.jsonl")
    assert [frame.loss for frame in told] == [None] * len(told)
    true = {step: norms for step, norms in enumerate(truth.steps)}
    assert len(told) >= STEPS - 1
    for frame in told:
        assert frame.layers.grad_norm.tolist() == pytest.approx(true[frame.step], rel=EXACT, abs=0)


def test_accumulated_over_several_passes(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            optimizer.zero_grad()
            for _ in range(3):
                inputs, labels = batch()
                loss = functional.cross_entropy(model(inputs), labels)
                (loss / 3).backward()
            truth.note()
            optimizer.step()
            watcher.step(loss=loss)
    truth.check(tmp_path / "r.jsonl")


def test_an_optimizer_that_is_given_a_closure(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    inputs, labels = batch()
    steps: list[Any] = []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), labels)
        loss.backward()
        truth.note()
        return loss

    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            watcher.step(loss=optimizer.step(closure))
            steps.append(truth.steps[-1])  # it is called several times a step: the last one stays
    truth.steps = steps
    truth.check(tmp_path / "r.jsonl")


def clip_by_norm(optimizer: Any) -> None:
    nn.utils.clip_grad_norm_([weight for group in optimizer.param_groups for weight in group["params"]], 1e-2)


def clip_by_value(optimizer: Any) -> None:
    nn.utils.clip_grad_value_([weight for group in optimizer.param_groups for weight in group["params"]], 1e-3)


@pytest.mark.parametrize("clip", [clip_by_norm, clip_by_value])
def test_clipped_gradients_are_told_as_they_were_before_and_by_how_much(
    clip: Callable[[Any], None], tmp_path: Path
) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    after: list[float] = []

    def before(optimizer: Any) -> None:
        clip(optimizer)
        after.append(float(torch.stack([weight.grad.norm() for weight in truth.weights]).norm()))

    train(model, tmp_path / "r.jsonl", truth, before=before)
    told = frames(tmp_path / "r.jsonl")
    for number in range(STEPS):
        assert told[number].layers.grad_norm.tolist() == pytest.approx(truth.steps[number], rel=EXACT, abs=0)
        clipped = float(np.linalg.norm(np.array(truth.steps[number], float))) * float(told[number].clip_factor)  # type: ignore[arg-type]
        assert clipped == pytest.approx(after[number], rel=1e-5)


def test_what_is_not_clipped_is_told_as_not_clipped(tmp_path: Path) -> None:
    model = mlp()
    train(model, tmp_path / "r.jsonl", Truth())
    assert {frame.clip_factor for frame in frames(tmp_path / "r.jsonl")[1:]} == {1.0}


SCALE = 1024.0


def step_by_the_scaler(scaler: Any, optimizer: Any) -> None:
    scaler.step(optimizer)


def step_by_hand(scaler: Any, optimizer: Any) -> None:
    """As a loop does that checks for infinities itself: nothing on the stack tells that there is a scaler."""
    optimizer.step()


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize(
    ("is_given", "fused", "step"),
    [
        (False, False, step_by_the_scaler),
        (True, False, step_by_the_scaler),
        (False, True, step_by_the_scaler),
        (True, True, step_by_the_scaler),
        (True, False, step_by_hand),
    ],
)
def test_a_grad_scaler_under_autocast_leaves_no_scale_in_the_norms(
    is_given: bool, fused: bool, step: Callable[[Any, Any], None], clips: bool, tmp_path: Path
) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    signals = []
    path = tmp_path / "r.jsonl"
    with watch(model, optimizer, every=1, record=path, scaler=scaler if is_given else None) as watcher:
        for _ in range(STEPS):
            inputs, labels = batch()
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                out = model(inputs)
                loss = functional.cross_entropy(out, labels)
            out.register_hook(lambda signal: signals.append(float(signal.double().norm()) / SCALE))
            scaler.scale(loss).backward()
            truth.note(scale=SCALE)
            if clips or step is step_by_hand:
                scaler.unscale_(optimizer)
            if clips:
                clip_by_norm(optimizer)
            step(scaler, optimizer)
            scaler.update()
            watcher.step(loss=loss)
    told = frames(path)
    for number in range(STEPS):
        assert told[number].layers.grad_norm.tolist() == pytest.approx(truth.steps[number], rel=EXACT, abs=0)
        if number:  # the first step's error signals are not seen
            assert told[number].layers.delta_norm[-1] == pytest.approx(signals[number], rel=1e-5)
        assert (told[number].clip_factor == 1) is not clips


def test_a_grad_scaler_that_scales_no_loss_is_left_as_it_is(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth(*weights(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl", scaler=scaler) as watcher:
        for _ in range(STEPS):
            inputs, labels = batch()
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            truth.note()
            optimizer.step()
            watcher.step()
    truth.check(tmp_path / "r.jsonl")
    assert {frame.clip_factor for frame in frames(tmp_path / "r.jsonl")[1:]} == {1.0}
    assert scaler._scale is None


def test_frozen_parameters_and_those_without_a_gradient_are_unknown(tmp_path: Path) -> None:
    model = nn.ModuleDict(
        {"used": nn.Linear(FEATURES, CLASSES), "unused": nn.Linear(3, 3), "frozen": nn.Linear(12, 12)}
    )
    model["frozen"].requires_grad_(False)

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.parts = model

        def forward(self, inputs: Any) -> Any:
            return self.parts["used"](self.parts["frozen"](inputs))

    net = Net()
    truth = Truth(net.parts["frozen"].weight, net.parts["used"].weight, net.parts["unused"].weight)
    train(net, tmp_path / "r.jsonl", truth)
    names = [layer.name for layer in header(tmp_path / "r.jsonl").layers]
    assert names == ["parts.frozen", "parts.used", "parts.unused"]
    truth.check(tmp_path / "r.jsonl")
    first, *_, last = frames(tmp_path / "r.jsonl")
    assert first.verdict.is_calm and last.verdict.is_calm
    assert last.ties == ("frozen", "trained", "unused")


def test_a_shared_weight_counts_once(tmp_path: Path) -> None:
    class Tied(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(CLASSES, FEATURES)
            self.head = nn.Linear(FEATURES, CLASSES, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, inputs: Any) -> Any:
            return self.head(self.embed(inputs))

    model = Tied()
    truth = Truth(model.embed.weight)
    labels = torch.randint(0, CLASSES, (SAMPLES,))
    train(model, tmp_path / "r.jsonl", truth, data=lambda: (labels, labels.roll(1)))
    truth.check(tmp_path / "r.jsonl")


def test_sparse_gradients(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(50, FEATURES, sparse=True), nn.Linear(FEATURES, CLASSES))
    truth = Truth(model[0].weight, model[1].weight)
    data = lambda: (torch.randint(0, 50, (SAMPLES,)), torch.randint(0, CLASSES, (SAMPLES,)))  # noqa: E731
    train(model, tmp_path / "r.jsonl", truth, data=data)
    truth.check(tmp_path / "r.jsonl")


def test_a_lazy_model_is_known_after_its_first_input(tmp_path: Path) -> None:
    model = nn.Sequential(nn.LazyLinear(FEATURES), nn.ReLU(), nn.LazyLinear(CLASSES))
    truth = Truth(*(model[place].weight for place in (0, 2)))
    train(model, tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    assert header(tmp_path / "r.jsonl").layers[0].shape == (FEATURES, FEATURES)


def test_quantized_weights_and_half_precision_are_no_fault(tmp_path: Path) -> None:
    class Mixed(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.ParameterList([nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)])
            self.head = nn.Linear(FEATURES, CLASSES, dtype=torch.bfloat16)

        def forward(self, inputs: Any) -> Any:
            return self.head(inputs.bfloat16()).float()

    model = Mixed()
    truth = Truth(model.head.weight)
    train(model, tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    assert [layer.name for layer in header(tmp_path / "r.jsonl").layers] == ["head"]


def test_layers_stand_in_the_order_of_their_first_use(tmp_path: Path) -> None:
    class Backwards(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(FEATURES, CLASSES)
            self.attention = nn.MultiheadAttention(FEATURES, 2, batch_first=True)
            self.norm = nn.BatchNorm1d(FEATURES)
            self.first = nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, inputs: Any) -> Any:
            hidden = self.norm(self.first(inputs[:, None])[:, 0])
            hidden, _ = self.attention(hidden[:, None], hidden[:, None], hidden[:, None])
            return self.last(hidden[:, 0])

    model = Backwards()
    attention = model.attention
    truth = Truth(
        model.first.weight, model.norm.weight, attention.in_proj_weight, attention.out_proj.weight, model.last.weight
    )
    train(model, tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    assert [layer.name for layer in header(tmp_path / "r.jsonl").layers] == [
        "first", "norm", "attention", "attention.out_proj", "last",
    ]  # fmt: skip


def test_what_a_model_owns_itself_is_used_before_its_parts_and_is_no_output(tmp_path: Path) -> None:
    class Placed(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(FEATURES, CLASSES)
            self.places = nn.Parameter(torch.randn(FEATURES))

        def forward(self, inputs: Any) -> Any:
            return self.head(inputs + self.places)

    model = Placed()
    truth = Truth(model.places, model.head.weight)
    train(model, tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    assert [layer.name for layer in header(tmp_path / "r.jsonl").layers] == ["places", "head"]


def test_activations_and_the_error_signal_are_what_pytorch_says(tmp_path: Path) -> None:
    model = mlp(nn.Sigmoid(), nn.ReLU())
    model[2].bias.data.fill_(-100.0)
    seen: dict[str, list[Any]] = {"sigmoid": [], "signal": [], "moved": []}

    def see_signal(module: Any, inputs: Any, output: Any) -> None:
        output.register_hook(lambda signal: seen["signal"].append(float(signal.double().norm())))

    model[1].register_forward_hook(lambda module, inputs, output: seen["sigmoid"].append(output.detach().double()))
    model[0].register_forward_hook(see_signal)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    old = model[4].weight.detach().clone()
    optimizer.register_step_pre_hook(lambda *_: (old.copy_(model[4].weight.detach()), None)[1])
    optimizer.register_step_post_hook(
        lambda *_: seen["moved"].append(float((model[4].weight.detach() - old).norm() / old.norm()))
    )
    train(model, tmp_path / "r.jsonl", Truth(), optimizer=optimizer)
    for frame in frames(tmp_path / "r.jsonl")[1:]:
        sigmoid = seen["sigmoid"][frame.step]
        assert frame.layers.activation_mean[0] == pytest.approx(float(sigmoid.mean()), rel=1e-5)
        assert frame.layers.activation_std[0] == pytest.approx(float(sigmoid.std(correction=0)), rel=1e-5)
        assert frame.layers.delta_norm[0] == pytest.approx(seen["signal"][frame.step], rel=1e-6)
        slopes = sigmoid * (1 - sigmoid)
        assert frame.layers.derivative_rms[0] == pytest.approx(float(slopes.square().mean().sqrt()), rel=1e-5)
        assert frame.layers.saturated[0] == pytest.approx(float((slopes < 0.05 * 0.25).double().mean()), abs=1e-6)
        assert frame.layers.dead.tolist()[1] == 1.0 and frame.layers.dead.tolist()[0] is None
        assert frame.layers.update_ratio[2] == pytest.approx(seen["moved"][frame.step], rel=1e-4)
    assert frames(tmp_path / "r.jsonl")[-1].verdict.kind == "dead"


def test_a_compiled_model_gives_its_gradients_and_says_what_cannot_be_seen(tmp_path: Path) -> None:
    plain = mlp()
    truth = Truth(*weights(plain))
    train(torch.compile(plain, backend="eager"), tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    assert [layer.name for layer in header(tmp_path / "r.jsonl").layers] == ["0", "2", "4"]
    assert "compiled by torch" in notes(tmp_path / "r.jsonl")[0]
    assert frames(tmp_path / "r.jsonl")[-1].layers.activation_std.tolist() == [None] * 3


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    distributed = torch.distributed
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_a_distributed_model_is_watched_by_its_own_names(process_group: None, tmp_path: Path) -> None:
    plain = mlp()
    truth = Truth(*weights(plain))
    train(nn.parallel.DistributedDataParallel(plain), tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
    assert [layer.name for layer in header(tmp_path / "r.jsonl").layers] == ["0", "2", "4"]


RANK_SCRIPT = """
import sys, torch, vgtui
from torch import nn
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
torch.manual_seed(rank)
with vgtui.watch(model, optimizer, every=1, record=f"{folder}/{rank}.jsonl") as watcher:
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 4)).square().mean()
        loss.backward()
        print(float(model.module[0].weight.grad.double().norm()))
        optimizer.step()
        watcher.step(loss=loss)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_of_two_ranks_the_first_is_watched_with_the_gradients_that_both_have_made(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", RANK_SCRIPT, str(rank), str(tmp_path)] for rank in range(2)]
    ranks = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    outputs = [rank.communicate()[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert not (tmp_path / "1.jsonl").exists()
    told = [frame.layers.grad_norm[0] for frame in frames(tmp_path / "0.jsonl")]
    assert told == pytest.approx([float(line) for line in outputs[0].split()], rel=EXACT, abs=0)


def test_a_copy_of_a_model_that_is_being_sampled_works_and_has_no_eyes(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, labels = batch()
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(2):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            watcher.step()
        copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.deepcopy(optimizer)
        for twin in copies[:2]:
            assert torch.equal(twin(inputs), model(inputs))


def test_what_is_only_evaluated_in_between_is_not_taken_for_training(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    inputs, labels = batch()
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(STEPS):
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            watcher.step()
            with torch.no_grad():
                model(inputs * 1000)
            model.eval()
            model(inputs * 1000)
    spread = float(model(inputs).detach().std(correction=0))
    for frame in frames(tmp_path / "r.jsonl")[1:]:
        assert frame.layers.activation_std[0] == pytest.approx(spread, rel=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("devices", [("cuda:0",), ("cpu", "cuda:0")])
def test_on_a_gpu_and_on_several_devices(devices: tuple[str, ...], tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    first, last = nn.Linear(FEATURES, FEATURES).to(devices[0]), nn.Linear(FEATURES, CLASSES).to(devices[-1])

    class Spread(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = first, last

        def forward(self, inputs: Any) -> Any:
            return self.last(torch.relu(self.first(inputs.to(devices[0]))).to(devices[-1])).cpu()

    truth = Truth(first.weight, last.weight)
    train(Spread(), tmp_path / "r.jsonl", truth)
    truth.check(tmp_path / "r.jsonl")
