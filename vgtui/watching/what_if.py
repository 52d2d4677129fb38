"""Each change tried on a copy of a model, for a few steps: what would help, measured."""

import gc
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.verdict import Change, Cure, Verdict
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.terminal.progress import showing_progress
from vgtui.watching.cures import ModelCure, ModelVerdict, applicable, applicable_verdict
from vgtui.watching.errors import ArgumentError, ChangeError
from vgtui.watching.module_changes import SATURATING, hidden_activations
from vgtui.watching.random_state import random_state_kept, seed_all
from vgtui.watching.subject import Subject, innermost, unwrapped
from vgtui.watching.trial import LossOf, Result, Trial, reason, train
from vgtui.watching.watcher import Watcher
from vgtui.watching.what_if_table import WhatIfRow, WhatIfTable
from vgtui.wire.frames import Frame

MAX_BATCHES = 256
MAX_BYTES = 2**29
"""Batches that are kept, at most; one is kept in any case. A list of the caller's is there already."""
MEASUREMENTS = 100
"""Frames of the model as it is, for its verdict."""
AS_IT_IS = "as it is"


def try_changes(
    model: Any,
    optimizer: Any,
    loss_of: LossOf,
    batches: Iterable[Any],
    steps: int = 100,
    *,
    cures: Iterable[Cure | ModelCure] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> WhatIfTable:
    """Try changes on copies of a model; what `vgtui.what_if` describes, without printing the table."""
    given = None if cures is None else _cures(cures)
    _check(model, optimizer, loss_of, batches, steps, seed)
    with random_state_kept(batches), _untouched(model, optimizer), torch.inference_mode(False), torch.enable_grad():
        seed_all(seed)
        trial = Trial(unwrapped(model), innermost(optimizer), loss_of, _keep(batches, steps), steps, seed)
        result, verdict = _as_it_is(trial, quiet=not progress)
        rows = [result.row(AS_IT_IS)]
        advised = given if given is not None else list(verdict.cures if verdict else ())
        advised = [applicable(cure, result.uses) if isinstance(cure, Cure) else cure for cure in advised]
        possible = [cure for cure in advised if cure.apply]
        others = [applicable(cure, result.uses) for cure in _others(trial, result.uses)]
        candidates = _distinct([*possible, *others])
        for index, cure in enumerate(candidates):
            gc.collect()  # one copy at a time
            is_advised = any(cure is other for other in possible)
            doing = f"what if, {index + 1} of {len(candidates)}"
            if (row := _changed(trial, cure, is_advised, doing, quiet=not progress)) is not None:
                rows.append(row)
    return WhatIfTable(
        rows=tuple(sorted(rows, key=lambda row: row.order)),
        verdict=verdict,
        steps=steps,
        batches=len(trial.batches),
        by_hand=tuple(cure.text for cure in advised if not cure.apply),
        is_by_verdict=given is None,
    )


def _check(model: Any, optimizer: Any, loss_of: Any, batches: Any, steps: Any, seed: Any) -> None:
    """Raise ArgumentError for an argument that is plainly wrong."""
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", f"it is a torch.nn.Module, and {type(model).__name__} is not one")
    inner = innermost(optimizer)
    if not isinstance(inner, torch.optim.Optimizer):
        raise ArgumentError("optimizer", f"it is one of PyTorch's, and {type(optimizer).__name__} is not")
    if any(isinstance(entry, nn.parameter.UninitializedParameter) for entry in model.parameters()):
        raise ArgumentError("model", "a lazy module waits for its first input; run the model on a batch first")
    own = {id(entry) for entry in model.parameters()}
    if not any(id(member) in own for group in inner.param_groups for member in group["params"]):
        raise ArgumentError("optimizer", "it has no parameter of this model")
    if not callable(loss_of):
        raise ArgumentError("loss_of", f"it is a function of a model and a batch, and {loss_of!r} is none")
    if not isinstance(batches, Iterable) or isinstance(batches, str | bytes | Mapping | torch.Tensor):
        problem = f"it is a DataLoader or a list of batches, and {type(batches).__name__} is neither"
        raise ArgumentError("batches", problem)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ArgumentError("steps", f"{steps!r} is not a number of steps, which is 1 at least")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ArgumentError("seed", f"{seed!r} is not a whole number from 0")


def _cures(cures: Any) -> list[Cure | ModelCure]:
    found = list(cures) if isinstance(cures, Iterable) else [cures]
    for cure in found:
        if not isinstance(cure, Cure | ModelCure):
            raise ArgumentError("cures", f"{cure!r} is not a cure, such as those of watcher.verdict.cures")
    return found


@contextmanager
def _untouched(model: nn.Module, optimizer: Any) -> Iterator[None]:
    """Take the model's gradients aside for the block, so that a loss of the wrong model does not add to them."""
    members = [member for group in innermost(optimizer).param_groups for member in group["params"]]
    entries = {id(entry): entry for entry in (*model.parameters(), *members)}
    gradients = [(entry, entry.grad) for entry in entries.values()]
    for entry in entries.values():
        entry.grad = None
    try:
        yield
    finally:
        for entry, gradient in gradients:
            entry.grad = gradient


def _keep(batches: Iterable[Any], steps: int) -> Sequence[Any]:
    """Return the first batches, as many as are used or as memory is granted."""
    if isinstance(batches, list | tuple):
        kept = list(batches[:steps])
    else:
        kept, size = [], 0
        for batch in batches:
            kept.append(batch)
            size += _bytes(batch)
            if len(kept) >= min(steps, MAX_BATCHES) or size >= MAX_BYTES:
                break
    if not kept:
        raise ArgumentError("batches", "there are none")
    return kept


def _bytes(batch: Any) -> int:
    if isinstance(batch, torch.Tensor):
        return int(batch.numel() * batch.element_size())
    if isinstance(batch, Mapping):
        return sum(map(_bytes, batch.values()))
    return sum(map(_bytes, batch)) if isinstance(batch, list | tuple) else 0


def _as_it_is(trial: Trial, quiet: bool) -> tuple[Result, ModelVerdict | None]:
    """Train an unchanged copy while it is watched."""
    model, optimizer = trial.copies()
    every = max(1, trial.steps // MEASUREMENTS)
    with tempfile.TemporaryDirectory(prefix="vgtui-") as folder:
        record = Path(folder) / "as_it_is.jsonl"
        watcher = Watcher(model, optimizer, f"{type(trial.model).__name__} what if", every, record)
        try:
            with showing_progress(AS_IT_IS, trial.steps, "steps", quiet) as advance:
                result = train(trial, model, optimizer, advance, watcher)
            seen = getattr(watcher, "verdict", None)
        finally:
            watcher.close()
        return result, _verdict(seen, record, result.uses)


def _verdict(seen: Any, record: Path, uses: Sequence[str]) -> ModelVerdict | None:
    """Return the verdict on the model as it is: what the watcher says, or else the last frame of the recording."""
    if isinstance(seen, ModelVerdict):
        return seen
    if seen is None and record.exists():
        lines = read_recording(str(record), RecordingReader(str(record)))
        last = deque((line for line in lines if isinstance(line, Frame)), maxlen=1)
        seen = last[0].verdict if last else None
    return applicable_verdict(seen, uses) if isinstance(seen, Verdict) else None


def _others(trial: Trial, uses: Sequence[str]) -> Iterator[Cure]:
    """Yield what is worth a try whatever the verdict is."""
    order = Subject(trial.model, None, uses).in_order()
    yield _cure("BatchNorm after each hidden layer", Change("normalization", "BatchNorm"))
    saturating = sorted({type(module).__name__ for module in hidden_activations(order)} & set(SATURATING))
    if saturating:
        activations = [Change("activation", f"{name}>ReLU") for name in saturating]
        text = f"ReLU instead of {' and '.join(saturating)}, with He initialization"
        yield _cure(text, *activations, Change("initialization", "kaiming_normal_"))
    rate = max(float(group["lr"]) for group in trial.optimizer.param_groups)
    if rate > 0:
        yield _cure(f"ten times the learning rate, {10 * rate:.3g}", Change("learning_rate", 10 * rate))
        yield _cure(f"a tenth of the learning rate, {rate / 10:.3g}", Change("learning_rate", rate / 10))
    yield _cure("gradients clipped to a norm of 1", Change("gradient_clip", 1.0))
    steps = max(2, trial.steps // 5)
    yield _cure(f"a warm-up of {steps} steps", Change("warm_up", steps))


def _cure(text: str, *changes: Change) -> Cure:
    return Cure(None, None, text, changes)


def _distinct(cures: Iterable[ModelCure]) -> list[ModelCure]:
    """Leave out cures that change the same as an earlier one."""
    found: dict[object, ModelCure] = {}
    for cure in cures:
        changes = [(change.setting, _rounded(change.value)) for change in cure.changes]
        found.setdefault(frozenset(changes) or id(cure), cure)
    return list(found.values())


def _rounded(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _changed(trial: Trial, cure: ModelCure, is_advised: bool, doing: str, quiet: bool) -> WhatIfRow | None:
    """Train a copy with a change.

    Returns:
        Its row. None for a change that nobody advises and that finds nothing to change.
    """
    assert cure.apply
    try:
        seed_all(trial.seed)
        model, optimizer = trial.copies()
        model, optimizer = cure.apply(model, optimizer)
        with showing_progress(doing, trial.steps, "steps", quiet) as advance:
            return train(trial, model, optimizer, advance).row(cure.text, cure, is_advised)
    except ChangeError as error:
        return WhatIfRow(cure.text, cure, is_advised, problem=str(error)) if is_advised else None
    except Exception as error:  # of whatever a change makes of the model
        return WhatIfRow(cure.text, cure, is_advised, problem=reason(error))
