"""`vgtui run` that is stopped and called again gives what it would have given at once; and what a damaged file does."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.shell import SMALL, call, call_apart, command
from tests.forms import slow_but
from tests.limits import with_files_of

LOOK_SECONDS = 0.01
KEEPING = ["--checkpoint", "run.npz", "--checkpoint-every", "10", "--output", "part.jsonl"]


def frames(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, without what is the clock's."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("steps_per_second", None)
    return lines


def run(folder: Path, steps: int, *options: str) -> "subprocess.CompletedProcess[str]":
    return call("run", *SMALL, "--steps", str(steps), "--every", "4", *options, cwd=folder)


# for the other optimizers, tests/engine/test_state.py says the same of what a checkpoint holds
@pytest.mark.parametrize("optimizer", slow_but(["sgd", "adam"], "adam"))
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(optimizer: str, tmp_path: Path) -> None:
    options = ["--optimizer", optimizer, "--batch-norm", "--lr", "0.01"]
    run(tmp_path, 44, *options, "--output", "whole.jsonl")
    assert run(tmp_path, 30, *options, *KEEPING).returncode == 0
    done = run(tmp_path, 44, *options, *KEEPING, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert frames(tmp_path / "part.jsonl") == frames(tmp_path / "whole.jsonl")


@contextmanager
def endless_run(folder: Path) -> Iterator[None]:
    """A run that has written a checkpoint, and goes on writing until the end, when it is killed."""
    endless = ["run", *SMALL, "--steps", "1000000", "--every", "4", *KEEPING]
    with subprocess.Popen(command(*endless), cwd=folder) as process:
        try:
            while not (folder / "run.npz").exists():
                assert process.poll() is None
                time.sleep(LOOK_SECONDS)
            yield
        finally:
            process.kill()


def test_a_killed_run_goes_on_in_its_own_file(tmp_path: Path) -> None:
    with endless_run(tmp_path):
        pass
    with np.load(tmp_path / "run.npz", allow_pickle=False) as archive:
        saved = int(archive["step"])
    steps = saved + 11
    assert run(tmp_path, steps, *KEEPING, "--resume").returncode == 0
    run(tmp_path, steps, "--output", "whole.jsonl")
    assert frames(tmp_path / "part.jsonl") == frames(tmp_path / "whole.jsonl")


def test_a_checkpoint_that_is_written_anew_meanwhile_is_one_of_them(tmp_path: Path) -> None:
    """As by the training process of a run that was killed just now; what is read twice may then be two checkpoints."""
    resumed = ["run", *SMALL, "--steps", "1000000", "--every", "4", *KEEPING[:4], "--resume", "--format", "jsonl"]
    with (
        endless_run(tmp_path),
        subprocess.Popen(command(*resumed), cwd=tmp_path, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout
        try:
            lines = [json.loads(process.stdout.readline()) for _ in range(4)]
        finally:
            process.kill()
    assert [line["type"] for line in lines] == ["header", "frame", "frame", "frame"]
    assert [line["step"] - lines[1]["step"] for line in lines[2:]] == [4, 8] or lines[1]["step"] % 4


def test_resume_begins_where_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert run(tmp_path, 12, *KEEPING, "--resume").returncode == 0
    assert [line["step"] for line in frames(tmp_path / "part.jsonl")[1:]] == [0, 4, 8, 12]
    assert (tmp_path / "run.npz").exists()


def test_on_standard_output_only_what_is_new_is_written(tmp_path: Path) -> None:
    keeping = ["--checkpoint", "run.npz", "--format", "jsonl"]
    run(tmp_path, 20, *keeping)
    done = run(tmp_path, 28, *keeping, "--resume")
    assert [json.loads(line).get("step") for line in done.stdout.splitlines()] == [None, 20, 24, 28]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--width", "9"], "--checkpoint: run.npz is of another run, with width 8 rather than width 9"),
        pytest.param(
            *(["--seed", "3"], "--checkpoint: run.npz is of another run, with seed 0 rather than seed 3"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(["--threads", "2"], "--checkpoint: run.npz is of another run, with threads None rather than 2"),
            marks=pytest.mark.slow,
        ),
        (["--dataset", "blobs"], "--checkpoint: run.npz is of another run, with digits rather than blobs"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_left_alone(
    tmp_path: Path, options: list[str], sentence: str
) -> None:
    run(tmp_path, 20, *KEEPING)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = run(tmp_path, 40, *options, *KEEPING, "--resume")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_refused_run_leaves_no_empty_file(tmp_path: Path) -> None:
    run(tmp_path, 20, *KEEPING)
    assert run(tmp_path, 40, "--width", "9", *KEEPING[:4], "--output", "new.jsonl", "--resume").returncode == 2
    assert not (tmp_path / "new.jsonl").exists()


def test_fewer_steps_than_there_are_is_refused(tmp_path: Path) -> None:
    run(tmp_path, 20, *KEEPING)
    done = run(tmp_path, 10, *KEEPING, "--resume")
    assert done.returncode == 2
    assert done.stderr == "vgtui: --steps: 10 is before step 20, where run.npz is; it takes more\n"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def other(path: Path) -> None:
    path.write_text("my notes")


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def members(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def lacking(path: Path) -> None:
    arrays = members(path)
    del arrays["parameters"]
    np.savez(path, **arrays)


def of_another_shape(path: Path) -> None:
    np.savez(path, **{**members(path), "parameters": np.zeros(3, np.float32)})


def with_objects(path: Path) -> None:
    np.savez(path, **{**members(path), "parameters": np.array([{}], dtype=object)})


@pytest.mark.parametrize(
    "damage", slow_but([cut, other, flipped, lacking, of_another_shape, with_objects], flipped, lacking)
)
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, damage: Any) -> None:
    run(tmp_path, 20, *KEEPING)
    damage(tmp_path / "run.npz")
    frames_before = (tmp_path / "part.jsonl").read_bytes()
    done = run(tmp_path, 40, *KEEPING, "--resume")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("vgtui: --checkpoint: run.npz is not a checkpoint of vgtui, or a damaged one: ")
    assert (tmp_path / "part.jsonl").read_bytes() == frames_before


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(tmp_path: Path) -> None:
    run(tmp_path, 20, *KEEPING)
    before = (tmp_path / "run.npz").read_bytes()
    done = call_apart(
        "run",
        *SMALL,
        *("--steps", "40", "--checkpoint", "run.npz", "--resume", "--format", "csv"),
        cwd=tmp_path,
        before=with_files_of(2000),
    )
    assert done.returncode == 0
    assert "vgtui: --checkpoint: run.npz cannot be written: File too large; the training goes on" in done.stderr
    assert "\n40," in done.stdout
    assert (tmp_path / "run.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.jsonl", "run.npz"]


def test_an_output_that_was_cut_is_not_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path, 20, *KEEPING)
    (tmp_path / "part.jsonl").write_text("")
    done = run(tmp_path, 40, *KEEPING, "--resume")
    assert done.returncode == 2
    assert "part.jsonl has 0 bytes, and had" in done.stderr


def test_a_folder_that_takes_no_checkpoint_is_told_before_the_training(tmp_path: Path) -> None:
    done = run(tmp_path, 20, "--checkpoint", "nope/run.npz")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vgtui: --checkpoint: nope/run.npz cannot be written: its folder")


@pytest.mark.parametrize("words", [["--resume"], ["--checkpoint-every", "5"]])
def test_what_needs_a_checkpoint_says_so(words: list[str]) -> None:
    done = call("run", "--steps", "5", *words)
    assert done.returncode == 2
    assert done.stderr == f"vgtui: {words[0]}: needs --checkpoint FILE, which says where\n"


RARELY = ["--checkpoint", "run.npz", "--checkpoint-every", "900", "--output", "part.jsonl", "--resume"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The frames of a run that nothing has stopped."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, 900, "--output", "whole.jsonl")
    return frames(folder / "whole.jsonl")


def test_a_run_that_is_killed_ahead_of_its_first_checkpoint_begins_again(
    tmp_path: Path, whole: list[dict[str, Any]]
) -> None:
    words = ["run", *SMALL, "--steps", "900", "--every", "4", *RARELY]
    output = tmp_path / "part.jsonl"
    with subprocess.Popen(command(*words), cwd=tmp_path) as process:
        while not output.exists() or output.read_bytes().count(b"\n") < 3:
            assert process.poll() is None
            time.sleep(LOOK_SECONDS)
        process.kill()
    assert output.read_bytes().count(b"\n") < 200
    assert call(*words, cwd=tmp_path).returncode == 0
    assert frames(output) == whole


@pytest.mark.parametrize(
    "left",
    slow_but([[["part.jsonl"]], [["run.npz"]], [[]]], [["part.jsonl"]]),
    ids=["empty output", "checkpoint", "nothing"],
)
def test_whatever_a_run_leaves_that_is_killed_as_it_begins_the_same_words_begin_again(
    tmp_path: Path, left: list[str], whole: list[dict[str, Any]]
) -> None:
    if "run.npz" in left:
        run(tmp_path, 0, *RARELY)
        (tmp_path / "part.jsonl").unlink()
    elif left:
        (tmp_path / "part.jsonl").touch()
    done = run(tmp_path, 900, *RARELY)
    assert (done.returncode, done.stderr) == (0, "")
    assert frames(tmp_path / "part.jsonl") == whole


def test_a_run_of_no_step_has_a_checkpoint_of_its_beginning(tmp_path: Path) -> None:
    assert run(tmp_path, 0, "--checkpoint", "run.npz", "--output", "part.jsonl").returncode == 0
    about = json.loads(members(tmp_path / "run.npz")["about"].tobytes())
    assert (about["step"], about["output"], about["output_bytes"]) == (0, "part.jsonl", 0)


@pytest.mark.parametrize("checkpoint", ["none", "of another output"])
def test_resume_leaves_somebody_elses_output_alone(tmp_path: Path, checkpoint: str) -> None:
    if checkpoint != "none":
        run(tmp_path, 20, *KEEPING[:4], "--output", "other.jsonl")
    (tmp_path / "part.jsonl").write_text("all my work")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = run(tmp_path, 40, *KEEPING, "--resume")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "vgtui: --output: part.jsonl is there already; it takes the name of a new file, or --overwrite\n"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run(tmp_path, 40, *KEEPING, "--resume", "--overwrite").returncode == 0
    begin = 0 if checkpoint == "none" else 20
    assert [line["step"] for line in frames(tmp_path / "part.jsonl")[1:]] == list(range(begin, 41, 4))


def test_overwrite_with_resume_still_goes_on_where_there_is_something_to_go_on_with(tmp_path: Path) -> None:
    run(tmp_path, 44, "--output", "whole.jsonl")
    run(tmp_path, 30, *KEEPING)
    assert run(tmp_path, 44, *KEEPING, "--resume", "--overwrite").returncode == 0
    assert frames(tmp_path / "part.jsonl") == frames(tmp_path / "whole.jsonl")


def test_a_name_that_no_checkpoint_can_hold_is_refused(tmp_path: Path) -> None:
    for names in (("run.npz", "run\udcff.jsonl"), ("run\udcff.npz", "run.jsonl")):
        done = call("run", *SMALL, "--steps", "2", "--checkpoint", names[0], "--output", names[1], cwd=tmp_path)
        assert (done.returncode, "is not the name of a file in UTF-8" in done.stderr) == (2, True), done
    assert not list(tmp_path.iterdir())
