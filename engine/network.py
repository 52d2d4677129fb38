"""The MLP over one flat parameter buffer and one flat gradient buffer.

Layout, for N hidden layers of W units, F features, C classes and a batch of B:

- Activations, pre-activations and error signals are *units × batch*: the samples of a unit are contiguous, so that
  element-wise work runs over long contiguous stretches and a sum over the batch runs along memory.
- All hidden layers are equally wide, so each kind of array is one array of rank 3, (N, W, B): the derivative of all
  layers is one call, and all their weight gradients are one batched product.
- A bias is an extra row of its weight matrix, and every layer's output has an extra row of ones to match: the product
  and the bias are one call, and so are their gradients. With BatchNorm there is no bias.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activations import ACTIVATIONS
from engine.arrays import Array
from engine.backend import Backend
from engine.config import NetworkConfig
from engine.initializers import INITIALIZERS
from engine.losses import softmax_cross_entropy_delta
from engine.normalization import (
    BatchStatistics,
    batch_norm_backward,
    batch_norm_evaluate,
    batch_norm_forward,
    update_running,
)


@dataclass(frozen=True, slots=True)
class LayerShape:
    """The name and size of a weight layer."""

    name: str
    fan_in: int
    fan_out: int


def layer_shapes(config: NetworkConfig, features: int, classes: int) -> tuple[LayerShape, ...]:
    """List the weight layers of a network.

    Args:
        config: The network.
        features: Features of the input.
        classes: Classes of the output.

    Returns:
        N + 1 shapes: the N hidden layers from the input, then the output layer.
    """
    widths = [features, *[config.width] * config.hidden_layers, classes]
    return tuple(LayerShape(f"layers.{i}", *widths[i : i + 2]) for i in range(config.hidden_layers + 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Vectors:
    """Named views into one flat buffer, the same for parameters, gradients and updates.

    Attributes:
        flat: The whole buffer, (parameters,).
        first: (F+1, W), with the bias as the last row; (F, W) with BatchNorm.
        hidden: (N−1, W+1, W), likewise; (N−1, W, W) with BatchNorm.
        output: (W+1, C), with the bias as the last row.
        gain: (N, W) with BatchNorm, else (0, W).
        shift: As `gain`.
    """

    flat: Array
    first: Array
    hidden: Array
    output: Array
    gain: Array
    shift: Array

    @classmethod
    def over(cls, flat: Array, config: NetworkConfig, features: int, classes: int) -> "_Vectors":
        views, start = {}, 0
        for name, shape in _vector_shapes(config, features, classes).items():
            size = math.prod(shape)
            views[name] = flat[start : start + size].reshape(shape)
            start += size
        return cls(flat, **views)

    def matrices(self) -> list[Array]:
        """List the weight matrices with their bias rows, from the input."""
        return [self.first, *self.hidden, self.output]


@dataclass(frozen=True, slots=True, eq=False)
class _NormViews:
    """The arrays that BatchNorm of one layer reads and writes."""

    gain: Array
    shift: Array
    gain_gradient: Array
    shift_gradient: Array
    statistics: BatchStatistics


@dataclass(frozen=True, slots=True, eq=False)
class _LayerViews:
    """The parts of all arrays that belong to one hidden layer.

    `below` and `skipped` are the layer's input, None for the first layer, whose input is the batch. `product` receives
    the matrix product, which is z itself or the input of BatchNorm; `product_delta` is the error signal of the product.
    """

    transposed: Array
    weights: Array
    below: Array | None
    skipped: Array | None
    product: Array
    pre_activation: Array
    activated: Array
    output: Array
    derivative: Array
    delta: Array
    product_delta: Array
    skips: bool
    norm: _NormViews | None


def _vector_shapes(config: NetworkConfig, features: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parts of the flat buffer, in order, by their names in _Vectors."""
    depth, width, bias = config.hidden_layers, config.width, 0 if config.batch_norm else 1
    normalized = depth if config.batch_norm else 0
    return {
        "first": (features + bias, width),
        "hidden": (depth - 1, width + bias, width),
        "output": (width + 1, classes),
        "gain": (normalized, width),
        "shift": (normalized, width),
    }


def parameter_count(config: NetworkConfig, features: int, classes: int) -> int:
    """Count the trainable parameters of a network."""
    return sum(map(math.prod, _vector_shapes(config, features, classes).values()))


def working_memory(config: NetworkConfig, features: int, classes: int, batch: int, optimizer_vectors: int) -> int:
    """Estimate the memory of a network in training, without allocating anything.

    Args:
        config: The network.
        features: Features of the input.
        classes: Classes of the output.
        batch: Samples per batch.
        optimizer_vectors: Vectors of the parameters' size that the optimizer keeps.

    Returns:
        The estimate in bytes.
    """
    itemsize = np.dtype(config.dtype).itemsize
    per_sample = config.hidden_layers * config.width * (4 + config.skip_connections + 2 * config.batch_norm)
    vectors = 3 + optimizer_vectors
    return itemsize * (vectors * parameter_count(config, features, classes) + batch * per_sample)


class Network:
    """The parameters, the forward and backward pass over one batch, and evaluation.

    For N hidden layers of W units, C classes and a batch of B. After `forward_backward`, the arrays over the batch hold
    that batch's values.

    Attributes:
        config: The network's configuration.
        shapes: The weight layers from the input.
        parameters: The parameters; `parameters.flat` is one vector.
        gradients: ∂E/∂(parameters), laid out as the parameters.
        updates: The last update, laid out as the parameters.
        running: BatchNorm's running mean and variance, (2, N, W); (2, 0, W) without BatchNorm.
        outputs: The output h of every hidden layer, (N, W, B).
        pre_activations: z, (N, W, B).
        activated: φ(z), (N, W, B); without skip connections this is h.
        derivatives: φ′(z), (N, W, B).
        deltas: ∂E/∂z, (N, W, B).
        logits: (C, B).
        output_delta: ∂E/∂logits, (C, B).
    """

    def __init__(
        self, config: NetworkConfig, features: int, classes: int, batch: int, backend: Backend, rng: np.random.Generator
    ) -> None:
        """Allocate every array and draw the parameters.

        Args:
            config: The network.
            features: Features of the input.
            classes: Classes of the output.
            batch: Samples per batch.
            backend: Where to compute.
            rng: Draws the initial parameters, on the host.
        """
        self.config = config
        self.shapes = layer_shapes(config, features, classes)
        self._backend = backend
        self._xp = xp = backend.xp
        self._activation = ACTIVATIONS[config.activation]
        dtype = xp.dtype(config.dtype)
        depth, width = config.hidden_layers, config.width

        host = _Vectors.over(np.zeros(parameter_count(config, features, classes)), config, features, classes)
        _initialize(host, config, self.shapes, rng)
        self.parameters = _Vectors.over(backend.to_device(host.flat.astype(config.dtype)), config, features, classes)
        self.gradients = _Vectors.over(xp.zeros_like(self.parameters.flat), config, features, classes)
        self.updates = _Vectors.over(xp.zeros_like(self.parameters.flat), config, features, classes)

        self._outputs_and_ones = xp.ones((depth, width + 1, batch), dtype)
        self.outputs = self._outputs_and_ones[:, :width]
        self.pre_activations = xp.empty((depth, width, batch), dtype)
        self.activated = xp.empty((depth, width, batch), dtype) if config.skip_connections else self.outputs
        self.derivatives = xp.empty((depth, width, batch), dtype)
        self.deltas = xp.empty((depth, width, batch), dtype)
        self.logits = xp.empty((classes, batch), dtype)
        self.output_delta = xp.empty((classes, batch), dtype)
        self._upstream = xp.empty((2, width, batch), dtype)
        self._averaging = xp.full(batch, 1 / batch, dtype)

        normalized = depth if config.batch_norm else 0
        self._standardized = xp.empty((normalized, width, batch), dtype)
        # the error signal of the matrix product: ∂E/∂z, or with BatchNorm that of its input
        self._product_deltas = xp.empty((depth, width, batch), dtype) if config.batch_norm else self.deltas
        self._batch_mean = xp.zeros((normalized, width), dtype)
        self._batch_variance = xp.zeros((normalized, width), dtype)
        inverse_deviation = xp.zeros((normalized, width), dtype)
        self._statistics = [
            BatchStatistics(*arrays)
            for arrays in zip(
                self._standardized, self._batch_mean, self._batch_variance, inverse_deviation, strict=True
            )
        ]
        self.running = xp.zeros((2, normalized, width), dtype)
        self.running[1] = 1

        # make the views once: making one costs as much as a small ufunc
        self._matrices = self.parameters.matrices()
        self._transposed = [matrix.T for matrix in self._matrices]
        self._weights = [matrix[: shape.fan_in] for matrix, shape in zip(self._matrices, self.shapes, strict=True)]
        self._delta_columns = self._product_deltas.transpose(0, 2, 1)
        self._layers = [self._layer_views(layer) for layer in range(depth)]

    def _layer_views(self, layer: int) -> "_LayerViews":
        config, shape = self.config, self.shapes[layer]
        below = None
        if layer:
            below = self.outputs[layer - 1] if config.batch_norm else self._outputs_and_ones[layer - 1]
        return _LayerViews(
            transposed=self._transposed[layer],
            weights=self._weights[layer],
            below=below,
            skipped=self.outputs[layer - 1] if layer else None,
            product=self._standardized[layer] if config.batch_norm else self.pre_activations[layer],
            pre_activation=self.pre_activations[layer],
            activated=self.activated[layer],
            output=self.outputs[layer],
            derivative=self.derivatives[layer],
            delta=self.deltas[layer],
            product_delta=self._product_deltas[layer],
            skips=config.skip_connections and shape.fan_in == shape.fan_out,
            norm=self._norm_views(layer) if config.batch_norm else None,
        )

    def _norm_views(self, layer: int) -> "_NormViews":
        return _NormViews(
            self.parameters.gain[layer],
            self.parameters.shift[layer],
            self.gradients.gain[layer],
            self.gradients.shift[layer],
            self._statistics[layer],
        )

    def forward_backward(self, inputs: Array, targets: Array) -> None:
        """Run the forward and the backward pass over a batch.

        Fills `gradients` and the arrays over the batch. The parameters do not change.

        Args:
            inputs: (B, F+1), the last column all ones.
            targets: One-hot, (B, C).
        """
        columns = inputs.T
        self._forward(columns)
        softmax_cross_entropy_delta(self._xp, self.logits, targets.T, self.output_delta)
        # the error signals are computed later, so `deltas` is free as scratch space
        self._activation.derivative(self._xp, self.pre_activations, self.activated, self.derivatives, self.deltas)
        self._backward()
        self._weight_gradients(columns)

    def _forward(self, columns: Array) -> None:
        xp, value = self._xp, self._activation.value
        features = self.shapes[0].fan_in
        scratch = self._upstream[0]
        for layer in self._layers:
            below = layer.below
            if below is None:
                below = columns[:features] if layer.norm else columns
            xp.matmul(layer.transposed, below, out=layer.product)
            if layer.norm:
                batch_norm_forward(
                    xp,
                    layer.norm.gain,
                    layer.norm.shift,
                    self._averaging,
                    layer.norm.statistics,
                    layer.pre_activation,
                )
            value(xp, layer.pre_activation, layer.activated, scratch)
            if layer.skips:
                xp.add(
                    layer.activated, columns[:features] if layer.skipped is None else layer.skipped, out=layer.output
                )
            elif self.config.skip_connections:
                xp.copyto(layer.output, layer.activated)
        xp.matmul(self._transposed[-1], self._outputs_and_ones[-1], out=self.logits)

    def _backward(self) -> None:
        xp = self._xp
        upstream, spare = self._upstream
        xp.matmul(self._weights[-1], self.output_delta, out=upstream)
        for layer in reversed(self._layers):
            xp.multiply(upstream, layer.derivative, out=layer.delta)
            if layer.norm:
                batch_norm_backward(
                    xp,
                    layer.delta,
                    layer.norm.gain,
                    self._averaging,
                    layer.norm.statistics,
                    layer.norm.gain_gradient,
                    layer.norm.shift_gradient,
                    layer.product_delta,
                )
            if layer.below is not None:
                xp.matmul(layer.weights, layer.product_delta, out=spare)
                if layer.skips:
                    xp.add(spare, upstream, out=spare)
                upstream, spare = spare, upstream

    def _weight_gradients(self, columns: Array) -> None:
        xp = self._xp
        rows = self.parameters.first.shape[0]
        xp.matmul(columns[:rows], self._delta_columns[0], out=self.gradients.first)
        rows = self.parameters.hidden.shape[1]
        xp.matmul(self._outputs_and_ones[:-1, :rows], self._delta_columns[1:], out=self.gradients.hidden)
        xp.matmul(self._outputs_and_ones[-1], self.output_delta.T, out=self.gradients.output)

    def apply_updates(self) -> None:
        """Add `updates` to the parameters, and move BatchNorm's running statistics towards the last batch."""
        self._xp.add(self.parameters.flat, self.updates.flat, out=self.parameters.flat)
        if self.config.batch_norm:
            update_running(self._xp, self.running, self._batch_mean, self._batch_variance, self.logits.shape[1])

    def evaluate(self, inputs: Array) -> Array:
        """Compute logits with BatchNorm's running statistics.

        Args:
            inputs: (samples, F+1), the last column all ones.

        Returns:
            The logits, (C, samples), on the device.
        """
        xp, config = self._xp, self.config
        columns = inputs.T
        output = xp.ones((config.width + 1, columns.shape[1]), inputs.dtype)
        z, activated, scratch = xp.empty((3, config.width, columns.shape[1]), inputs.dtype)
        for layer in range(config.hidden_layers):
            matrix = self._transposed[layer]
            below = columns if layer == 0 else output
            xp.matmul(matrix, below[: matrix.shape[1]], out=z)
            if config.batch_norm:
                batch_norm_evaluate(
                    xp, z, self.parameters.gain[layer], self.parameters.shift[layer], *self.running[:, layer]
                )
            self._activation.value(xp, z, activated, scratch)
            if self._layers[layer].skips:
                xp.add(activated, below[: config.width], out=output[:-1])
            else:
                xp.copyto(output[:-1], activated)
        return xp.matmul(self._transposed[-1], output)

    def over(self, flat: Array) -> _Vectors:
        """View a vector that is laid out as the parameters by its parts."""
        return _Vectors.over(flat, self.config, self.shapes[0].fan_in, self.shapes[-1].fan_out)

    def weight_rows(self, vectors: _Vectors) -> list[Array]:
        """View the weights, without biases, as one row per layer.

        Args:
            vectors: The parameters, gradients or updates of this network.

        Returns:
            Arrays of (layers, entries), with the layers in order from the input.
        """
        features, classes, width = self.shapes[0].fan_in, self.shapes[-1].fan_out, self.config.width
        groups = [
            matrices.reshape(len(matrices), matrices.shape[-2] * matrices.shape[-1])[:, :entries]
            for matrices, entries in (
                (vectors.first[None], features * width),
                (vectors.hidden, width * width),
                (vectors.output[None], width * classes),
            )
        ]
        return [rows for rows in groups if len(rows)]

    def update_ratio(self, layer: int) -> float:
        """Return ‖ΔW‖ / ‖W‖ of a weight layer in the last update; waits for the device."""
        fan_in = self.shapes[layer].fan_in
        rows = [vectors.matrices()[layer][:fan_in].reshape(1, -1) for vectors in (self.updates, self.parameters)]
        moved, size = (float(self._backend.to_host(self._backend.row_norms([row]))[0]) for row in rows)
        return moved / size

    def named_parameters(self) -> dict[str, NDArray[np.float64]]:
        """Copy the parameters to the host.

        Returns:
            The parameters by name: `layers.0.weight`, (fan_in, fan_out); `layers.0.bias`, (fan_out,); with BatchNorm
            `layers.0.norm.gain`, `.norm.bias`, `.norm.running_mean` and `.norm.running_var`, (fan_out,).
        """
        return self._parameters_on_host()[2]

    def named_gradients(self) -> dict[str, NDArray[np.float64]]:
        """Copy the gradients of the last `forward_backward` to the host, by the names of the parameters.

        They are those of the last `Trainer.measure`. A step may overwrite them.
        """
        return self._named(self._on_host(self.gradients))

    def adopt(self, other: "Network") -> None:
        """Copy the parameters of another network wherever name and shape match; the output layers match each other."""
        host, running, here = self._parameters_on_host()
        there = other.named_parameters()
        own_last, other_last = (f"{network.shapes[-1].name}." for network in (self, other))
        for name, values in here.items():
            found = there.get(other_last + name.removeprefix(own_last) if name.startswith(own_last) else name)
            if found is not None and found.shape == values.shape:
                values[...] = found
        self._xp.copyto(self.parameters.flat, self._backend.to_device(host.flat))
        self._xp.copyto(self.running, self._backend.to_device(running))

    def _parameters_on_host(self) -> tuple[_Vectors, Array, dict[str, NDArray[np.float64]]]:
        """Copy the parameters and BatchNorm's running statistics to the host, with their parts by name."""
        host, running = self._on_host(self.parameters), self._backend.to_host(self.running)
        named = self._named(host)
        if self.config.batch_norm:
            for layer, shape in enumerate(self.shapes[:-1]):
                named[f"{shape.name}.norm.running_mean"] = running[0, layer]
                named[f"{shape.name}.norm.running_var"] = running[1, layer]
        return host, running, named

    def _on_host(self, vectors: _Vectors) -> _Vectors:
        return self.over(self._backend.to_host(vectors.flat))

    def _named(self, host: _Vectors) -> dict[str, NDArray[np.float64]]:
        """Name the parts of a host copy."""
        named = {}
        for layer, (shape, matrix) in enumerate(zip(self.shapes, host.matrices(), strict=True)):
            named[f"{shape.name}.weight"] = matrix[: shape.fan_in]
            if len(matrix) > shape.fan_in:
                named[f"{shape.name}.bias"] = matrix[shape.fan_in]
            if layer < len(host.gain):
                named[f"{shape.name}.norm.gain"] = host.gain[layer]
                named[f"{shape.name}.norm.bias"] = host.shift[layer]
        return named


def _initialize(
    host: _Vectors, config: NetworkConfig, shapes: tuple[LayerShape, ...], rng: np.random.Generator
) -> None:
    """Draw every layer in order, the weights before the biases."""
    initializer = INITIALIZERS[config.initialization]
    for matrix, shape in zip(host.matrices(), shapes, strict=True):
        size = (shape.fan_in, shape.fan_out)
        matrix[: shape.fan_in] = initializer.weight(rng, size, config)
        if initializer.bias and len(matrix) > shape.fan_in:
            matrix[shape.fan_in] = initializer.bias(rng, size, config)
    host.gain[...] = 1
