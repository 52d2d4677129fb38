"""What keeps a model from learning: the causes, each found by its own bound, in the order in which they count."""

import math
from collections.abc import Callable

import numpy as np

from engine import script_faults
from engine.model_case import Case, last_signal
from engine.verdict import BOUNDS, USUAL_UPDATE, Verdict

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


# is anything learned?


def _learns(case: Case) -> Verdict | None:
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


def _healthy(case: Case) -> Verdict:
    learning = case.learning
    words = f"the loss went from {learning.initial:.3g} to {learning.now:.3g}"
    if (weakest := case.weakest) is not None:
        layer, ratio = weakest
        words += f"; {case.label(layer)} gets the least gradient, {ratio:.2g} of what the layers next to the loss get"
    return case.verdict("healthy", words + _frozen_note(case))


def _frozen_note(case: Case) -> str:
    frozen = np.array([tie == "frozen" for tie in case.ties])
    return f"; {frozen.sum()} of {len(case.layers)} layers are frozen" if frozen.any() else ""


def _frozen_on_purpose(case: Case) -> Verdict | None:
    if case.is_trained.any() or "frozen" not in case.ties:
        return None
    return case.verdict("frozen-on-purpose", "no layer takes part in the training")


def _certain(case: Case) -> Verdict | None:
    """Find what cannot go away by itself, before the loss can say anything."""
    if case.learning.trend not in ("starting", "falling"):
        return None
    weakest, dead = case.weakest, case.lasting_values("dead", 0.0)
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


def _starting(case: Case) -> Verdict | None:
    learning = case.learning
    if learning.trend not in ("starting", "falling"):
        return None
    if learning.trend == "falling":
        words = (
            f"the loss falls, and is {learning.now:.3g} after {learning.step} steps ({learning.initial:.3g} at first)"
        )
    else:
        words = f"{learning.step} steps are too few to say whether anything is learned"
    weakest = case.weakest
    if weakest and weakest[1] < BOUNDS["vanishing"].value:
        words += f"; watch {case.label(weakest[0])}, which gets {weakest[1]:.0e} of the gradient next to the loss"
    return case.verdict("starting", words)


# nothing is learned: why?


def _padding(case: Case) -> Verdict | None:
    share = case.seen.padding_share
    if not case.lasting(lambda _, seen: seen.padding_share > 0.999):
        return None
    words = (
        f"{100 * share:.0f} % of the embedding's inputs are its padding index, whose row is fixed and has no gradient"
    )
    return case.verdict("gradients-tiny", words + case.fact, case.advice.fill_padding(), field="inputs", value=share)


def _underflow(case: Case) -> Verdict | None:
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


def _clipped(case: Case) -> Verdict | None:
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


def _decay(case: Case) -> Verdict | None:
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


def _rate_replaces_weights(case: Case) -> Verdict | None:
    """Find a rate whose first updates were larger than the weights, and threw the loss up: the start is lost."""
    learning, early = case.learning, case.early_update
    is_thrown = case.past.largest_loss > 2 * abs(case.past.first_loss)
    if not (early > 1 and case.seen.is_adaptive and is_thrown) or learning.gained > 0.9 or learning.trend == "starting":
        return None
    return _rate_verdict(case)


def _rate_too_large(case: Case) -> Verdict | None:
    learning, early = case.learning, case.early_update
    if not learning.has_failed:
        return None
    bound = BOUNDS["rate-too-large"].value
    is_unsteady = learning.trend in ("oscillating", "diverging") and early > bound / 10
    if early > bound or is_unsteady or case.updates > SUSTAINED:
        return script_faults.exploded(case, f"it is {case.past.largest_norm:.1e} at most") or _rate_verdict(case)
    return None


def _rate_verdict(case: Case) -> Verdict:
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


def _inputs(case: Case) -> Verdict | None:
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


def _targets(case: Case) -> Verdict | None:
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


def _dead(case: Case) -> Verdict | None:
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


def _in_time(case: Case) -> Verdict | None:
    for layer, profile in case.seen.through_time.items():
        known = profile[np.isfinite(profile)]
        if len(known) < 2 or not known.max() > 0:
            continue
        first, last = float(profile[0]), last_signal(known)
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
                f"{first / last:.0e} times that at the last"
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


def _saturated(case: Case) -> Verdict | None:
    """Find layers on the flat ends of their activation, if they are the most of those that have any."""
    known = case.is_trained & ~np.ma.getmaskarray(case.measured.saturated)
    shares = np.ma.getdata(case.measured.saturated)[known]
    return _saturated_somewhere(case) if len(shares) and np.median(shares) > BOUNDS["saturated"].value else None


def _saturated_somewhere(case: Case) -> Verdict | None:
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


def _vanished(case: Case) -> Verdict | None:
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


def _vanishing(case: Case) -> Verdict | None:
    bound, weakest = BOUNDS["vanishing"].value, case.weakest
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


def _exploding(case: Case, is_certain: bool = False) -> Verdict | None:
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


def _collapsed(case: Case) -> Verdict | None:
    bound = BOUNDS["collapsed"].value
    if not case.learning.has_failed or not case.lasting(lambda _, seen: seen.sample_spread < bound):
        return None
    spread = case.seen.sample_spread
    words = f"the last layer is given nearly the same for every sample: they differ by {spread:.0e} of their size"
    return case.verdict(
        "collapsed", words + case.fact, case.advice.against_collapse(), field="inputs", value=spread, bound=bound
    )


def _tiny(case: Case) -> Verdict | None:
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


def _rate_too_small(case: Case) -> Verdict | None:
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


def _frozen(case: Case) -> Verdict | None:
    ratios = case.lasting_values("update_ratio", np.inf)
    bound = BOUNDS["frozen"].value
    if ratios is None or not (where := case.matrices & (ratios.max(axis=0) < bound)).any():
        return None
    slowest = int(np.argmin(np.where(where, ratios.max(axis=0), np.inf)))
    value = float(ratios.max(axis=0)[slowest])
    words = f"an update moves the weights of {case.label(slowest)} by {value:.0e} of their size"
    cures = case.advice.larger_rate(value)
    return case.verdict("frozen", words + case.fact, cures, field="update_ratio", where=where, value=value, bound=bound)


def _unsteady(case: Case) -> Verdict | None:
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


def _not_learning(case: Case) -> Verdict | None:
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


def _nothing_found(case: Case) -> Verdict:
    """The last answer, where nobody tells the loss."""
    if not case.is_known.any():
        return case.verdict("healthy", "nothing is found, as no layer's gradient is known")
    words = "the gradient reaches every layer"
    if (weakest := case.weakest) is not None:
        words += f"; {case.label(weakest[0])} gets the least, {weakest[1]:.2g} of what the layers next to the loss get"
    return case.verdict("healthy", words + "; whether it learns is unknown without a loss" + _frozen_note(case))


CHECKS: tuple[Callable[[Case], Verdict | None], ...] = (
    script_faults.non_finite,
    script_faults.unregistered,
    script_faults.not_connected,
    script_faults.not_in_optimizer,
    script_faults.accumulates,
    script_faults.output_mismatch,
    script_faults.broadcast,
    script_faults.batch_too_small,
    script_faults.zero_weights,
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
"""What is looked for; the first that is found is the verdict."""
