"""The measurements of every layer, and how they reach the host in one copy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activations import ACTIVATIONS
from engine.arrays import Array
from engine.backend import Backend
from engine.network import Network

SATURATION_SHARE = 0.05
"""A unit is saturated for a sample if |φ′| is below this share of its maximum."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerMeasurements:
    """The measurements of all weight layers: one float64 entry per layer, from the input to the output layer.

    Attributes:
        grad_norm: The Frobenius norm of ∂E/∂W.
        grad_norm_min: The smallest of these norms since the last measurement.
        grad_norm_max: The largest of these norms since the last measurement.
        delta_norm: The Frobenius norm of ∂E/∂z over the batch.
        activation_mean: The mean of the layer's output over units and samples; of the logits for the output layer.
        activation_std: Its standard deviation.
        derivative_rms: The root mean square of φ′(z); 1 for the output layer.
        saturated: The share of units × samples that are saturated; masked where the activation does not saturate.
        dead: The share of units that are dead; masked where the activation does not rectify.
        weight_norm: The Frobenius norm of W.
        update_ratio: ‖ΔW‖ / ‖W‖ of the last update; masked before the first.
    """

    grad_norm: Vector
    grad_norm_min: Vector
    grad_norm_max: Vector
    delta_norm: Vector
    activation_mean: Vector
    activation_std: Vector
    derivative_rms: Vector
    saturated: "np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]"
    dead: "np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]"
    weight_norm: Vector
    update_ratio: "np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]"


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The measurement of a network at a step, on the batch that the next update will use.

    Attributes:
        step: The number of updates so far.
        epoch: The number of complete epochs so far.
        loss: The mean cross-entropy over the batch.
        accuracy: The share of the batch that is classified correctly.
        validation_accuracy: The same for the whole validation part; NaN if it was not evaluated.
        layers: The measurements of all layers.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    validation_accuracy: float
    layers: LayerMeasurements


class Telemetry:
    """Keeps the extremes of the gradient norms on the device and gathers measurements for the host.

    Attributes:
        extremes: The smallest and the largest gradient norm of each layer since the last measurement, (2, layers), on
            the device. Valid only if `observing`.
        observing: Whether there has been a pass since the last measurement.
    """

    def __init__(self, network: Network, backend: Backend) -> None:
        self._network = network
        self._backend = backend
        self._xp = backend.xp
        self._activation = ACTIVATIONS[network.config.activation]
        self._gradient_rows = network.weight_rows(network.gradients)
        self._weight_rows = network.weight_rows(network.parameters)
        self._update_rows = network.weight_rows(network.updates)
        layers = network.config.hidden_layers + 1
        self._norms = self._xp.zeros(layers, self._xp.float64)
        self.extremes = self._xp.zeros((2, layers), self._xp.float64)
        self.observing = False

    def observe(self) -> None:
        """Update the extremes with the gradient norms of the last pass; copies nothing to the host."""
        xp = self._xp
        self._norms = self._backend.row_norms(self._gradient_rows)
        if self.observing:
            # both propagate NaN, so a NaN between two measurements is kept
            xp.minimum(self.extremes[0], self._norms, out=self.extremes[0])
            xp.maximum(self.extremes[1], self._norms, out=self.extremes[1])
        else:
            self.extremes[:] = self._norms
            self.observing = True

    def gather(self, updated: bool, scalars: list[Array]) -> tuple[list[float], LayerMeasurements]:
        """Measure every layer and copy the results to the host at once; the extremes start over.

        Overwrites the network's `derivatives`, which are not needed after the backward pass.

        Args:
            updated: Whether an update has been made.
            scalars: 0-d arrays on the device, to be copied along.

        Returns:
            The scalars and the measurements.
        """
        network, xp = self._network, self._xp
        hidden = network.config.hidden_layers
        width, batch = network.config.width, network.logits.shape[1]
        count = width * batch
        packed = xp.full(len(LAYER_FIELDS) * (hidden + 1) + len(scalars), xp.nan, xp.float64)
        table = packed[: -len(scalars)].reshape(len(LAYER_FIELDS), hidden + 1)
        rows = dict(zip(LAYER_FIELDS, table, strict=True))

        rows["grad_norm"][:] = self._norms
        rows["grad_norm_min"][:], rows["grad_norm_max"][:] = self.extremes
        self.observing = False
        signals = [network.deltas.reshape(hidden, count), network.output_delta.reshape(1, -1)]
        rows["delta_norm"][:] = self._backend.row_norms(signals)

        slopes = network.derivatives.reshape(hidden, count)
        rows["derivative_rms"][:-1] = self._backend.row_norms([slopes]) / count**0.5
        rows["derivative_rms"][-1] = 1
        if self._activation.saturates:
            bound = SATURATION_SHARE * self._activation.largest_derivative
            rows["saturated"][:-1] = xp.mean(xp.abs(slopes) < bound, axis=1)
        if self._activation.rectifies:
            rows["dead"][:-1] = xp.mean(xp.logical_not(xp.any(network.activated, axis=2)), axis=1)

        mean = xp.mean(network.outputs, axis=(1, 2), dtype=xp.float64)
        xp.subtract(network.outputs, mean.astype(slopes.dtype)[:, None, None], out=network.derivatives)
        rows["activation_mean"][:-1] = mean
        rows["activation_mean"][-1] = xp.mean(network.logits, dtype=xp.float64)
        rows["activation_std"][:-1] = self._backend.row_norms([slopes]) / count**0.5
        rows["activation_std"][-1] = xp.std(network.logits, dtype=xp.float64)

        rows["weight_norm"][:] = self._backend.row_norms(self._weight_rows)
        if updated:
            rows["update_ratio"][:] = self._backend.row_norms(self._update_rows) / rows["weight_norm"]

        for place, scalar in enumerate(scalars, start=-len(scalars)):
            packed[place] = scalar
        host = self._backend.to_host(packed)
        values = host[: -len(scalars)].reshape(len(LAYER_FIELDS), hidden + 1)
        return host[-len(scalars) :].tolist(), self._as_measurements(values, updated)

    def _as_measurements(self, table: NDArray[np.float64], updated: bool) -> LayerMeasurements:
        values = dict(zip(LAYER_FIELDS, table, strict=True))
        layers = table.shape[1]
        is_hidden = np.arange(layers) < layers - 1
        known = {
            "saturated": is_hidden & self._activation.saturates,
            "dead": is_hidden & self._activation.rectifies,
            "update_ratio": np.full(layers, updated),
        }
        for field, mask in known.items():
            values[field] = np.ma.MaskedArray(values[field], mask=~mask)
        return LayerMeasurements(**values)


LAYER_FIELDS = tuple(LayerMeasurements.__dataclass_fields__)
"""The fields of a measurement, in the order in which they are copied to the host."""
