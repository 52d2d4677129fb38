"""A what-if measures what each change leads to, on copies: the model itself stays as it is, bit for bit."""

import copy
import gc
import math
import os
import pty
import random
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import numpy as np
import pytest

import vgtui
from engine.errors import UsageError
from engine.verdict import Change, Cure
from tests.watching.test_cures import Recurrent, apply, digits, first_of_many, mlp, same

torch = pytest.importorskip("torch")
nn = torch.nn
F = nn.functional

from vgtui.watching import what_if as what_if_module  # noqa: E402
from vgtui.watching.cures import ModelCure  # noqa: E402
from vgtui.watching.what_if_table import WhatIfRow, WhatIfTable  # noqa: E402


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


def loss_of(model: Any, batch: Any) -> Any:
    inputs, labels = batch
    return F.cross_entropy(model(inputs), labels)


def batches(count: int = 20, size: int = 32) -> list[Any]:
    inputs, labels = digits()
    return [(inputs[at : at + size], labels[at : at + size]) for at in range(0, count * size, size)]


def sgd(model: Any, rate: float = 0.1) -> Any:
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


def cure(text: str, *changes: tuple[str, Any]) -> Cure:
    return Cure(None, None, text, tuple(Change(*change) for change in changes))


def try_it(model: Any, optimizer: Any, *cures: Any, steps: int = 10, **options: Any) -> WhatIfTable:
    options = {"cures": cures or None, **options}
    given = options.pop("batches", None) or batches()
    return vgtui.what_if(model, optimizer, options.pop("loss_of", loss_of), given, steps, **options)


def row(table: WhatIfTable, change: str) -> WhatIfRow:
    return next(entry for entry in table if entry.change.startswith(change))


class Everything(nn.Module):  # type: ignore[misc, name-defined]
    """Buffers, dropout, shared weights, a recurrent layer, a frozen one, and one module in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.rnn = nn.RNN(8, 8, batch_first=True)
        self.again = nn.Linear(8, 8)
        self.again.weight = self.first.weight
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.quiet = nn.BatchNorm1d(8).eval()
        self.drop, self.act, self.out = nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 10)

    def forward(self, inputs: Any) -> Any:
        x = self.rnn(inputs.view(-1, 8, 8))[0][:, -1]
        x = self.norm(self.act(self.first(x)))
        return self.out(self.drop(self.act(self.quiet(self.frozen(self.again(x))))))


def state(model: Any, optimizer: Any) -> Any:
    random_numbers = random.getstate(), [*map(str, np.random.get_state())], torch.get_rng_state()
    gradients = [(id(entry.grad), None if entry.grad is None else entry.grad.clone()) for entry in model.parameters()]
    modes = [module.training for module in model.modules()]
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    held = [(id(entry), entry.clone()) for entry in (*model.parameters(), *model.buffers())]
    values = copy.deepcopy((optimizer.state_dict(), random_numbers))
    return [*values, gradients, modes, hooks, held, str(model), len(optimizer._optimizer_step_pre_hooks)]


@pytest.mark.parametrize("make", [sgd, lambda model: torch.optim.Adam(model.parameters())])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("watched", [True, False])
def test_the_model_and_all_random_numbers_stay_as_they_are_bit_for_bit(
    make: Any, training: bool, watched: bool
) -> None:
    model = Everything()
    optimizer = make(model)
    watcher = vgtui.watch(model, optimizer, every=1) if watched else None
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for batch in batches(3):
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()
        schedule.step()
    if not training:
        model.eval()
    before = [*state(model, optimizer), schedule.state_dict()]
    table = try_it(model, optimizer, cure("gru", ("recurrent", "GRU")), cure("rate", ("learning_rate", 1e30)))
    assert same(before, [*state(model, optimizer), schedule.state_dict()])
    assert not row(table, "gru").problem
    if watcher:
        watcher.close()


def test_a_loader_and_its_generator_stay_as_they_are() -> None:
    inputs, labels = digits()
    generator = torch.Generator().manual_seed(3)
    data = torch.utils.data.TensorDataset(inputs[:320], labels[:320])
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, generator=generator)
    model = mlp()
    before = generator.get_state(), torch.get_rng_state()
    table = try_it(model, sgd(model), batches=loader)
    assert same(before, (generator.get_state(), torch.get_rng_state()))
    assert (table.batches, table.steps) == (10, 10)


def test_every_copy_sees_the_same_batches_and_random_numbers() -> None:
    model = Everything()
    keep = cure("the same", ("gradient_clip", 1e9))
    table = try_it(model, sgd(model), keep)
    assert row(table, "the same").loss_after == table.as_it_is.loss_after
    again = try_it(model, sgd(model), keep)
    assert [entry.loss_after for entry in table] == [entry.loss_after for entry in again]
    other = try_it(model, sgd(model), keep, seed=1)
    assert other.as_it_is.loss_after != table.as_it_is.loss_after


def test_a_copy_is_trained_as_the_model_would_be() -> None:
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    table = try_it(model, optimizer)
    losses = []
    for step in range(10):
        optimizer.zero_grad()
        loss = loss_of(model, batches()[step])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert (table.as_it_is.loss_before, table.as_it_is.loss_after) == (losses[0], losses[-1])


def test_deep_sigmoids_are_told_what_helps_and_the_best_row_can_be_applied() -> None:
    model = mlp(nn.Sigmoid, width=64, depth=8)
    optimizer = sgd(model, 0.05)
    table = try_it(model, optimizer, steps=120, batches=batches(50))
    assert table.verdict
    assert table.verdict.kind in ("vanishing", "vanished", "not-learning", "starting")
    assert [entry.order for entry in table] == sorted(entry.order for entry in table)
    best = {table[0].change, table[1].change}
    assert any("nn.ReLU() in place of nn.Sigmoid()" in change for change in best)
    assert table[0].loss_after is not None
    assert table[0].loss_after < 1.5 < 2.2 < (table.as_it_is.loss_after or 0)
    relu = row(table, "nn.ReLU() in place of nn.Sigmoid()")
    assert relu.ratio_before is not None
    assert table.as_it_is.ratio_before is not None
    assert table.as_it_is.ratio_before < 1e-3 < relu.ratio_before
    assert relu.cure
    assert relu.cure.apply
    relu.cure.apply(model, optimizer)
    assert isinstance(model[1], nn.ReLU)


def test_where_one_activation_is_used_everywhere_its_use_says_what_it_follows() -> None:
    class Shared(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.out, self.act = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 10), nn.Tanh()

        def forward(self, x: Any) -> Any:
            return self.out(self.act(self.two(self.act(self.one(x)))))

    model = Shared()
    table = try_it(model, sgd(model), steps=5)
    assert not row(table, "BatchNorm").problem
    assert not row(table, "ReLU instead of Tanh").problem


def test_nan_divergence_and_what_is_not_possible_are_shown_as_what_they_are(capsys: Any) -> None:
    model = mlp(depth=6)
    table = try_it(
        *(model, sgd(model), cure("enormous", ("learning_rate", 1e30)), cure("none", ("recurrent", "GRU"))),
        cure("fails", ("standardize_inputs", True)),
        batches=[(inputs[:1], labels[:1]) for inputs, labels in batches()],
    )
    enormous = row(table, "enormous")
    assert enormous.loss_after is not None
    assert not math.isfinite(enormous.loss_after)
    assert enormous.has_diverged
    assert enormous.steps < 10
    assert row(table, "none").problem == "recurrent: the model has no nn.RNN"
    assert row(table, "fails").problem.startswith("ValueError: Expected more than 1 value per channel")
    printed = capsys.readouterr().out
    assert f"at step {enormous.steps}" in printed
    assert WhatIfRow("large", steps=10, loss_before=1.0, loss_after=20.0).remark == "diverged"
    assert "not possible, none: recurrent: the model has no nn.RNN" in printed
    assert [entry.loss_after is None for entry in table] == sorted(entry.loss_after is None for entry in table)


def test_a_cure_that_only_a_person_can_make_is_named(capsys: Any) -> None:
    model = mlp()
    table = try_it(model, sgd(model), cure("give the loss [red]logits\x1b[0m"), steps=2)
    assert table.by_hand == ("give the loss [red]logits\x1b[0m",)
    assert "by hand: give the loss [red]logits�[0m" in capsys.readouterr().out


def test_applicable_cures_are_taken_and_doubles_left_out() -> None:
    model = mlp()
    mine = ModelCure("mine", lambda model, optimizer: (nn.Sequential(model, nn.Identity()), optimizer))
    table = try_it(model, sgd(model), mine, cure("tenfold", ("learning_rate", 1.0)), steps=2)
    assert row(table, "mine").cure is mine
    assert not [entry for entry in table if entry.change.startswith("ten times")]


def test_what_a_cure_has_put_around_the_optimizers_steps_is_copied_too() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    apply(model, optimizer, ("gradient_clip", 1e-12), ("warm_up", 100))
    table = try_it(model, optimizer, steps=20, batches=batches(1))
    assert table.as_it_is.loss_after == pytest.approx(table.as_it_is.loss_before, rel=1e-5)


def test_one_copy_at_a_time_is_in_memory() -> None:
    alive: list[Any] = []
    counts: list[int] = []

    class Counted(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Any) -> Any:
            if not any(other() is self for other in alive):
                alive.append(weakref.ref(self))
            counts.append(sum(other() is not None for other in alive))
            return self.inner(x)

    model = Counted()
    gc.disable()
    try:
        try_it(model, sgd(model), cure("fails", ("standardize_inputs", True)), steps=2)
    finally:
        gc.enable()
    assert len(alive) >= 5
    assert max(counts) == 1


def test_of_a_generator_as_many_batches_are_kept_as_memory_is_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def endless() -> Iterator[Any]:
        for index in range(10**9):
            taken.append(index)
            yield batches()[index % 20]

    model = mlp()
    table = try_it(model, sgd(model), batches=endless(), steps=4)
    assert (table.batches, len(taken)) == (4, 4)
    monkeypatch.setattr(what_if_module, "MAX_BATCHES", 3)
    assert try_it(model, sgd(model), batches=endless(), steps=4).batches == 3
    monkeypatch.setattr(what_if_module, "MAX_BYTES", 1)
    table = try_it(model, sgd(model), batches=endless(), steps=4)
    assert table.batches == 1
    assert "trained on 1 batch again and again" in str(table)


def test_a_recurrent_network_can_be_tried() -> None:
    batch = first_of_many(10)
    model = Recurrent(nn.RNN(5, 8, batch_first=True), 8)
    table = try_it(model, torch.optim.Adam(model.parameters()), cure("gru", ("recurrent", "GRU:10")), batches=[batch()])
    assert row(table, "gru").ratio_before is not None


def test_an_optimizer_that_needs_a_closure_is_given_one() -> None:
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    table = try_it(model, optimizer, steps=4, batches=batches(1))
    assert (table.as_it_is.loss_after or 9) < (table.as_it_is.loss_before or 0)


def test_it_can_be_asked_while_gradients_are_off_and_of_a_model_in_a_wrapper() -> None:
    model = nn.DataParallel(mlp())
    with torch.no_grad():
        table = try_it(model, sgd(model), steps=2)
    assert table.as_it_is.loss_after is not None


class Uncopyable(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()
        self.lock = threading.Lock()

    def forward(self, x: Any) -> Any:
        return self.inner(x)


def _another(model: Any) -> Callable[[Any, Any], Any]:
    return lambda _, batch: loss_of(model, batch)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": 3}, "model: it is a torch.nn.Module, and int is not one"),
        ({"model": Uncopyable()}, "model: it cannot be copied: TypeError: "),
        ({"model": nn.Sequential(nn.LazyLinear(3))}, "model: a lazy module waits for its first input"),
        ({"optimizer": None}, "optimizer: it is one of PyTorch's, and NoneType is not"),
        ({"optimizer": sgd(mlp())}, "optimizer: it has no parameter of this model"),
        ({"loss_of": 0.5}, "loss_of: it is a function of a model and a batch, and 0.5 is none"),
        ({"loss_of": lambda model, batch: 3.0}, "loss_of: it returns a loss, a tensor with one number, and not 3.0"),
        ({"loss_of": lambda model, batch: model(batch[0])}, "not a tensor of the shape (32, 10)"),
        ({"loss_of": lambda model, batch: model(batch[0]).sum().detach()}, "loss_of: its loss has no gradient"),
        ({"loss_of": _another(mlp())}, "loss_of: its loss does not depend on the model that it is given"),
        ({"batches": "digits"}, "batches: it is a DataLoader or a list of batches, and str is neither"),
        ({"batches": {"x": 1}}, "batches: it is a DataLoader or a list of batches, and dict is neither"),
        ({"batches": iter(())}, "batches: there are none"),
        ({"steps": 0}, "steps: 0 is not a number of steps, which is 1 at least"),
        ({"steps": 1.5}, "steps: 1.5 is not a number of steps, which is 1 at least"),
        ({"seed": "x"}, "seed: 'x' is not a whole number from 0"),
        ({"cures": ["ReLU"]}, "cures: 'ReLU' is not a cure, such as those of watcher.verdict.cures"),
    ],
)
def test_a_wrong_argument_is_one_sentence(changed: dict[str, Any], said: str) -> None:
    model = mlp()
    arguments: dict[str, Any] = {"model": model, "optimizer": sgd(model), "loss_of": loss_of, "batches": batches()}
    arguments |= {"steps": 2, **changed}
    if isinstance(changed.get("model"), nn.Module):
        arguments["optimizer"] = torch.optim.SGD(changed["model"].parameters(), lr=0.1)
    with pytest.raises(TypeError) as caught:
        vgtui.what_if(**arguments)
    assert isinstance(caught.value, UsageError)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loss_of_the_original_model_is_refused_and_adds_nothing_to_its_gradients() -> None:
    model = mlp()
    loss_of(model, batches()[0]).backward()
    optimizer = sgd(model)
    before = state(model, optimizer)
    both = lambda given, batch: loss_of(given, batch) + loss_of(model, batch)  # noqa: E731
    with pytest.raises(TypeError, match="its loss depends on the original model"):
        try_it(model, optimizer, loss_of=both)
    with pytest.raises(TypeError, match="does not depend on the model that it is given"):
        try_it(model, optimizer, loss_of=_another(model))
    assert same(before, state(model, optimizer))


def test_an_error_of_the_callers_own_loss_is_raised_as_it_is() -> None:
    def broken(model: Any, batch: Any) -> Any:
        raise KeyError("mine")

    model = mlp()
    with pytest.raises(KeyError, match="mine"):
        try_it(model, sgd(model), loss_of=broken)


def test_the_table_is_a_sequence_that_can_be_shown_anywhere() -> None:
    model = mlp()
    table = try_it(model, sgd(model), steps=2)
    assert len(table) == len(list(table)) == len(table[:])
    assert table[0] in table
    text = StringIO()
    table.show(text)
    assert text.getvalue().rstrip("\n") == str(table)
    assert "as it is" in str(table)
    assert all(len(line) <= 80 for line in str(table).splitlines())


SCRIPT = """
import torch, vgtui
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
vgtui.what_if(model, optimizer, lambda model, x: model(x).sum(), [torch.ones(2, 2)], 3, progress={progress})
"""


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_shown_on_a_terminal_unless_it_is_not_wanted(progress: bool) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", SCRIPT.format(progress=progress)]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm-256color"})
    os.write(theirs, b"end")  # there is something to read in any case
    drawn = bytearray()
    while not drawn.endswith(b"end"):
        drawn += os.read(ours, 2**16)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert (b"what if, " in drawn) == (b"as it is" in drawn) == progress


def test_no_bar_is_shown_where_there_is_no_terminal(capfd: Any) -> None:
    model = mlp()
    try_it(model, sgd(model), steps=2)
    assert capfd.readouterr().err == ""


def test_watching_imports_no_screen_until_a_table_is_shown() -> None:
    script = "import sys, vgtui.watching.what_if; sys.exit('rich' in sys.modules or 'textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
