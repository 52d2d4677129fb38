"""The callbacks for trainers of others, where those are installed."""

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vgtui
from tests.watching.recorded import frames, header
from vgtui.watching.endpoints import list_endpoints

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore")  # of what the trainers themselves do


def test_a_lightning_trainer(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    from vgtui.watching.integrations.lightning import Watch

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

        def training_step(self, batch: Any, number: int) -> Any:
            return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    logged: list[int] = []
    data = torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))
    trainer = lightning.Trainer(
        max_epochs=2,
        gradient_clip_val=1e-3,
        callbacks=[
            Watch(
                name="lit", every=1, record=tmp_path / "r.jsonl", keep="10min", log=lambda _, step: logged.append(step)
            )
        ],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=8))
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(16))
    assert [layer.name for layer in header(tmp_path / "r.jsonl").layers] == ["layers.0", "layers.2"]
    assert all(frame.loss is not None for frame in told)
    assert told[-1].clip_factor and told[-1].clip_factor < 0.1
    assert logged == list(range(16))


def test_a_trainer_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from vgtui.watching.integrations.transformers import Watch

    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=2, n_head=2)
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(32)]
    logged: list[int] = []
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=12, per_device_train_batch_size=4, logging_steps=1,
        gradient_accumulation_steps=2, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    backward = torch.autograd.backward
    trainer = transformers.Trainer(
        transformers.GPT2LMHeadModel(config),
        arguments,
        train_dataset=rows,
        callbacks=[
            Watch(
                name="gpt", every=1, record=tmp_path / "r.jsonl", keep="10min", log=lambda _, step: logged.append(step)
            )
        ],
    )
    trainer.train()
    assert logged == list(range(12))
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(12))
    assert "transformer.h.1.attn.c_proj" in [layer.name for layer in header(tmp_path / "r.jsonl").layers]
    # what the Trainer itself says of each step, in single precision
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert [frame.loss for frame in told] == pytest.approx(losses, rel=1e-5)
    assert torch.autograd.backward is backward


def test_a_trainer_of_transformers_that_clips_is_told_as_it_was_before_from_the_first_step(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from vgtui.watching.integrations.transformers import Watch

    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    model = transformers.GPT2LMHeadModel(config)
    norms: list[float] = []
    weight = model.transformer.h[0].attn.c_proj.weight
    weight.register_post_accumulate_grad_hook(lambda entry: norms.append(float(entry.grad.double().norm())))
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(32)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=4, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        max_grad_norm=1e-3, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    watch = Watch(name="gpt", every=1, record=tmp_path / "r.jsonl")
    transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[watch]).train()
    told = frames(tmp_path / "r.jsonl")
    names = [layer.name for layer in header(tmp_path / "r.jsonl").layers]
    row = names.index("transformer.h.0.attn.c_proj")
    assert [frame.layers.grad_norm[row] for frame in told] == pytest.approx(norms[1::2], rel=1e-6)
    assert all(isinstance(frame.clip_factor, float) and 0 < frame.clip_factor < 0.01 for frame in told)
    assert "transformer.wte + lm_head" in names


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """By vgtui."""
    return [record.getMessage() for record in caplog.records if record.name == "vgtui"]


@pytest.fixture
def accelerate() -> Iterator[Any]:
    """The library, whose settings are one for a process until they are reset."""
    library = pytest.importorskip("accelerate")
    yield library
    library.state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("options", "steps"),
    [({}, 8), ({"gradient_accumulation_steps": 2}, 4), ({"mixed_precision": "bf16"}, 8)],
)
def test_what_accelerate_has_prepared(
    accelerate: Any, options: dict[str, Any], steps: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    accelerator = accelerate.Accelerator(cpu=True, **options)
    inner = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    data = torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))
    model, optimizer, batches = accelerator.prepare(
        inner, torch.optim.AdamW(inner.parameters()), torch.utils.data.DataLoader(data, batch_size=8)
    )
    norms = []
    with vgtui.watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for inputs, labels in batches:
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(inputs), labels)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    norms.append([float(inner[place].weight.grad.double().norm()) for place in (0, 2)])
                    accelerator.clip_grad_norm_(model.parameters(), 1e-3)
                optimizer.step()
                optimizer.zero_grad()
                watcher.step(loss=loss)
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(steps)) and not said(caplog)
    for frame, true in zip(told, norms, strict=True):
        assert frame.layers.grad_norm.tolist() == pytest.approx(true, rel=1e-6)
        assert frame.clip_factor and frame.clip_factor < 0.1
    model_info = header(tmp_path / "r.jsonl").model
    assert model_info and model_info.optimizer == "AdamW"


def lightning_module(step: Callable[[Any, Any], Any], optimizers: int = 1, automatic: bool = True) -> Any:
    """A module whose training_step is the function; it is given the module and its loss."""
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
            self.automatic_optimization = automatic

        def training_step(self, batch: Any, number: int) -> Any:
            return step(self, nn.functional.cross_entropy(self.layers(batch[0]), batch[1]))

        def configure_optimizers(self) -> Any:
            return [torch.optim.SGD(self.parameters(), lr=0.1) for _ in range(optimizers)]

    return Module()


def fit(module: Any, folder: Path, callback: Any) -> None:
    import lightning.pytorch as lightning

    data = torch.utils.data.TensorDataset(torch.randn(32, 4), torch.randint(0, 2, (32,)))
    lightning.Trainer(
        max_epochs=1,
        callbacks=[callback],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    ).fit(module, torch.utils.data.DataLoader(data, batch_size=8))


@pytest.mark.parametrize("optimizers", [0, 1, 2])
@pytest.mark.parametrize("gives", ["nothing", "a dict without a loss", "a tensor"])
def test_lightning_with_manual_optimization_whatever_its_step_gives(
    gives: str, optimizers: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("lightning.pytorch")
    from vgtui.watching.integrations.lightning import Watch

    def step(module: Any, loss: Any) -> Any:
        module.manual_backward(loss)
        chosen = module.optimizers() if optimizers else []
        for optimizer in chosen if isinstance(chosen, list) else [chosen]:
            optimizer.step()
            optimizer.zero_grad()
        return {"a dict without a loss": {"accuracy": 1.0}, "a tensor": loss}.get(gives)

    fit(lightning_module(step, optimizers, automatic=False), tmp_path, Watch(every=1, record=tmp_path / "r.jsonl"))
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(4)) and not said(caplog)
    # what the step does not give is what was backpropagated
    assert [frame.loss is not None for frame in told] == [True] * 4


def test_a_lightning_training_that_fails_is_no_longer_watched_and_the_next_one_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("lightning.pytorch")
    from vgtui.watching.integrations.lightning import Watch

    def fail(module: Any, loss: Any) -> Any:
        raise ArithmeticError("the user's own")

    callback = Watch(name="lit", every=1, record=tmp_path / "r.jsonl")
    module = lightning_module(fail)
    with pytest.raises(ArithmeticError, match="the user's own"):
        fit(module, tmp_path, callback)
    assert list_endpoints() == [] and not any(part._forward_pre_hooks for part in module.modules())
    (tmp_path / "r.jsonl").write_text("mine")
    fit(lightning_module(lambda module, loss: loss), tmp_path, callback)
    assert (tmp_path / "r.jsonl").read_text() == "mine"
    assert frames(tmp_path / "r-2.jsonl") and not said(caplog)
    assert list_endpoints() == []


def test_a_callback_can_be_copied_and_pickled_while_it_watches(tmp_path: Path) -> None:
    pytest.importorskip("lightning.pytorch")
    from vgtui.watching.integrations.lightning import Watch

    callback = Watch(every=1, record=tmp_path / "r.jsonl")
    sizes = []

    def step(module: Any, loss: Any) -> Any:
        part = pickle.dumps(callback._watching)  # beside it, Lightning has put methods of the module into the callback
        sizes.append(len(part))
        for twin in (copy.deepcopy(callback)._watching, pickle.loads(part)):
            twin.step(loss)
            twin.end()
        return loss

    fit(lightning_module(step), tmp_path, callback)
    assert len(frames(tmp_path / "r.jsonl")) == 4
    assert max(sizes) < 2000  # the model does not travel with it


def test_hooks_that_come_without_their_beginning_do_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("lightning.pytorch")
    from vgtui.watching.integrations.lightning import Watch as LightningWatch
    from vgtui.watching.integrations.transformers import Watch

    theirs = Watch()
    theirs.on_step_end(None, None, None)
    theirs.on_log(None, None, None)
    theirs.on_log(None, None, None, logs={"loss": "0.5"})
    theirs.on_train_end(None, None, None)
    assert not said(caplog)
    theirs.on_train_begin(None, None, None)
    theirs.on_step_end(None, None, None)
    theirs.on_train_end(None, None, None)
    assert said(caplog) == ["vgtui watches nothing: the trainer has no PyTorch model, but NoneType"]
    lit = LightningWatch()
    lit.on_train_batch_end(None, None, None, None, 0)
    lit.on_exception(None, None, KeyboardInterrupt())
    lit.on_train_end(None, None)
    for kind in (Watch, LightningWatch):
        with pytest.raises(TypeError, match="is not a pace"):
            kind(every="often")
        with pytest.raises(TypeError, match="evry"):
            kind(evry=1)  # type: ignore[call-arg, unused-ignore]


def test_a_trainer_of_transformers_that_evaluates_and_is_resumed(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from vgtui.watching.integrations.transformers import Watch

    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(16)]

    def train(steps: int, file: str, resumed: bool) -> None:
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"), max_steps=steps, per_device_train_batch_size=2, logging_steps=2,
            gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=2, save_steps=2, report_to=[],
            use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        trainer = transformers.Trainer(
            transformers.GPT2LMHeadModel(config), arguments, train_dataset=rows, eval_dataset=rows[:4],
            callbacks=[Watch(every=1, record=tmp_path / file)],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resumed)

    train(4, "first.jsonl", resumed=False)
    train(6, "second.jsonl", resumed=True)
    assert [frame.step for frame in frames(tmp_path / "first.jsonl")] == list(range(4))
    assert [frame.step for frame in frames(tmp_path / "second.jsonl")] == list(range(2))
    assert list_endpoints() == []
