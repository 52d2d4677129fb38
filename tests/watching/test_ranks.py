"""Trainings in two processes under torchrun, on gloo: norms against those of the gathered tensors, and nobody waits."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.watching.recorded import frames, header, notes
from vgtui.model.ranks import odd_rank
from vgtui.wire.frames import RankInfo

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this PyTorch knows no other processes", allow_module_level=True)

from vgtui.watching.arrival import Arrival  # noqa: E402
from vgtui.watching.layers import Layer  # noqa: E402
from vgtui.watching.mesh import Shards  # noqa: E402
from vgtui.watching.ranks import Plan, Ranks  # noqa: E402

EXACT = 1e-6
SECONDS = 300


def torchrun(folder: Path, *kinds: str) -> str:
    """Train in two processes; returns what they say on stderr."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "127.0.0.1:0", "-m", "tests.watching.ranked", str(folder), *kinds]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert "vgtui" not in done.stderr
    return done.stderr


def seen_by_ranks(folder: Path, kind: str, watched: bool = True) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{kind}-{rank}-{watched:d}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    torchrun(folder, *KINDS, "flat", "ddp-nan", "ddp-slow", "stages")
    return folder


def check_norms(path: Path, seen: dict[str, Any], names: list[str]) -> None:
    """Each norm is that of all entries."""
    assert [layer.name for layer in header(path).layers] == names
    found = frames(path)
    assert [frame.step for frame in found] == list(range(len(seen["losses"])))
    for frame in found:
        assert norms_at(seen, "gradients", frame.step, names) == pytest.approx(
            frame.layers.grad_norm.tolist(), rel=EXACT, abs=0
        )
        weights = norms_at(seen, "weights", frame.step, names)
        assert weights == pytest.approx(frame.layers.weight_norm.tolist(), rel=EXACT, abs=0)
        updates = norms_at(seen, "updates", frame.step, names)
        ratios = [update / weight for update, weight in zip(updates, weights, strict=True)]
        assert ratios == pytest.approx(frame.layers.update_ratio.tolist(), rel=1e-5, abs=0)


def norms_at(seen: dict[str, Any], what: str, step: int, names: list[str]) -> list[float]:
    return [seen[what][step].get(name, seen[what][step].get("_flat_param")) for name in names]


KINDS = ("fsdp2", "tensor", "fsdp1", "ddp")
NAMES = ["0", "2", "3", "4"]
SHAPES = [(8, 6), (5, 8), (5,), (3, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_norms_are_those_of_the_whole_model_and_losses_those_of_an_unwatched_one(kind: str, trained: Path) -> None:
    bare, watched = seen_by_ranks(trained, kind, watched=False), seen_by_ranks(trained, kind)
    path = trained / f"{kind}.jsonl"
    check_norms(path, watched[0], NAMES)
    assert [layer.shape for layer in header(path).layers] == SHAPES
    assert [rank["losses"] for rank in watched] == [rank["losses"] for rank in bare]
    for frame in frames(path):
        assert frame.ranks is not msgspec.UNSET
        assert [line.loss for line in frame.ranks] == [rank["losses"][frame.step] for rank in watched]


@pytest.mark.slow
def test_the_gradient_of_each_rank_is_that_before_the_exchange(trained: Path) -> None:
    for rank, seen in enumerate(seen_by_ranks(trained, "ddp")):
        told = [frame.ranks[rank].norm for frame in frames(trained / "ddp.jsonl")[1:]]  # type: ignore[index]
        assert told == pytest.approx(seen["own"][1:], rel=EXACT)


@pytest.mark.slow
def test_of_flat_parameters_each_unit_is_one_row(trained: Path) -> None:
    check_norms(trained / "flat.jsonl", seen_by_ranks(trained, "flat")[0], ["Sequential"])
    assert "use_orig_params=True" in notes(trained / "flat.jsonl")[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"), [("ddp-nan", "rank 1's loss is not finite"), ("ddp-slow", "rank 1 is slow")]
)
def test_the_odd_rank_is_named(kind: str, words: str, trained: Path) -> None:
    assert any(words in note for note in notes(trained / f"{kind}.jsonl"))


@pytest.mark.slow
def test_each_stage_of_a_pipeline_has_a_socket_of_its_own(trained: Path) -> None:
    first, second = trained / "stages.jsonl", trained / "stages-rank1.jsonl"
    assert [layer.shape for layer in header(first).layers] == SHAPES[:1]
    assert [layer.shape for layer in header(second).layers] == SHAPES[1:]
    assert header(second).model.name == "net-rank1"  # type: ignore[union-attr]
    seen = seen_by_ranks(trained, "stages")[1]
    for frame in frames(second):
        expected = norms_at(seen, "gradients", frame.step, ["0", "1", "2"])
        assert frame.layers.grad_norm.tolist() == pytest.approx(expected, rel=EXACT, abs=0)


@pytest.mark.slow
def test_a_rank_that_dies_holds_nobody_up(tmp_path: Path) -> None:
    torchrun(tmp_path, "death")
    assert (tmp_path / "death-0-1.json").exists()
    lines = frames(tmp_path / "death.jsonl")
    assert [frame.step for frame in lines] == [0, 1, 2, 3]
    assert lines[-1].ranks[1] == RankInfo(1)  # type: ignore[index]


@pytest.fixture
def two() -> Iterator[tuple[Ranks, Ranks]]:
    """Both sides of two ranks, in one process."""
    store = torch.distributed.HashStore()
    first, second = Ranks(3, True, 0, 2, store, lambda: True), Ranks("100ms", True, 1, 2, store, lambda: True)
    yield first, second
    first.end()
    second.end()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def spread_layer() -> Layer:
    module = torch.nn.Linear(2, 3)
    return Layer("middle", module, module.weight, True, shards=Shards((6, 2), (0, 1), 1))


def test_rank_0_says_which_steps_are_sampled_and_makes_whole_norms_of_the_parts(two: tuple[Ranks, Ranks]) -> None:
    first, second = two
    until(lambda: second.is_due(6, False, int))
    assert [step for step in range(10) if second.is_due(step, False, int)] == [0, 3, 6, 9]
    layers = [spread_layer()]
    first.expect(6)
    second.gather(Arrival(6, 1, {}, range(1)), layers, {"grad_norm": np.array([4.0])}, 0.25)
    until(lambda: first.is_here(6))
    fields = {"grad_norm": np.array([3.0])}
    lines = first.gather(Arrival(6, 1, {}, range(1)), layers, fields, 0.5)
    assert fields["grad_norm"].tolist() == [5.0]
    assert [line.loss for line in lines] == [0.5, 0.25]


def test_rank_0_announces_a_plan_of_its_pace_once_it_knows_the_time_of_a_step() -> None:
    store = torch.distributed.HashStore()
    first, second = (Ranks("100ms", False, rank, 2, store, lambda: True) for rank in range(2))
    assert not first.is_due(0, True, lambda seconds: 7)
    first.updated()
    assert not first.is_due(1, True, lambda seconds: 7)
    planned = [step for step in range(1, 10**6) if first.is_due(step, True, lambda seconds: 7)][:5]
    assert np.diff(planned).tolist() == [7] * 4
    until(lambda: second.is_due(planned[0], False, int))
    assert [step for step in range(planned[4] + 1) if second.is_due(step, False, int)] == planned
    first.end()
    second.end()


def test_a_part_that_does_not_come_leaves_the_norm_unknown_and_is_not_waited_for(two: tuple[Ranks, Ranks]) -> None:
    first, _ = two
    first.expect(3)
    first.wait(3)
    fields = {"grad_norm": np.array([3.0])}
    lines = first.gather(Arrival(3, 1, {}, range(1)), [spread_layer()], fields, 0.5)
    assert fields["grad_norm"].tolist() == [None]
    assert lines[1] == RankInfo(1)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([1.0, 1.1, 0.9, 1.0], ""),
        ([1.0, 1.1, np.nan, 1.0], "rank 2's loss is not finite"),
        ([1.0, 20.0, 1.1, 1.0], "rank 1's loss is 20, 20 times the others'"),
        ([np.nan] * 4, ""),
        ([None, 1.0, None, None], ""),
        ([0.0, 0.0, 0.0, 1.0], ""),
    ],
)
def test_a_rank_is_odd_where_the_others_are_not(losses: list[float | None], words: str) -> None:
    ranks = [RankInfo(rank, None if loss is None else np.float64(loss)) for rank, loss in enumerate(losses)]
    assert odd_rank(ranks) == words


def test_a_straggler_is_the_one_whose_own_time_is_long_not_the_one_that_waits() -> None:
    ranks = [RankInfo(rank, None, None, np.float64(0.1), np.float64(0.01 if rank else 0.06)) for rank in range(4)]
    assert odd_rank(ranks) == "rank 0 is slow: 60 ms until backpropagation, 6 times the others'"
    quick = [RankInfo(rank, None, None, np.float64(0.1), np.float64(0.001 if rank else 0.006)) for rank in range(4)]
    assert odd_rank(quick) == ""


def test_a_plan_has_its_first_step_and_each_so_many_after_it() -> None:
    assert [step for step in range(20) if Plan(5, 4).has(step)] == [5, 9, 13, 17]
    assert not any(Plan().has(step) for step in range(5))
