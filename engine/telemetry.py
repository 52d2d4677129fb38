"""The measurements of every layer, and how they reach the host in one copy."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import TypeAlias

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from engine.activations import ACTIVATIONS
from engine.arrays import Array
from engine.backend import Backend
from engine.network import Network

SATURATION_SHARE = 0.05
"""A unit is saturated for a sample if |φ′| is below this share of its maximum."""

Vector = NDArray[np.float64]
Partial: TypeAlias = np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]
"""A vector that may be unknown in some layers."""
Optional: TypeAlias = Partial | UnsetType
"""The same, and it takes no place in a frame where no layer has it."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerMeasurements:
    """The measurements of all weight layers: one float64 entry per layer, from the input to the output layer.

    The fields from grad_zero_share on are optional; `of` reads any field, whether it is set or not.

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
        grad_zero_share: The share of the entries of ∂E/∂W that are exactly 0.
        momentum_norm: The Frobenius norm of the running mean of ∂E/∂W that the optimizer keeps, before its next update.
        second_moment_norm: √Σv of the running mean v of (∂E/∂W)² that the optimizer keeps.
        noise_scale: tr(Σ) / |G|², in samples: the noise of ∂E/∂W of one sample over the gradient without noise
            (McCandlish et al. 2018, eq. 2.9); masked where the batch is too small to tell.
        max_attention_logit: The largest scaled logit of an attention, of those that its mask leaves.
    """

    grad_norm: Vector
    grad_norm_min: Vector
    grad_norm_max: Vector
    delta_norm: Vector
    activation_mean: Vector
    activation_std: Vector
    derivative_rms: Vector
    saturated: Partial
    dead: Partial
    weight_norm: Vector
    update_ratio: Partial
    grad_zero_share: Optional = UNSET
    momentum_norm: Optional = UNSET
    second_moment_norm: Optional = UNSET
    noise_scale: Optional = UNSET
    max_attention_logit: Optional = UNSET

    @property
    def activation_rms(self) -> Vector:
        """The root mean square of the layer's output: that of its mean and its standard deviation."""
        rms: Vector = np.sqrt(self.activation_mean**2 + self.activation_std**2)
        return rms

    def of(self, name: str) -> Vector:
        """Read a measurement by its name.

        Args:
            name: One of MEASUREMENTS.

        Returns:
            Its value in every layer; masked where it is unknown.
        """
        values = getattr(self, name)
        return np.ma.MaskedArray(np.zeros(len(self.grad_norm)), mask=True) if values is UNSET else values


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

    def __init__(self, network: Network, backend: Backend, optimizer_state: Mapping[str, Array]) -> None:
        """Prepare to measure.

        Args:
            network: The network.
            backend: Where it computes.
            optimizer_state: The vectors that its optimizer keeps, by name, each laid out as the parameters.
        """
        self._network = network
        self._backend = backend
        self._xp = backend.xp
        self._activation = ACTIVATIONS[network.config.activation]
        self._gradient_rows = network.weight_rows(network.gradients)
        self._weight_rows = network.weight_rows(network.parameters)
        self._update_rows = network.weight_rows(network.updates)
        state = {name: network.weight_rows(network.over(vector)) for name, vector in optimizer_state.items()}
        self._momentum_rows = state.get("velocity", state.get("mean"))
        self._square_rows = state.get("square")
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

    def gather(self, updated: bool, scalars: list[Array], inputs: Array) -> tuple[list[float], LayerMeasurements]:
        """Measure every layer and copy the results to the host at once; the extremes start over.

        Overwrites the network's `derivatives`, which are not needed after the backward pass.

        Args:
            updated: Whether an update has been made.
            scalars: 0-d arrays on the device, to be copied along.
            inputs: The batch, (batch, features), on the device.

        Returns:
            The scalars and the measurements.
        """
        network, xp = self._network, self._xp
        hidden = network.config.hidden_layers
        width, batch = network.config.width, network.logits.shape[1]
        count = width * batch
        packed = xp.full(len(ALL_FIELDS) * (hidden + 1) + len(scalars), xp.nan, xp.float64)
        table = packed[: -len(scalars)].reshape(len(ALL_FIELDS), hidden + 1)
        rows = dict(zip(ALL_FIELDS, table, strict=True))

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
            self._gather_state(rows)
        rows["grad_zero_share"][:] = xp.concatenate([xp.mean(xp.logical_not(r), axis=1) for r in self._gradient_rows])
        if not network.config.batch_norm:  # with it, the gradient of a sample depends on the other ones
            self._gather_noise(rows, inputs)

        for place, scalar in enumerate(scalars, start=-len(scalars)):
            packed[place] = scalar
        host = self._backend.to_host(packed)
        values = host[: -len(scalars)].reshape(len(ALL_FIELDS), hidden + 1)
        return host[-len(scalars) :].tolist(), self._as_measurements(values, updated)

    def _gather_state(self, rows: dict[str, Array]) -> None:
        """Measure what the optimizer keeps of earlier gradients."""
        xp = self._xp
        if self._momentum_rows:
            rows["momentum_norm"][:] = self._backend.row_norms(self._momentum_rows)
        if self._square_rows:
            sums = [xp.sum(squares, axis=1, dtype=xp.float64) for squares in self._square_rows]
            rows["second_moment_norm"][:] = xp.sqrt(xp.concatenate(sums))

    def _gather_noise(self, rows: dict[str, Array], inputs: Array) -> None:
        """Compute the noise scale from the gradients of the single samples.

        A sample's part of ∂E/∂W is the outer product of the layer's input and its error signal, so its norm is the
        product of their norms (Goodfellow 2015). With n samples, and q the mean of the squared norms of the samples'
        gradients over the squared norm of their mean, the unbiased estimates of tr(Σ) and |G|² (McCandlish et al. 2018,
        appendix A.1) have the ratio n (q − 1) / (n − q).
        """
        xp, network = self._xp, self._network
        scratch, samples = network.derivatives, network.logits.shape[1]

        def squares(values: Array, scale: Array) -> Array:
            """The squared norm of every sample, (layers, samples), in units of scale², so that none is lost."""
            xp.divide(values, scale.astype(scratch.dtype)[:, None, None], out=scratch)
            xp.multiply(scratch, scratch, out=scratch)
            return xp.sum(scratch, axis=1, dtype=xp.float64)

        size = xp.sqrt(rows["activation_mean"][:-1] ** 2 + rows["activation_std"][:-1] ** 2)
        below = xp.empty((len(size) + 1, samples), xp.float64)
        below[0] = xp.sum(inputs * inputs, axis=1, dtype=xp.float64)
        below[1:] = squares(network.outputs, size)
        scale = rows["delta_norm"].copy()
        signals = xp.empty_like(below)
        signals[:-1] = squares(network.deltas, scale[:-1])
        output = network.output_delta / scale[-1:].astype(scratch.dtype)
        signals[-1] = xp.sum(output * output, axis=0, dtype=xp.float64)
        scale[1:] *= size
        spread = samples * (scale / rows["grad_norm"]) ** 2 * xp.sum(below * signals, axis=1)
        rows["noise_scale"][:] = samples * xp.maximum(spread - 1, 0) / (samples - spread)

    def _as_measurements(self, table: NDArray[np.float64], updated: bool) -> LayerMeasurements:
        values = dict(zip(ALL_FIELDS, table, strict=True))
        layers = table.shape[1]
        is_hidden = np.arange(layers) < layers - 1
        known = {
            "saturated": is_hidden & self._activation.saturates,
            "dead": is_hidden & self._activation.rectifies,
            "update_ratio": np.full(layers, updated),
            "grad_zero_share": np.full(layers, True),
            "momentum_norm": np.full(layers, updated and self._momentum_rows is not None),
            "second_moment_norm": np.full(layers, updated and self._square_rows is not None),
            "noise_scale": self._knows_noise(values["noise_scale"], values["grad_norm"]),
            "max_attention_logit": np.full(layers, False),
        }
        for field, mask in known.items():
            if field in LAYER_FIELDS or mask.any():
                values[field] = np.ma.MaskedArray(values[field], mask=~mask)
            else:
                del values[field]
        return LayerMeasurements(**values)

    def _knows_noise(self, noise: Vector, gradients: Vector) -> NDArray[np.bool_]:
        """Whether the noise scale can be told: the estimate of |G|² is above 0, or the gradient is not finite."""
        is_estimate: NDArray[np.bool_] = (noise >= 0) & (noise < np.inf)
        known: NDArray[np.bool_] = is_estimate | ~np.isfinite(gradients)
        return known if not self._network.config.batch_norm else np.zeros_like(known)


ALL_FIELDS = tuple(entry.name for entry in fields_of(LayerMeasurements))
"""The fields of a measurement, in the order in which they are copied to the host."""
OPTIONAL_FIELDS = tuple(entry.name for entry in fields_of(LayerMeasurements) if entry.default is UNSET)
"""Those that a frame may be without."""
LAYER_FIELDS = tuple(name for name in ALL_FIELDS if name not in OPTIONAL_FIELDS)
"""Those that every frame has."""
MEASUREMENTS = (*ALL_FIELDS, "activation_rms")
"""All that can be read of a measurement: its fields, and what follows from them."""
SIGNED_FIELDS = ("activation_mean", "max_attention_logit")
"""Those that may be below 0."""
