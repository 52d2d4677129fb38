"""Training step by step: an update, or a measurement before it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Array
from engine.backend import Backend
from engine.config import NetworkConfig, TrainingConfig, check_together
from engine.datasets import Dataset, split
from engine.errors import UsageError
from engine.inspection import Histogram, Inspection
from engine.losses import softmax_cross_entropy
from engine.memory import check_memory
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.telemetry import Measurement, Telemetry

CLIP_EPSILON = 1e-6
"""As in torch.nn.utils.clip_grad_norm_."""


class Trainer:
    """Trains a network on a data set. The same arguments give the same numbers, bit for bit.

    The seed gives three independent streams of random numbers: for the split, the weights and the batches. A change of
    the network therefore does not change the batches.

    Attributes:
        network: The network, with its parameters.
        training: The training settings.
        step_count: The number of updates so far.
        input_mean_square: The mean square of the standardized training inputs; below 1 if some features are constant.
        guess_loss: The loss of the best answer that does not look at the inputs: the entropy of the training labels.
    """

    _pass_made: bool
    _measurement: Measurement | None

    def __init__(
        self, network: NetworkConfig, training: TrainingConfig, dataset: Dataset, backend: Backend, *, kept: int = 0
    ) -> None:
        """Split the data, draw the weights and take the first batch.

        Args:
            network: The network.
            training: The training settings.
            dataset: The data set.
            backend: Where to compute.
            kept: Bytes that other trainers of this process hold.

        Raises:
            UsageError: The settings do not work together or with the data set, or do not fit into memory.
        """
        check_samples(network, training, dataset)
        check_memory(network, training, dataset, backend, kept=kept)
        split_rng, weight_rng, self._batch_rng = (np.random.default_rng([training.seed, stream]) for stream in range(3))
        parts = split(dataset, split_rng)
        samples = len(parts.training_labels)
        self.training = training
        self.input_mean_square = float(
            np.vdot(parts.training_inputs, parts.training_inputs) / parts.training_inputs.size
        )
        shares = np.bincount(parts.training_labels) / samples
        self.guess_loss = float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))
        self.step_count = 0
        self._begun_at = 0
        self._backend = backend
        self._xp = xp = backend.xp
        self._steps_per_epoch = samples // training.batch_size

        self._inputs = backend.to_device(_with_ones(parts.training_inputs, network.dtype))
        self._targets = backend.to_device(_one_hot(parts.training_labels, dataset.classes, network.dtype))
        self._validation_inputs = backend.to_device(_with_ones(parts.validation_inputs, network.dtype))
        self._validation_labels = backend.to_device(parts.validation_labels)
        self._batch_inputs = xp.empty((training.batch_size, dataset.features + 1), network.dtype)
        self._batch_targets = xp.empty((training.batch_size, dataset.classes), network.dtype)

        with backend.quiet():
            self.network = Network(network, dataset.features, dataset.classes, training.batch_size, backend, weight_rng)
            self._optimizer_kind = OPTIMIZERS[training.optimizer]
            self._optimizer = self._optimizer_kind.create(xp, training, self.network.parameters.flat)
            self._scratch = xp.empty_like(self.network.parameters.flat) if training.weight_decay else None
            self._telemetry = Telemetry(self.network, backend, self._optimizer.vectors)
        self._shuffle_if_due()
        self._take_batch()

    @property
    def epoch(self) -> int:
        """The number of complete epochs so far."""
        return self.step_count // self._steps_per_epoch

    def step(self) -> None:
        """Make one update; copies nothing to the host and never waits for the device."""
        with self._backend.quiet():
            self._make_pass()
            gradient = self.network.gradients.flat
            self._clip(gradient)
            if not self._optimizer_kind.decoupled_decay:
                self._add_parameters(gradient, self.training.weight_decay)
            self._optimizer.update(gradient, self.step_count - self._begun_at, out=self.network.updates.flat)
            if self._optimizer_kind.decoupled_decay:
                self._add_parameters(
                    self.network.updates.flat, -self.training.learning_rate * self.training.weight_decay
                )
            self.network.apply_updates()
        self.step_count += 1
        self._shuffle_if_due()
        self._take_batch()

    def measure(self, validate: bool = True) -> Measurement:
        """Measure the network at this step, on the batch of the next update.

        The next `step` reuses the forward and backward pass. A second call at the same step returns the same object.

        Args:
            validate: Whether to evaluate the validation part; otherwise `validation_accuracy` is NaN.

        Returns:
            The measurement.
        """
        if self._measurement is None:
            with self._backend.quiet():
                self._measurement = self._measure(validate)
        return self._measurement

    def state(self) -> dict[str, NDArray[Any]]:
        """Copy everything on which the next steps depend to the host, for `restore`.

        Returns:
            Arrays by name.

        Raises:
            RuntimeError: `measure` or `inspect` was called at this step; its pass would be repeated and counted twice.
        """
        if self._pass_made:
            raise RuntimeError("take the state of a step before measuring or inspecting it")
        generator = self._batch_rng.bit_generator.state
        return {
            "step": np.array(self.step_count),
            "begun_at": np.array(self._begun_at),
            "observing": np.array(self._telemetry.observing),
            "order": self._backend.to_host(self._order),
            "generator": np.frombuffer(json.dumps(generator).encode(), np.uint8),
            **{name: self._backend.to_host(vector) for name, vector in self._vectors().items()},
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from the state of a trainer with the same arguments, bit for bit.

        Args:
            state: What `state` returned.

        Raises:
            UsageError: The state does not belong to a trainer with these arguments.
        """
        order = state["order"]
        if not np.array_equal(np.sort(order), np.arange(len(self._inputs))) or state["step"] < 0:
            raise UsageError("checkpoint", "its sample order does not belong to this data set")
        try:
            self._batch_rng.bit_generator.state = json.loads(state["generator"].tobytes())
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError("checkpoint", f"its random generator cannot be restored: {error}") from error
        for name, vector in self._vectors().items():
            self._xp.copyto(vector, self._backend.to_device(state[name]))
        self.step_count, self._begun_at = int(state["step"]), int(state["begun_at"])
        self._telemetry.observing = bool(state["observing"])
        self._order = self._backend.to_device(order)
        self._take_batch()

    def adopt(self, other: "Trainer") -> None:
        """Continue from the step of another trainer, with its parameters wherever name and shape match.

        The batches continue too if data, batch size and seed are the same. The optimizer starts over.

        Args:
            other: The trainer to continue from; it does not change.
        """
        self.network.adopt(other.network)
        self.step_count = self._begun_at = other.step_count
        if (len(self._inputs), self.training.batch_size, self.training.seed) == (
            len(other._inputs), other.training.batch_size, other.training.seed,
        ):  # fmt: skip
            self._order = self._backend.to_device(other._backend.to_host(other._order))
            self._batch_rng.bit_generator.state = other._batch_rng.bit_generator.state
        self._take_batch()

    def inspect(self, layer: int) -> Inspection:
        """Look inside a layer at this step, on the batch that `measure` describes.

        Args:
            layer: The weight layer, counted from 0 at the input.

        Returns:
            The distributions of its outputs, weights and weight gradients.
        """
        network, to_host = self.network, self._backend.to_host
        with self._backend.quiet():
            self._make_pass()
        fan_in = network.shapes[layer].fan_in
        outputs = network.outputs[layer] if layer < network.config.hidden_layers else network.logits
        return Inspection(
            layer,
            Histogram.of(to_host(outputs)),
            Histogram.of(to_host(network.parameters.matrices()[layer][:fan_in])),
            Histogram.of(to_host(network.gradients.matrices()[layer][:fan_in])),
        )

    def current_batch(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Copy the batch that `measure` describes to the host.

        Returns:
            The inputs, (batch, features), and the labels, (batch,).
        """
        inputs = self._backend.to_host(self._batch_inputs)[:, :-1]
        labels = self._backend.to_host(self._batch_targets).argmax(axis=1)
        return inputs, labels

    def _measure(self, validate: bool) -> Measurement:
        xp, network = self._xp, self.network
        self._make_pass()
        targets = self._batch_targets.T
        scalars = [
            softmax_cross_entropy(xp, network.logits, targets),
            xp.mean(xp.argmax(network.logits, axis=0) == xp.argmax(targets, axis=0)),
        ]
        if validate:
            answers = xp.argmax(network.evaluate(self._validation_inputs), axis=0)
            scalars.append(xp.mean(answers == self._validation_labels))
        (loss, accuracy, *validation), layers = self._telemetry.gather(
            self.step_count > self._begun_at, scalars, self._batch_inputs[:, :-1]
        )
        return Measurement(self.step_count, self.epoch, loss, accuracy, validation[0] if validate else np.nan, layers)

    def _make_pass(self) -> None:
        if not self._pass_made:
            self.network.forward_backward(self._batch_inputs, self._batch_targets)
            self._telemetry.observe()
            self._pass_made = True

    def _clip(self, gradient: Array) -> None:
        if self.training.gradient_clip is not None:
            norm = self._backend.row_norms([gradient[None, :]])
            factor = self._xp.minimum(1, self.training.gradient_clip / (norm + CLIP_EPSILON))
            gradient *= factor.astype(gradient.dtype)

    def _add_parameters(self, vector: Array, factor: float) -> None:
        """Add factor · parameters to a vector."""
        if factor:
            self._xp.multiply(self.network.parameters.flat, factor, out=self._scratch)
            self._xp.add(vector, self._scratch, out=vector)

    def _shuffle_if_due(self) -> None:
        """Draw a new order at the start of an epoch; the samples after its last full batch are left out."""
        if self.step_count % self._steps_per_epoch == 0:
            self._order = self._backend.to_device(self._batch_rng.permutation(len(self._inputs)))

    def _take_batch(self) -> None:
        """Gather the batch of the next update, for which nothing has been computed yet."""
        self._pass_made = False
        self._measurement = None
        batch = self.training.batch_size
        start = self.step_count % self._steps_per_epoch * batch
        rows = self._order[start : start + batch]
        self._backend.gather(self._inputs, rows, self._batch_inputs)
        self._backend.gather(self._targets, rows, self._batch_targets)

    def _vectors(self) -> dict[str, Array]:
        """Return the device arrays that carry state from one step to the next, by name."""
        network = self.network
        return {
            "parameters": network.parameters.flat,
            "updates": network.updates.flat,
            "running": network.running,
            "extremes": self._telemetry.extremes,
            **{f"optimizer.{name}": vector for name, vector in self._optimizer.vectors.items()},
        }


def check_samples(network: NetworkConfig, training: TrainingConfig, dataset: Dataset) -> None:
    """Check that settings work together and with a data set.

    Args:
        network: The network.
        training: The training settings.
        dataset: The data set.

    Raises:
        UsageError: They do not, for example because a batch has more samples than the training part.
    """
    check_together(network, training)
    samples = dataset.training_samples
    if training.batch_size > samples:
        raise UsageError(
            "batch_size", f"{training.batch_size} is more than the {samples} training samples of {dataset.name}"
        )


def _with_ones(inputs: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Append a column of ones to (samples, features), to match the bias row of the first weight matrix."""
    return np.hstack([inputs, np.ones((len(inputs), 1))]).astype(dtype)


def _one_hot(labels: NDArray[np.int64], classes: int, dtype: str) -> NDArray[Any]:
    encoded: NDArray[Any] = np.eye(classes, dtype=dtype)[labels]
    return encoded
