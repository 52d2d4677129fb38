"""The callbacks for trainers of others, where those are installed."""

from pathlib import Path
from typing import Any

import pytest

from tests.watching.recorded import frames, header

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore")  # of what the trainers themselves do


def test_a_lightning_trainer(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    from vgtui.watching.lightning import Watch

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

        def training_step(self, batch: Any, number: int) -> Any:
            return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))
    trainer = lightning.Trainer(
        max_epochs=2,
        gradient_clip_val=1e-3,
        callbacks=[Watch(name="lit", every=1, record=tmp_path / "r.jsonl")],
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


def test_a_trainer_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from vgtui.watching.transformers import Watch

    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=2, n_head=2)
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(32)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=12, per_device_train_batch_size=4, logging_steps=1,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        transformers.GPT2LMHeadModel(config),
        arguments,
        train_dataset=rows,
        callbacks=[Watch(name="gpt", every=1, record=tmp_path / "r.jsonl")],
    )
    trainer.train()
    told = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in told] == list(range(12))
    assert "transformer.h.1.attn.c_proj" in [layer.name for layer in header(tmp_path / "r.jsonl").layers]
    assert told[-1].loss is not None
