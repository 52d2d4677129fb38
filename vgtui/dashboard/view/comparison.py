"""Two lanes in words: how much more gradient one gets than the other, and the accuracy or the loss of both."""

import math

import numpy as np

from vgtui.dashboard.view.state import RunView
from vgtui.terminal.text import count_text, norm_text, short_number
from vgtui.wire.frames import Frame


def comparison(one: RunView, other: RunView) -> str:
    """Compare two lanes at the last step that both have reached.

    Args:
        one: The lane to describe.
        other: The lane to compare it with.

    Returns:
        A sentence, or "" if there is no such step yet.
    """
    frames = _at_the_same_step(one, other)
    if frames is None:
        return ""
    mine, theirs = frames
    words = f"{one.status.name}: {_gradients(mine, theirs, other.status.name)}{_progress(mine, theirs)} at step "
    words += count_text(min(mine.step, theirs.step))
    behind, ahead = sorted((one, other), key=lambda state: state.newest.step if state.newest else -1)
    if behind.newest and ahead.newest and behind.newest.step < ahead.newest.step and one.moment is None:
        verb = "is" if ahead.status.follows else "waits"
        words += f"; {ahead.status.name} {verb} at {count_text(ahead.newest.step)}"
    return words


def _at_the_same_step(one: RunView, other: RunView) -> tuple[Frame, Frame] | None:
    if one.frame is None or other.frame is None or one.begins_run or other.begins_run:
        return None
    mine, theirs = one.frame, other.frame
    if mine.step < theirs.step:
        theirs = other.history.frame_of(other.history.point_of(mine.step, other.moment))
    elif theirs.step < mine.step:
        mine = one.history.frame_of(one.history.point_of(theirs.step, one.moment))
    return mine, theirs


def _gradients(mine: Frame, theirs: Frame, name: str) -> str:
    """Describe the hidden layer in which the gradients differ most."""
    hidden = min(len(mine.layers.grad_norm), len(theirs.layers.grad_norm)) - 1
    norms, others = mine.layers.grad_norm[:hidden], theirs.layers.grad_norm[:hidden]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(np.log10(norms) - np.log10(others))
    # two zeros are equal; a zero or NaN beside a number is infinitely far apart
    layer = int(np.argmax(np.where(np.isnan(apart), np.where(norms == others, 0, np.inf), apart)))
    mine_norm, other_norm = float(norms[layer]), float(others[layer])
    place = f"layer {layer + 1} gets"
    if mine_norm == other_norm:
        return f"{place} the same gradient as in {name}"
    if other_norm > 0 and math.isfinite(mine_norm) and math.isfinite(other_norm) and mine_norm > 0:
        return f"{place} {short_number(mine_norm / other_norm)} times the gradient of {name}"
    return f"{place} a gradient of {norm_text(mine_norm)}, in {name} {norm_text(other_norm)}"


def _progress(mine: Frame, theirs: Frame) -> str:
    """Compare what is known of both: the accuracy, or of watched models at least the loss; "" if neither is."""
    if mine.accuracy is not None and theirs.accuracy is not None:
        return f"; accuracy {mine.accuracy:.2f} against {theirs.accuracy:.2f}"
    if mine.loss is not None and theirs.loss is not None:
        return f"; loss {short_number(mine.loss)} against {short_number(theirs.loss)}"
    return ""
