"""Faults of a training script, which hold whatever its loss does."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.model_case import MAX_NAMES, Case
from engine.model_cures import RECURRENT
from engine.verdict import BOUNDS, PERSISTENCE, Verdict, VerdictKind

MAX_UNUSED = 0.2
"""The share of matrices that may be unused in the forward pass, as a pooler is, without a word."""


# facts about the script: they hold whatever the loss does


def non_finite(case: Case) -> Verdict | None:
    """Find a gradient or a loss that is NaN or ∞, and say where it began."""
    measured = case.measured
    extremes = (np.ma.filled(norms, 0.0) for norms in (measured.grad_norm_min, measured.grad_norm_max))
    broken = ~np.all([np.isfinite(norms) for norms in extremes], axis=0) & case.is_trained
    is_lost = case.learning.trend != "unknown" and not math.isfinite(case.learning.now)
    if not broken.any() and not is_lost:
        if case.past.broken is None:
            case.past.last_finite = case.step
        return None
    # a GradScaler looks for its scale by steps that overflow, and are not taken
    if case.seen.has_scaler and not case.lasting(lambda entry, _: not np.isfinite(entry.grad_norm_max).all()):
        return None
    if case.past.broken is None:
        case.past.broken_at = case.step
    is_traced = case.seen.origin is not None and not _has_broken_weights(case)
    if case.past.broken is None or (is_traced and not case.past.is_traced):
        case.past.is_traced = is_traced
        case.past.broken = _first_non_finite(case, broken)
    return case.past.broken


def _has_broken_weights(case: Case) -> bool:
    """Whether an update has broken the weights, so that the outputs say nothing of the cause."""
    return not np.isfinite(np.ma.filled(case.measured.weight_norm, 0.0)).all()


def _was_update(case: Case) -> bool:
    """Whether all was finite at the step before, but for the weights that its update left."""
    return _has_broken_weights(case) and case.past.last_finite == case.step - 1


def _when(case: Case) -> str:
    """Say at which step a number was first seen that is not finite, and since when it may have been so."""
    past, since = case.past, case.seen.broken_from
    words = f"first seen at step {past.broken_at}"
    if past.last_finite is not None:
        words += f" (last finite step {past.last_finite})"
    if since is not None and since < past.broken_at:
        words += f"; the first loss that is not finite is that of step {since}"
    return words


def _where(case: Case) -> str:
    """Say where it came from; "" if nobody has looked, or it is too late to see."""
    origin = case.seen.origin
    if _was_update(case):
        return "the update before it has made the weights NaN or ∞, of gradients that were finite"
    if _has_broken_weights(case):
        return "the weights are NaN or ∞ already, so that it cannot be seen any more where that came from"
    if origin is None:
        return ""
    module = origin.module or "the model"
    return {
        "inputs": "the inputs of the model hold NaN or ∞",
        "output": f"the output of {module} is the first that is NaN or ∞",
        "code": f"what {module} computes itself, between its modules, is the first that is NaN or ∞",
        "loss": "all outputs are finite, and the gradient that comes from the loss is NaN or ∞",
        "gradient": f"all outputs are finite, and the gradient is NaN or ∞ from {module} backward",
    }[origin.place]


def _first_non_finite(case: Case, broken: NDArray[np.bool_]) -> Verdict:
    past, advice = case.past, case.advice
    outputs = np.ma.filled(case.measured.activation_mean, 0.0)
    forward = ~np.isfinite(outputs)
    signals = ~np.isfinite(np.ma.filled(case.measured.delta_norm, 0.0))
    first = int(np.argmax(broken)) if broken.any() else len(case.layers) - 1
    has_grown = past.largest_norm > BOUNDS["exploding"].value * max(past.first_norm, 1e-30)
    has_grown |= past.largest_loss > BOUNDS["exploding"].value * max(abs(case.learning.initial), 1e-30)
    came_from, when = _where(case), _when(case)
    grown = f"the gradient norm was {past.largest_norm:.1e}, and is NaN or ∞ now, {when}"
    grown += f"; {came_from}" if came_from else ""
    if (found := exploded(case, grown)) is not None:
        return found
    if case.early_update > BOUNDS["rate-too-large"].value:
        cures = advice.smaller_rate(case.first_update)
        return case.verdict("rate-too-large", grown, cures, field="grad_norm_max", where=broken)
    if has_grown or past.largest_norm > BOUNDS["exploding norm"].value:
        return case.verdict("exploding", grown, advice.against_explosion(first), field="grad_norm_max", where=broken)
    if came_from:
        where = came_from
    elif forward.any():
        where = f"the outputs of {case.label(int(np.argmax(forward)))} are the first that are NaN or ∞"
    elif signals.any() or broken.any():
        last = int(np.flatnonzero(signals if signals.any() else broken)[-1])
        where = f"all outputs are finite, and the gradient is NaN or ∞ from {case.label(last)} backward"
        if last == int(np.flatnonzero(case.is_trained)[-1]):
            where = f"all outputs are finite, and the gradient of {case.label(last)}, next to the loss, is NaN or ∞"
    else:
        where = "the loss is NaN or ∞"
    sound = f" (the gradient norm was {past.largest_norm:.1g} at most before)" if past.largest_norm else ""
    layer = None if not forward.any() else int(np.argmax(forward))
    origin = None if _has_broken_weights(case) else case.seen.origin
    cures = advice.against_broken_update() if _was_update(case) else advice.against_non_finite(layer, origin)
    return case.verdict("non-finite", f"{where}{sound}; {when}", cures, field="grad_norm_max", where=broken)


def exploded(case: Case, words: str) -> Verdict | None:
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


def unregistered(case: Case) -> Verdict | None:
    """Find parameters that the optimizer cannot have."""
    if not case.lasting(lambda _, seen: bool(seen.unregistered)):
        return None
    names = case.seen.unregistered
    listed = ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
    words = f"{listed}: the model has them, but parameters() does not, so that no optimizer trains them"
    return case.verdict("unregistered", words, case.advice.register(names), field="parameters", value=len(names))


def not_connected(case: Case) -> Verdict | None:
    """Find layers that no gradient comes back to."""
    ties = case.ties
    cut = np.array([tie == "cut" for tie in ties])
    unused = np.array([tie == "unused" for tie in ties])
    if not case.lasting(lambda _, seen: any(tie in ("cut", "unused") for tie in seen.ties)):
        return None
    matrices = np.array([layer.is_matrix for layer in case.layers])
    is_settled = case.learning.trend == "starting" or case.learning.is_learning
    # a branch of the last block may lead nowhere, as WaveNet's does
    if cut.any() and ((cut & matrices).sum() > MAX_UNUSED * matrices.sum() or not is_settled):
        words = f"no gradient comes back to {case.names(cut)}: a detach(), .data or no_grad() lies above"
        return case.verdict("not-connected", words, case.advice.connect(case.names(cut)), where=cut)
    share = (unused & matrices).sum() / max(1, matrices.sum())
    if unused.any() and share > MAX_UNUSED and case.learning.trend != "starting" and not case.learning.is_learning:
        words = f"the forward pass does not use {case.names(unused)}"
        return case.verdict("not-connected", words, case.advice.use(case.names(unused)), where=unused)
    return None


def not_in_optimizer(case: Case) -> Verdict | None:
    """Find layers whose gradient nobody uses."""
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


def accumulates(case: Case) -> Verdict | None:
    """Find gradients that are never set to 0."""
    if not case.lasting(lambda _, seen: seen.accumulates):
        return None
    words = "the gradient of the last update is still there when the next one is made: each adds to all before"
    return case.verdict("gradients-accumulate", words, case.advice.zero_grad(), value=case.past.largest_norm)


def output_mismatch(case: Case) -> Verdict | None:
    """Find an output that does not fit the loss."""
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


def _out_of_range(case: Case, activation: str) -> Verdict | None:
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


def broadcast(case: Case) -> Verdict | None:
    """Find outputs and targets of different shapes."""
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


def batch_too_small(case: Case) -> Verdict | None:
    """Find a BatchNorm that has too few values."""
    values = case.seen.norm_values
    most = BOUNDS["batch-too-small"].value * (4 if case.learning.has_failed else 1)
    if values is None or values > most or not case.lasting(lambda _, seen: (seen.norm_values or most + 1) <= most):
        return None
    words = f"BatchNorm takes mean and variance of {values} values"
    return case.verdict(
        "batch-too-small", words, case.advice.another_norm(), field="batch", value=values,
        bound=BOUNDS["batch-too-small"].value,
    )  # fmt: skip


def zero_weights(case: Case) -> Verdict | None:
    """Find weights that are all 0, or all the same."""
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
