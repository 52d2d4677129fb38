"""The engine against PyTorch in float64, where torch is installed: loss, gradients, and parameters after 50 updates."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from engine.config import ACTIVATION_NAMES, OPTIMIZER_NAMES, NetworkConfig, TrainingConfig
from engine.trainer import Trainer
from tests.engine.conftest import MakeTrainer

torch = pytest.importorskip("torch", reason="torch is an oracle, not a dependency: pip install torch")
torch.set_num_threads(1)  # in networks this small, threads wait for each other, which takes five times as long

TOLERANCE = 1e-10
"""Relative to the largest gradient, or parameter, of the layer."""
UPDATES = 50
FEW_UPDATES = 20
"""Without --slow."""
RATE = 0.01

PHI: dict[str, Any] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "elu": torch.nn.functional.elu,
    "selu": torch.nn.functional.selu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus,
    "linear": lambda z: z,
}


def make_optimizer(training: TrainingConfig, parameters: list[Any]) -> Any:
    """Make PyTorch's optimizer of the same name."""
    rate, decay = training.learning_rate, training.weight_decay
    sgd = {"lr": rate, "weight_decay": decay}
    return {
        "sgd": lambda: torch.optim.SGD(parameters, **sgd),
        "momentum": lambda: torch.optim.SGD(parameters, **sgd, momentum=training.momentum),
        "nesterov": lambda: torch.optim.SGD(parameters, **sgd, momentum=training.momentum, nesterov=True),
        "adam": lambda: torch.optim.Adam(parameters, lr=rate, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(parameters, lr=rate, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay),
    }[training.optimizer]()


class Twin:
    """The same network in PyTorch, with the engine's initial parameters."""

    def __init__(self, trainer: Trainer) -> None:
        self.config, self.training = trainer.network.config, trainer.training
        copies = {name: torch.tensor(values) for name, values in trainer.network.named_parameters().items()}
        self.running = {name: value for name, value in copies.items() if ".running_" in name}
        self.parameters = {name: value.requires_grad_() for name, value in copies.items() if name not in self.running}
        self.optimizer = make_optimizer(self.training, list(self.parameters.values()))

    def loss_and_gradients(self, inputs: np.ndarray, labels: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self._logits(torch.tensor(inputs)), torch.tensor(labels))
        loss.backward()
        return loss.item(), {name: value.grad.numpy().copy() for name, value in self.parameters.items()}

    def update(self) -> None:
        if self.training.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.training.gradient_clip)
        self.optimizer.step()

    def _logits(self, h: Any) -> Any:
        for layer in range(self.config.hidden_layers):
            name = f"layers.{layer}"
            z = h @ self.parameters[f"{name}.weight"]
            if self.config.batch_norm:
                running = (self.running[f"{name}.norm.running_mean"], self.running[f"{name}.norm.running_var"])
                gain, bias = self.parameters[f"{name}.norm.gain"], self.parameters[f"{name}.norm.bias"]
                z = torch.nn.functional.batch_norm(z, *running, gain, bias, training=True)
            else:
                z = z + self.parameters[f"{name}.bias"]
            activated = PHI[self.config.activation](z)
            h = h + activated if self.config.skip_connections and h.shape == activated.shape else activated
        last = f"layers.{self.config.hidden_layers}"
        return h @ self.parameters[f"{last}.weight"] + self.parameters[f"{last}.bias"]


def assert_close_by_layer(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Compare each difference with the largest value in its layer, as some gradients before a BatchNorm are 0."""
    for name, values in theirs.items():
        layer = ".".join(name.split(".")[:2])
        largest = max(np.abs(other).max() for key, other in theirs.items() if key.startswith(f"{layer}."))
        assert np.abs(ours[name] - values).max() <= TOLERANCE * largest, name


def cases() -> Iterator[Any]:
    """Every activation with every optimizer, plain, with one of BatchNorm and skip connections, and with both.

    Slow are the cases with neither the default activation nor the default optimizer, and those of another activation
    with only one of BatchNorm and skip connections.
    """
    for activation, optimizer, *parts in product(ACTIVATION_NAMES, OPTIMIZER_NAMES, (False, True), (False, True)):
        usual = activation == NetworkConfig().activation
        short = usual or (optimizer == TrainingConfig().optimizer and parts[0] == parts[1])
        words = ["bias", "batch_norm"][parts[0]], ["plain", "skip"][parts[1]]
        marks = () if short else pytest.mark.slow
        yield pytest.param(activation, optimizer, *parts, marks=marks, id="-".join([activation, optimizer, *words]))


@pytest.mark.parametrize(("activation", "optimizer", "batch_norm", "skip_connections"), cases())
def test_training_is_that_of_pytorch(
    small_trainer: MakeTrainer,
    activation: str,
    optimizer: str,
    batch_norm: bool,
    skip_connections: bool,
    long_form: bool,
) -> None:
    updates = UPDATES if long_form else FEW_UPDATES
    decay, clip = (0.01, 1.0) if skip_connections else (0.0, None)
    training = TrainingConfig(
        batch_size=8, optimizer=optimizer, learning_rate=RATE, weight_decay=decay, gradient_clip=clip
    )
    trainer = small_trainer(
        training, activation=activation, batch_norm=batch_norm, skip_connections=skip_connections, hidden_layers=2
    )
    twin = Twin(trainer)
    for update in range(updates):
        if update in (0, 1, updates - 1):
            ours = trainer.measure().loss
            theirs, gradients = twin.loss_and_gradients(*trainer.current_batch())
            assert ours == pytest.approx(theirs, rel=1e-10)
            assert_close_by_layer(trainer.network.named_gradients(), gradients)
        else:
            twin.loss_and_gradients(*trainer.current_batch())
        trainer.step()
        twin.update()
    parameters = trainer.network.named_parameters()
    expected = {name: value.detach().numpy() for name, value in twin.parameters.items()}
    if activation == "linear" and batch_norm and not skip_connections:
        # the next BatchNorm removes this shift: its gradient is 0 up to rounding, which Adam and RMSprop divide by
        # 1e-8, so two correct programs differ in it, and in the running mean that depends on it
        del expected["layers.0.norm.bias"], twin.running["layers.1.norm.running_mean"]
    assert_close_by_layer(parameters, expected)
    for name, running in twin.running.items():
        assert parameters[name] == pytest.approx(running.numpy(), rel=1e-9, abs=1e-12)
