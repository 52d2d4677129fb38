"""The verdict on a model of any framework, step by step: does the gradient reach its layers, and does it learn?"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.health import reference_norm
from engine.model_cures import PYTORCH, RECURRENT, Advice, ModelLayer
from engine.observations import Observations
from engine.progress import Learning, Progress
from engine.telemetry import LayerMeasurements
from engine.verdict import BOUNDS, PERSISTENCE, USUAL_UPDATE, Cure, Evidence, Verdict, VerdictKind

__all__ = ["PYTORCH", "ModelDiagnosis", "ModelLayer"]

EARLY = 5
"""Measurements that are early: the size of their updates shows the rate, before it has done its harm."""
PATIENCE = 100
"""Updates before a loss that has not fallen is a fault by itself, without a cause."""
MAX_DOUBT = 0.01
"""The doubt about a loss, as a share of that of guessing, up to which it is sure not to have fallen."""
PATIENCE_IN_TIME = 300
"""The same for a model that runs over time: its loss often stands still before it falls."""
SUSTAINED = 0.02
"""Updates relative to the weights, twenty times the usual, that are too large if they go on and nothing is learned."""
MEMORY = 100
"""Updates after which weight decay alone has forgotten the weights; with fewer it leaves nothing to learn with."""
SCHEDULED = 1000
"""How many times smaller a schedule may make the rate before it is to blame."""
FAR = 30.0
"""How many times the loss of guessing a classifier's loss may be: beyond it, its outputs have exploded."""
TOO_SURE = 2.0
"""How many times the loss of guessing a classifier's loss is that is wrong, and sure of it."""
PER_LAYER = 0.1
"""The share of the gradient that a layer leaves, less than half of what sigmoid's largest slope of 0.25 does."""
MAX_NAMES = 3
"""Names of layers in a message."""
MAX_UNUSED = 0.2
"""The share of matrices that may be unused in the forward pass, as a pooler is, without a word."""


@dataclass(slots=True)
class _Past:
    """What is remembered of the steps before.

    Attributes:
        recent: The last measurements, the newest last, with what was observed.
        early_updates: The median update ratio of the matrices in each early measurement.
        first_norm: The first known norm of all gradients.
        first_layer: The layer whose gradient was the largest of those.
        largest_norm: The largest finite one.
        first_loss: The first loss.
        largest_loss: The largest finite size of a loss.
        broken: The verdict at the first number that was not finite: later ones say nothing of its cause.
        time_growth: The largest growth of an error signal from the last time step to the first, and its layer.
        highest_rate: The largest learning rate so far.
        equal_weights: The layers whose weights were all the same number at the start.
        target_variance: The sum and the number of variances of targets.
    """

    recent: deque[tuple[LayerMeasurements, Observations]] = field(default_factory=lambda: deque(maxlen=PERSISTENCE))
    early_updates: list[float] = field(default_factory=list)
    first_norm: float = math.nan
    first_layer: int = 0
    largest_norm: float = 0.0
    first_loss: float = math.nan
    largest_loss: float = 0.0
    broken: Verdict | None = None
    time_growth: tuple[float, int] = (0.0, 0)
    highest_rate: float = 0.0
    equal_weights: tuple[int, ...] = ()
    target_variance: tuple[float, int] = (0.0, 0)


class ModelDiagnosis:
    """Gives a verdict on each measured step of a model."""

    def __init__(self, layers: Sequence[ModelLayer], framework: str) -> None:
        """Begin with a model.

        Args:
            layers: The model's layers with weights, in the order of the measurements.
            framework: The name of its framework; PYTORCH has cures in code.
        """
        self._layers = layers
        self._framework = framework
        self._progress = Progress()
        self._past = _Past()

    @property
    def learning(self) -> Learning:
        """What the losses so far say."""
        return self._progress.judge()

    def add(
        self,
        step: int,
        measured: LayerMeasurements,
        *,
        loss: float | None = None,
        accuracy: float | None = None,
        validation_accuracy: float | None = None,
        observed: Observations | None = None,
    ) -> Verdict:
        """Take in a measured step.

        Args:
            step: The number of updates before it.
            measured: The measurements of its layers, after clipping.
            loss: Its loss.
            accuracy: Its accuracy.
            validation_accuracy: The accuracy on the validation data.
            observed: What else is known of it.

        Returns:
            The verdict on the step.
        """
        observed = observed or Observations()
        past = self._past
        past.recent.append((measured, observed))
        past.equal_weights = past.equal_weights or observed.equal_weights
        self._progress.add(step, loss, accuracy, validation_accuracy)
        case = _Case(self._layers, self._framework, past, step)
        case.remember(loss)
        self._progress.guess = self._loss_of_guessing(observed)
        case.learning = self._progress.judge()
        with np.errstate(all="ignore"):
            return next(verdict for check in _CHECKS if (verdict := check(case)))

    def _loss_of_guessing(self, observed: Observations) -> float:
        """Return the loss of the best answer that does not look at the inputs; NaN if unknown."""
        function, targets, past = observed.loss_function, observed.targets, self._past
        guess = math.nan
        if function is not None and function.kind == "nll" and function.classes:
            guess = math.log(function.classes)
        elif function is not None and function.kind == "mse" and targets and math.isfinite(targets.variance):
            total, count = past.target_variance
            past.target_variance = total, count = total + targets.variance, count + 1
            guess = total / count or math.nan
        # a loss far below that from the start is scaled, or of a model that was trained before
        return guess if past.first_loss > guess / 2 else math.nan


class _Case:
    """One step of a model to be judged, with what is remembered."""

    def __init__(self, layers: Sequence[ModelLayer], framework: str, past: _Past, step: int) -> None:
        self.layers = layers
        self.past = past
        self.learning = Learning("unknown")
        self.step = step
        self.measured, self.seen = past.recent[-1]
        ties = self.seen.ties or ("trained",) * len(layers)
        self.ties = ties
        self.is_trained = np.array([tie == "trained" for tie in ties], dtype=bool)
        self.matrices = np.array([layer.is_matrix for layer in layers], dtype=bool) & self.is_trained
        if not self.matrices.any():
            self.matrices = self.is_trained
        self.is_known = ~np.ma.getmaskarray(self.measured.grad_norm) & self.is_trained
        grad_norm = np.ma.MaskedArray(np.ma.getdata(self.measured.grad_norm), mask=~self.is_known)
        self.reference = reference_norm(grad_norm, self.matrices.tolist())
        self.norms = np.where(self.is_known, np.ma.getdata(self.measured.grad_norm), self.reference)
        self.updates = self._median(self.measured.update_ratio)
        self.advice = Advice(layers, framework, self.seen, self.matrices)

    def remember(self, loss: float | None) -> None:
        """Keep what later steps need of this one."""
        past = self.past
        norm = float(np.linalg.norm(self.norms[self.is_known])) if self.is_known.any() else math.nan
        if math.isfinite(norm):
            past.largest_norm = max(past.largest_norm, norm)
            if math.isnan(past.first_norm):
                past.first_norm, past.first_layer = norm, int(np.argmax(np.where(self.is_known, self.norms, 0.0)))
        for layer, profile in self.seen.through_time.items():
            growth = float(profile[0] / profile[-1]) if profile[-1] > 0 else 0.0
            if math.isfinite(growth):
                past.time_growth = max(past.time_growth, (growth, layer))
        past.highest_rate = float(np.fmax(past.highest_rate, self.seen.learning_rate))
        if loss is not None and math.isfinite(loss):
            past.first_loss = float(loss) if math.isnan(past.first_loss) else past.first_loss
            past.largest_loss = max(past.largest_loss, abs(float(loss)))
        if len(past.early_updates) < EARLY and math.isfinite(self.updates):
            past.early_updates.append(self.updates)

    @property
    def early_update(self) -> float:
        """The largest of the early updates, relative to the weights; NaN if unknown."""
        return max(self.past.early_updates, default=math.nan)

    @property
    def first_update(self) -> float:
        """The first update, relative to the weights; NaN if unknown."""
        return self.past.early_updates[0] if self.past.early_updates else math.nan

    @property
    def output_rms(self) -> float:
        """The root mean square of the last layer's outputs; NaN if unknown."""
        mean, std = (
            np.ma.filled(getattr(self.measured, f"activation_{name}")[-1:], np.nan) for name in ("mean", "std")
        )
        return float(np.hypot(mean, std)[0])

    def _median(self, values: NDArray[np.float64]) -> float:
        """Return the median over the trained matrices for which a value is known; NaN without any."""
        known = self.matrices & ~np.ma.getmaskarray(values)
        numbers = np.ma.getdata(values)[known]
        numbers = numbers[np.isfinite(numbers)]
        return float(np.median(numbers)) if len(numbers) else math.nan

    def verdict(
        self,
        kind: VerdictKind,
        words: str,
        cures: Iterable[Cure] = (),
        *,
        field: str = "grad_norm",
        where: NDArray[np.bool_] | None = None,
        value: float = math.nan,
        bound: float | None = None,
    ) -> Verdict:
        """Make a verdict whose message begins with its kind."""
        if where is None:
            where = np.zeros(len(self.layers), dtype=bool)
        evidence = Evidence(tuple(np.flatnonzero(where).tolist()), field, np.float64(value), bound)
        return Verdict(kind, f"{kind}: {words}", tuple(cures), (evidence,))

    def label(self, layer: int) -> str:
        """Name a layer."""
        return self.layers[layer].label

    def names(self, where: NDArray[np.bool_]) -> str:
        """Name the first few of some layers."""
        found = [self.layers[index].name for index in np.flatnonzero(where).tolist()]
        more = len(found) - MAX_NAMES
        return ", ".join(found[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")

    def lasting(self, condition: Callable[[LayerMeasurements, Observations], bool]) -> bool:
        """Whether something holds in all of the last measurements, as many as must agree."""
        recent = self.past.recent
        return len(recent) >= PERSISTENCE and all(condition(*entry) for entry in recent)

    def lasting_values(self, name: str, fill: float) -> NDArray[np.float64] | None:
        """Return a field of the last measurements, (measurements, layers), with `fill` where it is unknown."""
        if len(self.past.recent) < PERSISTENCE:
            return None
        rows = [np.ma.filled(getattr(measured, name), fill) for measured, _ in self.past.recent]
        return np.where(self.is_trained, np.array(rows), fill)

    @property
    def is_failing(self) -> bool:
        """Whether nothing was learned in the time that it takes, or nobody tells the loss."""
        return self.learning.has_failed or self.learning.trend == "unknown"

    @property
    def fact(self) -> str:
        """What the losses say, as the end of a sentence."""
        learning = self.learning
        if learning.trend == "unknown":
            return ""
        if learning.trend == "diverging":
            return f"; the loss went from {learning.initial:.3g} to {learning.now:.3g}"
        if learning.knows_guess:
            return (
                f"; after {learning.step} steps the loss is {learning.now:.3g}, that of guessing {learning.guess:.3g}"
            )
        return f"; after {learning.step} steps the loss is {learning.now:.3g}, at the beginning {learning.initial:.3g}"


# facts about the script: they hold whatever the loss does


def _non_finite(case: _Case) -> Verdict | None:
    measured = case.measured
    extremes = (np.ma.filled(norms, 0.0) for norms in (measured.grad_norm_min, measured.grad_norm_max))
    broken = ~np.all([np.isfinite(norms) for norms in extremes], axis=0) & case.is_trained
    is_lost = case.learning.trend != "unknown" and not math.isfinite(case.learning.now)
    if not broken.any() and not is_lost:
        return None
    # a GradScaler looks for its scale by steps that overflow, and are not taken
    if case.seen.has_scaler and not case.lasting(lambda entry, _: not np.isfinite(entry.grad_norm_max).all()):
        return None
    if case.past.broken is None:
        case.past.broken = _first_non_finite(case, broken)
    return case.past.broken


def _first_non_finite(case: _Case, broken: NDArray[np.bool_]) -> Verdict:
    past, advice = case.past, case.advice
    outputs = np.ma.filled(case.measured.activation_mean, 0.0)
    forward = ~np.isfinite(outputs)
    signals = ~np.isfinite(np.ma.filled(case.measured.delta_norm, 0.0))
    first = int(np.argmax(broken)) if broken.any() else len(case.layers) - 1
    has_grown = past.largest_norm > BOUNDS["exploding"].value * max(past.first_norm, 1e-30)
    has_grown |= past.largest_loss > BOUNDS["exploding"].value * max(abs(case.learning.initial), 1e-30)
    grown = f"the gradient norm was {past.largest_norm:.1e}, and is NaN or ∞ now"
    if (found := _exploded(case, grown)) is not None:
        return found
    if case.early_update > BOUNDS["rate-too-large"].value:
        cures = advice.smaller_rate(case.first_update)
        return case.verdict("rate-too-large", grown, cures, field="grad_norm_max", where=broken)
    if has_grown or past.largest_norm > BOUNDS["exploding norm"].value:
        return case.verdict("exploding", grown, advice.against_explosion(first), field="grad_norm_max", where=broken)
    if forward.any():
        where = f"the outputs of {case.label(int(np.argmax(forward)))} are the first that are NaN or ∞"
    elif signals.any() or broken.any():
        last = int(np.flatnonzero(signals if signals.any() else broken)[-1])
        where = f"all outputs are finite, and the gradient is NaN or ∞ from {case.label(last)} backward"
        if last == int(np.flatnonzero(case.is_trained)[-1]):
            where = f"all outputs are finite, and the gradient of {case.label(last)}, next to the loss, is NaN or ∞"
    else:
        where = "the loss is NaN or ∞"
    sound = f" (it was {past.largest_norm:.1g} at most before)" if past.largest_norm else ""
    cures = advice.against_non_finite(None if not forward.any() else int(np.argmax(forward)))
    return case.verdict("non-finite", where + sound, cures, field="grad_norm_max", where=broken)


def _exploded(case: _Case, words: str) -> Verdict | None:
    """Find a gradient that was too large from the start, whatever the rate, or that grew over time."""
    past, bound = case.past, BOUNDS["exploding"].value
    growth, layer = past.time_growth
    where = np.arange(len(case.layers)) == layer
    if growth > bound:
        words = f"in {case.label(layer)} the error signal grew {growth:.0e} times from the last time step to the first"
        cures = case.advice.against_explosion_in_time(layer)
        return case.verdict("exploding-in-time", words + case.fact, cures, where=where, value=growth, bound=bound)
    bound = BOUNDS["exploding norm"].value
    if past.first_norm > bound and not case.seen.is_adaptive:
        layer = past.first_layer
        where = np.arange(len(case.layers)) == layer
        words = f"the gradient norm of {case.label(layer)} was {past.first_norm:.1e} at the first step; {words}"
        runs_over_time = case.layers[layer].kind in RECURRENT
        kind: VerdictKind = "exploding-in-time" if runs_over_time else "exploding"
        against = case.advice.against_explosion_in_time if runs_over_time else case.advice.against_explosion
        return case.verdict(kind, words + case.fact, against(layer), where=where, value=past.first_norm, bound=bound)
    return None


def _unregistered(case: _Case) -> Verdict | None:
    if not case.lasting(lambda _, seen: bool(seen.unregistered)):
        return None
    names = case.seen.unregistered
    listed = ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
    words = f"{listed}: the model has them, but parameters() does not, so that no optimizer trains them"
    return case.verdict("unregistered", words, case.advice.register(names), field="parameters", value=len(names))


def _not_connected(case: _Case) -> Verdict | None:
    ties = case.ties
    cut = np.array([tie == "cut" for tie in ties])
    unused = np.array([tie == "unused" for tie in ties])
    if not case.lasting(lambda _, seen: any(tie in ("cut", "unused") for tie in seen.ties)):
        return None
    if cut.any():
        words = f"no gradient comes back to {case.names(cut)}: a detach(), .data or no_grad() lies above"
        return case.verdict("not-connected", words, case.advice.connect(case.names(cut)), where=cut)
    matrices = np.array([layer.is_matrix for layer in case.layers])
    share = (unused & matrices).sum() / max(1, matrices.sum())
    if unused.any() and share > MAX_UNUSED and case.learning.trend != "starting" and not case.learning.is_learning:
        words = f"the forward pass does not use {case.names(unused)}"
        return case.verdict("not-connected", words, case.advice.use(case.names(unused)), where=unused)
    return None


def _not_in_optimizer(case: _Case) -> Verdict | None:
    forgotten = np.array([tie == "forgotten" for tie in case.ties])
    if not forgotten.any() or not case.lasting(lambda _, seen: "forgotten" in seen.ties):
        return None
    kept = np.flatnonzero(case.is_trained & np.array([layer.is_matrix for layer in case.layers]))
    last = int(np.flatnonzero(forgotten)[-1])
    # a head trained on a larger backbone that stays as it is: on purpose, unless it learns nothing
    is_head = len(kept) == 1 or 0 < len(kept) < forgotten.sum()
    if is_head and last < kept[0] and not case.learning.has_failed:
        return None
    words = f"{case.names(forgotten)} get a gradient, but are not in the optimizer: nothing changes them"
    return case.verdict("not-in-optimizer", words, case.advice.join_optimizer(), where=forgotten)


def _accumulates(case: _Case) -> Verdict | None:
    if not case.lasting(lambda _, seen: seen.accumulates):
        return None
    words = "the gradient of the last update is still there when the next one is made: each adds to all before"
    return case.verdict("gradients-accumulate", words, case.advice.zero_grad(), value=case.past.largest_norm)


def _output_mismatch(case: _Case) -> Verdict | None:
    function = case.seen.loss_function
    if function is None or case.step < PERSISTENCE:
        return None
    found = function.activations
    nearest = next((name for name in found if name not in ("LogSoftmax", "log", "LogSigmoid")), "")
    words = ""
    if "Softmax" in found and function.softmax_units == 1:
        words = "the output is a softmax over one unit, which is always 1"
    elif function.kind == "nll" and "LogSoftmax" in found and nearest in ("Softmax", "Sigmoid"):
        words = (
            f"{nearest.lower()} before cross-entropy, which has a softmax of its own: its inputs lie between 0 and 1, "
            "so that no answer can be sure"
        )
    elif function.kind == "nll" and not {"LogSoftmax", "log"} & set(found):
        words = "nll_loss takes the logarithm of probabilities, and is given " + (
            "probabilities" if nearest in ("Softmax", "Sigmoid") else "scores"
        )
    elif function.kind == "bce_with_logits" and nearest in ("Sigmoid", "Softmax"):
        words = f"{nearest.lower()} before binary_cross_entropy_with_logits, which has a sigmoid of its own"
    if not words:
        return _out_of_range(case, nearest)
    return case.verdict("output-mismatch", words, case.advice.fit_output(nearest), field="output")


def _out_of_range(case: _Case, activation: str) -> Verdict | None:
    """Find targets that an output's activation cannot give."""
    function, targets = case.seen.loss_function, case.seen.targets
    span = {"Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "ReLU": (0.0, math.inf)}.get(activation)
    if targets is None or span is None or function is None or function.kind in ("bce", "bce_with_logits"):
        return None
    low, high = span
    room = 0.1 * (high - low if math.isfinite(high) else math.sqrt(targets.mean_square))
    if targets.least >= low - room and targets.greatest <= high + room:
        return None
    if case.learning.is_learning and case.learning.gained > 0.8:
        return None
    words = (
        f"the output's {activation} gives {low:g} to {high:g}, and the targets go from {targets.least:.3g} to "
        f"{targets.greatest:.3g}"
    )
    return case.verdict("output-mismatch", words, case.advice.fit_output(activation), field="output")


def _broadcast(case: _Case) -> Verdict | None:
    function = case.seen.loss_function
    if function is None or function.broadcast is None:
        return None
    outputs, difference = function.broadcast
    words = (
        f"the loss compares outputs of shape {_shape(outputs)} with targets of another shape, and makes "
        f"{_shape(difference)} of them: every output is held against every target"
    )
    return case.verdict("shapes-broadcast", words, case.advice.match_shapes(), field="output")


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _batch_too_small(case: _Case) -> Verdict | None:
    values = case.seen.norm_values
    most = BOUNDS["batch-too-small"].value * (4 if case.learning.has_failed else 1)
    if values is None or values > most or not case.lasting(lambda _, seen: (seen.norm_values or most + 1) <= most):
        return None
    words = f"BatchNorm takes mean and variance of {values} values"
    return case.verdict(
        "batch-too-small", words, case.advice.another_norm(), field="batch", value=values,
        bound=BOUNDS["batch-too-small"].value,
    )  # fmt: skip


def _zero_weights(case: _Case) -> Verdict | None:
    if case.learning.is_learning:
        return None
    norms, gradients = case.lasting_values("weight_norm", 1.0), case.lasting_values("grad_norm", 1.0)
    if norms is None or gradients is None:
        return None
    zero = case.matrices & (norms == 0).all(axis=0) & (gradients == 0).all(axis=0)
    if zero.any():
        words = f"all weights of {case.names(zero)} are 0: units that are alike get the same gradient, here 0"
        return case.verdict("zero-weights", words, case.advice.start_at_random(), field="weight_norm", where=zero)
    alike = case.matrices & np.isin(np.arange(len(case.layers)), case.past.equal_weights) & (norms > 0).all(axis=0)
    if alike.any() and case.learning.trend != "starting":
        words = f"all weights of {case.names(alike)} began as the same number: units that begin alike stay alike"
        return case.verdict("zero-weights", words, case.advice.start_at_random(), field="weight_norm", where=alike)
    return None


# is anything learned?


def _learns(case: _Case) -> Verdict | None:
    learning = case.learning
    if not learning.is_learning:
        return None
    lost, bound = learning.validation_lost, BOUNDS["overfitting"].value
    if lost > bound:
        words = (
            f"the loss still falls, but the validation accuracy is {100 * lost:.0f} points below its best: what is "
            "learned now does not carry over"
        )
        return case.verdict(
            "overfitting",
            words,
            case.advice.against_overfitting(),
            field="validation_accuracy",
            value=lost,
            bound=bound,
        )
    if learning.trend == "converged":
        words = f"the loss went from {learning.initial:.3g} to {learning.now:.3g}, and stays there"
        return case.verdict("converged", words)
    return _healthy(case)


def _healthy(case: _Case) -> Verdict:
    learning = case.learning
    words = f"the loss went from {learning.initial:.3g} to {learning.now:.3g}"
    if (weakest := _weakest(case)) is not None:
        layer, ratio = weakest
        words += f"; {case.label(layer)} gets the least gradient, {ratio:.2g} of what the layers next to the loss get"
    return case.verdict("healthy", words + _frozen_note(case))


def _frozen_note(case: _Case) -> str:
    frozen = np.array([tie == "frozen" for tie in case.ties])
    return f"; {frozen.sum()} of {len(case.layers)} layers are frozen" if frozen.any() else ""


def _weakest(case: _Case) -> tuple[int, float] | None:
    where = np.flatnonzero(case.matrices & case.is_known)
    if len(where) < 2 or not case.reference > 0:
        return None
    ratios = case.norms[where] / case.reference
    weakest = int(np.argmin(ratios))
    return int(where[weakest]), float(ratios[weakest])


def _frozen_on_purpose(case: _Case) -> Verdict | None:
    if case.is_trained.any() or "frozen" not in case.ties:
        return None
    return case.verdict("frozen-on-purpose", "no layer takes part in the training")


def _certain(case: _Case) -> Verdict | None:
    """Find what cannot go away by itself, before the loss can say anything."""
    if case.learning.trend not in ("starting", "falling"):
        return None
    weakest, dead = _weakest(case), case.lasting_values("dead", 0.0)
    if weakest and 0 < weakest[1] < BOUNDS["vanished"].value and not case.seen.is_adaptive:
        return _vanishing(case)
    if dead is not None and (dead.min(axis=0) == 1).any():
        return _dead(case)
    learning, function = case.learning, case.seen.loss_function
    if function is not None and function.kind == "nll" and learning.trend == "falling" and learning.knows_guess:
        if learning.now > FAR * learning.guess:
            return _exploding(case, is_certain=True)
        if learning.now > TOO_SURE * learning.guess:
            return _saturated(case)
    return None


def _starting(case: _Case) -> Verdict | None:
    learning = case.learning
    if learning.trend not in ("starting", "falling"):
        return None
    if learning.trend == "falling":
        words = (
            f"the loss falls, and is {learning.now:.3g} after {learning.step} steps ({learning.initial:.3g} at first)"
        )
    else:
        words = f"{learning.step} steps are too few to say whether anything is learned"
    weakest = _weakest(case)
    if weakest and weakest[1] < BOUNDS["vanishing"].value:
        words += f"; watch {case.label(weakest[0])}, which gets {weakest[1]:.0e} of the gradient next to the loss"
    return case.verdict("starting", words)


# nothing is learned: why?


def _padding(case: _Case) -> Verdict | None:
    share = case.seen.padding_share
    if not case.lasting(lambda _, seen: seen.padding_share > 0.999):
        return None
    words = (
        f"{100 * share:.0f} % of the embedding's inputs are its padding index, whose row is fixed and has no gradient"
    )
    return case.verdict("gradients-tiny", words + case.fact, case.advice.fill_padding(), field="inputs", value=share)


def _underflow(case: _Case) -> Verdict | None:
    if not case.lasting(lambda _, seen: seen.is_half):
        return None
    zero, bound = case.seen.zero_share, BOUNDS["underflow"].value
    nothing = case.matrices & (case.norms == 0)
    if not (zero > bound or nothing.any()):
        return None
    words = f"the error signal is computed in float16 without a GradScaler, and {100 * zero:.0f} % of it are 0"
    return case.verdict(
        "underflow",
        words + case.fact,
        case.advice.scale_loss(),
        field="delta_norm",
        where=nothing,
        value=zero,
        bound=bound,
    )


def _clipped(case: _Case) -> Verdict | None:
    bound = BOUNDS["clipped-too-hard"].value
    if not case.learning.has_failed or not case.lasting(lambda _, seen: seen.clip_factor < bound):
        return None
    if not case.updates < USUAL_UPDATE / 10:
        return None
    factor = case.seen.clip_factor
    words = (
        f"clipping leaves {factor:.0e} of the gradient, and an update moves the weights by {case.updates:.0e} of their "
        f"size (usual: about {USUAL_UPDATE:.0e})"
    )
    return case.verdict(
        "clipped-too-hard", words + case.fact, case.advice.looser_clip(), field="clip_factor", value=factor, bound=bound
    )


def _decay(case: _Case) -> Verdict | None:
    seen, bound = case.seen, BOUNDS["weight-decay-dominates"].value
    if not seen.weight_decay > 0 or case.learning.trend in ("unknown", "starting") or case.learning.gained > 0.9:
        return None
    if not case.learning.has_failed and not seen.learning_rate * seen.weight_decay * MEMORY > 1:
        return None
    weights = np.ma.filled(case.measured.weight_norm, np.nan)
    if seen.is_decoupled:
        moved = np.ma.filled(case.measured.update_ratio, np.nan) * weights
        share = seen.learning_rate * seen.weight_decay * weights / moved * 2
    else:
        share = seen.weight_decay * weights / case.norms
    share = share[case.matrices & np.isfinite(share)]
    if not len(share) or not np.median(share) > bound:
        return None
    words = (
        f"weight decay of {seen.weight_decay:g} pulls the weights to 0 {np.median(share):.2g} times as hard as the "
        "gradient moves them"
    )
    return case.verdict(
        "weight-decay-dominates", words + case.fact, case.advice.less_decay(), field="weight_norm",
        value=float(np.median(share)), bound=bound,
    )  # fmt: skip


def _rate_replaces_weights(case: _Case) -> Verdict | None:
    """Find a rate whose first updates were larger than the weights, and threw the loss up: the start is lost."""
    learning, early = case.learning, case.early_update
    is_thrown = case.past.largest_loss > 2 * abs(case.past.first_loss)
    if not (early > 1 and case.seen.is_adaptive and is_thrown) or learning.gained > 0.9 or learning.trend == "starting":
        return None
    return _rate_verdict(case)


def _rate_too_large(case: _Case) -> Verdict | None:
    learning, early = case.learning, case.early_update
    if not learning.has_failed:
        return None
    bound = BOUNDS["rate-too-large"].value
    is_unsteady = learning.trend in ("oscillating", "diverging") and early > bound / 10
    if early > bound or is_unsteady or case.updates > SUSTAINED:
        return _exploded(case, f"it is {case.past.largest_norm:.1e} at most") or _rate_verdict(case)
    return None


def _rate_verdict(case: _Case) -> Verdict:
    early, bound = case.early_update, BOUNDS["rate-too-large"].value
    if early > bound or not case.updates > SUSTAINED:
        words = (
            f"the first updates moved the weights by {early:.2g} of their size, {early / USUAL_UPDATE:.0f} times more "
            "than usual"
        )
    else:
        early = case.updates
        words = f"an update moves the weights by {early:.2g} of their size, {early / USUAL_UPDATE:.0f} times the usual"
    dead = case.lasting_values("dead", 0.0)
    where = np.zeros(len(case.layers), dtype=bool)
    if dead is not None and (where := dead.min(axis=0) > BOUNDS["dead"].value).any():
        words += f", and killed the units of {case.names(where)}"
    cures = case.advice.smaller_rate(min(early, case.first_update))
    return case.verdict(
        "rate-too-large", words + case.fact, cures, field="update_ratio", where=where, value=early, bound=bound
    )


def _inputs(case: _Case) -> Verdict | None:
    rms, bound = case.seen.input_rms, BOUNDS["inputs-out-of-scale"].value
    if case.seen.is_normalized or not rms > bound:
        return None
    words = f"the inputs have the root mean square {rms:.3g}, where initializations assume about 1"
    shares = case.lasting_values("saturated", 0.0)
    flat = 0.0 if shares is None else shares.min(axis=0)[0]
    if flat > BOUNDS["saturated"].value and not case.learning.gained > 0.9:
        words += f": {100 * flat:.0f} % of the units of {case.label(0)} are on the flat ends of their activation"
    elif not case.learning.has_failed:
        return None
    return case.verdict(
        "inputs-out-of-scale",
        words + case.fact,
        case.advice.standardize_inputs(),
        field="inputs",
        value=rms,
        bound=bound,
    )


def _targets(case: _Case) -> Verdict | None:
    targets, bound = case.seen.targets, BOUNDS["targets-out-of-scale"].value
    if targets is None or not case.learning.has_failed:
        return None
    rms = math.sqrt(targets.mean_square)
    if not rms > bound * max(1.0, case.output_rms):
        return None
    words = (
        f"the targets go from {targets.least:.3g} to {targets.greatest:.3g}, and the outputs are about "
        f"{case.output_rms:.2g}"
    )
    return case.verdict(
        "targets-out-of-scale",
        words + case.fact,
        case.advice.standardize_targets(),
        field="targets",
        value=rms,
        bound=bound,
    )


def _dead(case: _Case) -> Verdict | None:
    shares = case.lasting_values("dead", 0.0)
    bound = BOUNDS["dead"].value
    if shares is None or not ((least := shares.min(axis=0)) > bound).any():
        return None
    worst = int(np.argmax(least))
    words = f"in {case.label(worst)}, {100 * least[worst]:.0f} % of the units are 0 for the whole batch"
    cures = case.advice.against_dead_units(case.early_update)
    return case.verdict(
        "dead", words + case.fact, cures, field="dead", where=least > bound, value=least[worst], bound=bound
    )


def _in_time(case: _Case) -> Verdict | None:
    for layer, profile in case.seen.through_time.items():
        known = profile[np.isfinite(profile)]
        if len(known) < 2 or not known.max() > 0:
            continue
        first, last = float(profile[0]), float(profile[-1])
        length = len(profile)
        if first < BOUNDS["vanishing"].value * max(last, known.max()):
            words = (
                f"in {case.label(layer)} the error signal at the first of {length} time steps is "
                f"{first / max(last, known.max()):.0e} of that at the last"
            )
            cures = case.advice.against_vanishing_in_time(layer, length)
            return case.verdict(
                "vanishing-in-time",
                words + case.fact,
                cures,
                where=np.arange(len(case.layers)) == layer,
                value=first / known.max(),
            )
        if first > BOUNDS["exploding"].value * last:
            words = (
                f"in {case.label(layer)} the error signal at the first of {length} time steps is "
                f"{first / last if last else math.inf:.0e} times that at the last"
            )
            cures = case.advice.against_explosion_in_time(layer)
            return case.verdict(
                "exploding-in-time",
                words + case.fact,
                cures,
                where=np.arange(len(case.layers)) == layer,
                value=first / last,
            )
    return None


def _saturated(case: _Case) -> Verdict | None:
    """Find layers on the flat ends of their activation, if they are the most of those that have any."""
    known = case.is_trained & ~np.ma.getmaskarray(case.measured.saturated)
    shares = np.ma.getdata(case.measured.saturated)[known]
    return _saturated_somewhere(case) if len(shares) and np.median(shares) > BOUNDS["saturated"].value else None


def _saturated_somewhere(case: _Case) -> Verdict | None:
    shares = case.lasting_values("saturated", 0.0)
    bound = BOUNDS["saturated"].value
    if shares is None:
        return None
    least = shares.min(axis=0)
    if case.seen.loss_function is not None and len(least):  # the output's own activation is judged with the loss
        least[-1] = 0.0
    if not (least > bound).any():
        return None
    worst = int(np.argmax(least))
    words = f"in {case.label(worst)}, {100 * least[worst]:.0f} % of the units are on the flat ends of their activation"
    cures = case.advice.against_saturation(worst)
    return case.verdict(
        "saturated", words + case.fact, cures, field="saturated", where=least > bound, value=least[worst], bound=bound
    )


def _vanished(case: _Case) -> Verdict | None:
    zero = case.matrices & case.is_known & (case.norms == 0)
    if not zero.any():
        return None
    known = case.matrices & case.is_known
    if zero.sum() == known.sum():
        words = "no layer gets a gradient: it is exactly 0 everywhere"
    elif zero.sum() == 1:
        words = f"{case.label(int(np.argmax(zero)))} gets a gradient of exactly 0"
    else:
        words = f"{zero.sum()} layers, {case.label(int(np.argmax(zero)))} the first, get a gradient of exactly 0"
    return case.verdict("vanished", words + case.fact, case.advice.against_vanishing(), where=zero, value=0.0)


def _vanishing(case: _Case) -> Verdict | None:
    bound, weakest = BOUNDS["vanishing"].value, _weakest(case)
    if weakest is None:
        return None
    if not weakest[1] < bound:  # a short network: by what each layer leaves
        between = (case.matrices & case.is_known).sum() - 1
        bound = PER_LAYER**between
        if between < 2 or not case.learning.has_failed or not weakest[1] < bound:
            return None
    where = case.matrices & case.is_known & (case.norms < bound * case.reference)
    # under an optimizer that divides by the gradient's size, only what nothing is learned from
    if case.seen.is_adaptive and case.learning.trend == "unknown":
        return None
    layer, ratio = weakest
    words = f"{case.label(layer)} gets {ratio:.0e} of the gradient that the layers next to the loss get"
    cures = case.advice.against_vanishing()
    return case.verdict("vanishing", words + case.fact, cures, where=where, value=ratio, bound=bound)


def _exploding(case: _Case, is_certain: bool = False) -> Verdict | None:
    norms, known = case.norms, case.matrices & case.is_known
    if not known.any():
        return None
    largest = int(np.argmax(np.where(known, norms, 0.0)))
    cures = case.advice.against_explosion(largest)
    bound = BOUNDS["exploding norm"].value
    if norms[largest] > bound and (is_certain or not case.seen.is_adaptive):
        words = f"the gradient norm of {case.label(largest)} is {norms[largest]:.0e}"
        where = known & (norms > bound)
        return case.verdict("exploding", words + case.fact, cures, where=where, value=norms[largest], bound=bound)
    bound = BOUNDS["exploding"].value
    if norms[largest] > bound * case.reference > 0:
        ratio = norms[largest] / case.reference
        words = f"{case.label(largest)} gets {ratio:.0e} times the gradient that the layers next to the loss get"
        where = known & (norms > bound * case.reference)
        return case.verdict("exploding", words + case.fact, cures, where=where, value=ratio, bound=bound)
    return None


def _collapsed(case: _Case) -> Verdict | None:
    bound = BOUNDS["collapsed"].value
    if not case.learning.has_failed or not case.lasting(lambda _, seen: seen.sample_spread < bound):
        return None
    spread = case.seen.sample_spread
    words = f"the last layer is given nearly the same for every sample: they differ by {spread:.0e} of their size"
    return case.verdict(
        "collapsed", words + case.fact, case.advice.against_collapse(), field="inputs", value=spread, bound=bound
    )


def _tiny(case: _Case) -> Verdict | None:
    bound = BOUNDS["gradients-tiny"].value
    known = case.matrices & case.is_known
    if not case.learning.has_failed or not known.any():
        return None
    sizes = case.norms[known] / np.ma.filled(case.measured.weight_norm, np.nan)[known]
    largest = float(np.fmax.reduce(sizes))
    if case.seen.is_adaptive or not largest < bound:
        return None
    words = f"the gradient of every layer is tiny, {case.norms[known].max():.0e} at most, {largest:.0e} of the weights"
    return case.verdict(
        "gradients-tiny", words + case.fact, case.advice.against_tiny_gradients(), where=known,
        value=largest, bound=bound,
    )  # fmt: skip


def _rate_too_small(case: _Case) -> Verdict | None:
    bound = BOUNDS["rate-too-small"].value
    if not case.learning.has_failed or not case.updates < bound:
        return None
    words = (
        f"an update moves the weights by {case.updates:.0e} of their size, "
        f"{USUAL_UPDATE / max(case.updates, 1e-30):.0f} times less than usual"
    )
    cures = case.advice.larger_rate(case.updates)
    if case.seen.learning_rate < case.past.highest_rate / SCHEDULED:
        cures = case.advice.end_schedule(case.past.highest_rate)
    return case.verdict(
        "rate-too-small",
        words + case.fact,
        cures,
        field="update_ratio",
        where=case.matrices,
        value=case.updates,
        bound=bound,
    )


def _frozen(case: _Case) -> Verdict | None:
    ratios = case.lasting_values("update_ratio", np.inf)
    bound = BOUNDS["frozen"].value
    if ratios is None or not (where := case.matrices & (ratios.max(axis=0) < bound)).any():
        return None
    slowest = int(np.argmin(np.where(where, ratios.max(axis=0), np.inf)))
    value = float(ratios.max(axis=0)[slowest])
    words = f"an update moves the weights of {case.label(slowest)} by {value:.0e} of their size"
    cures = case.advice.larger_rate(value)
    return case.verdict("frozen", words + case.fact, cures, field="update_ratio", where=where, value=value, bound=bound)


def _unsteady(case: _Case) -> Verdict | None:
    learning = case.learning
    # a loss whose least value is unknown may well swing, as those of adversaries do
    if learning.trend not in ("oscillating", "diverging") or not learning.knows_guess:
        return None
    words = (
        f"the loss jumps by {100 * learning.swing:.0f} % from one step to the next"
        if learning.trend == "oscillating"
        else "the loss grows"
    )
    cures = case.advice.smaller_rate(case.first_update)
    return case.verdict(learning.trend, words + case.fact, cures, field="loss", value=learning.swing)


def _not_learning(case: _Case) -> Verdict | None:
    learning = case.learning
    if not learning.has_failed:
        return None
    if not learning.knows_guess:
        now = learning.now
        words = f"the gradient reaches every layer; the loss stays at {now:.3g}, and what guessing gives is unknown"
        return case.verdict("healthy", words + _frozen_note(case))
    patience = PATIENCE_IN_TIME if case.seen.through_time else PATIENCE
    if learning.step < patience or learning.doubt > MAX_DOUBT:
        return case.verdict("starting", f"{learning.step} steps are few to say whether anything is learned{case.fact}")
    words = "the gradient reaches every layer, but nothing is learned"
    if math.isfinite(case.updates):
        words += f", with updates of {case.updates:.0e} of the weights"
    return case.verdict("not-learning", words + case.fact, case.advice.against_nothing(case.updates), field="loss",
                        value=case.learning.now)  # fmt: skip


def _nothing_found(case: _Case) -> Verdict:
    """The last answer, where nobody tells the loss."""
    if not case.is_known.any():
        return case.verdict("healthy", "nothing is found, as no layer's gradient is known")
    words = "the gradient reaches every layer"
    if (weakest := _weakest(case)) is not None:
        words += f"; {case.label(weakest[0])} gets the least, {weakest[1]:.2g} of what the layers next to the loss get"
    return case.verdict("healthy", words + "; whether it learns is unknown without a loss" + _frozen_note(case))


_CHECKS: tuple[Callable[[_Case], Verdict | None], ...] = (
    _non_finite,
    _unregistered,
    _not_connected,
    _not_in_optimizer,
    _accumulates,
    _output_mismatch,
    _broadcast,
    _batch_too_small,
    _zero_weights,
    _frozen_on_purpose,
    _rate_replaces_weights,
    _inputs,
    _decay,
    _learns,
    _certain,
    _starting,
    # from here on nothing is learned, or nobody tells the loss
    _padding,
    _underflow,
    _clipped,
    _rate_too_large,
    _targets,
    _dead,
    _in_time,
    _saturated,
    _vanished,
    _vanishing,
    _exploding,
    _saturated_somewhere,
    _tiny,
    _rate_too_small,
    _collapsed,
    _frozen,
    _unsteady,
    _not_learning,
    _nothing_found,
)
