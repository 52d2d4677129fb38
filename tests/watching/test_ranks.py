"""Trainings in two processes under torchrun, on gloo: norms against those of the gathered tensors, and nobody waits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.watching.recorded import frames, header, notes
from vgtui.wire.frames import RankInfo

torch = pytest.importorskip("torch")
if not torch.distributed.is_available():
    pytest.skip("this PyTorch knows no other processes", allow_module_level=True)

from vgtui.watching.ranks import Plan, odd_rank  # noqa: E402

EXACT = 1e-6
SECONDS = 300


def torchrun(kind: str, folder: Path, watched: bool = True, check: bool = True) -> list[dict[str, Any]]:
    """Train; returns what each rank has seen."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "127.0.0.1:0", "-m", "tests.watching.ranked", kind, str(folder), str(int(watched))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)
    assert "vgtui stops" not in done.stderr
    if not check:
        return []
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"seen{rank}-{watched:d}.json").read_text()) for rank in range(2)]


def check_norms(path: Path, seen: dict[str, Any], names: list[str]) -> None:
    """Each norm is that of all entries, and the update that between two steps' weights is not 0."""
    assert [layer.name for layer in header(path).layers] == names
    found = frames(path)
    assert [frame.step for frame in found] == list(range(len(seen["losses"])))
    for frame in found:
        for field, known in (("grad_norm", "gradients"), ("weight_norm", "weights")):
            expected = [seen[known][frame.step][name] for name in names]
            assert getattr(frame.layers, field) == pytest.approx(expected, rel=EXACT, abs=0)


NAMES = ["0", "2", "3", "4"]
SHAPES = [(9, 6), (5, 9), (5,), (3, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fsdp2", "tensor", "fsdp1", "ddp"])
def test_norms_are_those_of_the_whole_model_and_losses_those_of_an_unwatched_one(kind: str, tmp_path: Path) -> None:
    bare, watched = torchrun(kind, tmp_path, watched=False), torchrun(kind, tmp_path)
    path = tmp_path / "r.jsonl"
    check_norms(path, watched[0], NAMES)
    assert [layer.shape for layer in header(path).layers] == SHAPES
    assert [rank["losses"] for rank in watched] == [rank["losses"] for rank in bare]
    for frame in frames(path):
        expected = [watched[0]["updates"][frame.step][name] for name in NAMES]
        ratio = np.array(expected) / np.array(frame.layers.weight_norm)
        assert frame.layers.update_ratio == pytest.approx(ratio, rel=1e-4)
        assert frame.ranks is not msgspec.UNSET
        assert [line.loss for line in frame.ranks] == [rank["losses"][frame.step] for rank in watched]
    if kind == "ddp":
        for rank, seen in enumerate(watched):
            told = [frame.ranks[rank].norm for frame in frames(path)[1:]]  # type: ignore[index]
            assert told == pytest.approx(seen["own"][1:], rel=EXACT)


@pytest.mark.slow
def test_of_flat_parameters_each_unit_is_one_row(tmp_path: Path) -> None:
    seen = torchrun("flat", tmp_path)[0]
    check_norms(tmp_path / "r.jsonl", {**seen, **{key: [{"FullyShardedDataParallel": step["_flat_param"]} for step in seen[key]] for key in ("gradients", "weights")}}, ["FullyShardedDataParallel"])  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"), [("ddp-nan", "rank 1's loss is not finite"), ("ddp-slow", "rank 1 is slow")]
)
def test_the_odd_rank_is_named(kind: str, words: str, tmp_path: Path) -> None:
    torchrun(kind, tmp_path)
    assert any(words in note for note in notes(tmp_path / "r.jsonl"))


@pytest.mark.slow
def test_a_rank_that_dies_holds_nobody_up(tmp_path: Path) -> None:
    torchrun("death", tmp_path, check=False)
    assert (tmp_path / "seen0-1.json").exists()
    lines = frames(tmp_path / "r.jsonl")
    assert [frame.step for frame in lines] == [0, 1, 2, 3]
    assert lines[-1].ranks[1] == RankInfo(1)  # type: ignore[index]


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
