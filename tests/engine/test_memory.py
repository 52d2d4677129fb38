"""Runs that do not fit into memory are refused, by the limits that apply."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backend import select_backend
from engine.config import NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.memory import MAX_SHARE, check_memory, estimate_memory, host_limits

GIB = 2**30
NETWORK, TRAINING, DIGITS = NetworkConfig(4, 2048), TrainingConfig(), load_dataset("digits")


def limits(tmp_path: Path, groups: str, files: dict[str, str]) -> dict[str, int]:
    """Return the limits of control groups with these files, by their descriptions."""
    (tmp_path / "cgroup").write_text(groups)
    for name, content in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return {words: size for size, words in sorted(host_limits(tmp_path / "cgroup", tmp_path / "mounted"), reverse=True)}


GROUP = "this container or job may use {}"


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/job\n", {"job/memory.max": "1000\n"}, 1000),
        ("0::/slurm/job/step\n", {"slurm/job/memory.max": "1000\n", "slurm/job/step/memory.max": "max\n"}, 1000),
        ("0::/slurm/job\n", {"slurm/memory.max": "900\n", "slurm/job/memory.max": "1000\n"}, 900),
        ("0::/\n", {"memory.max": "1000\n"}, 1000),
        ("5:cpu:/a\n4:memory,hugetlb:/a/b\n", {"memory/a/b/memory.limit_in_bytes": "1000\n"}, 1000),
        ("4:memory:/docker/abc\n0::/\n", {"memory/memory.limit_in_bytes": "1000\n"}, 1000),
    ],
)
def test_the_smallest_limit_of_the_control_groups_holds(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int
) -> None:
    assert limits(tmp_path, groups, files)[GROUP] == limit


@pytest.mark.parametrize("groups", ["", "0::/job\n", "0::/job\n7:pids:/job\n"])
def test_without_other_limits_the_memory_of_the_machine_counts(tmp_path: Path, groups: str) -> None:
    found = limits(tmp_path, groups, {"job/memory.max": "max\n", "job/pids.max": "7\n"})
    assert "this machine has {}" in found and GROUP not in found


def test_the_limit_of_ulimit_counts() -> None:
    lines = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\nfrom tests.engine import test_memory"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{lines}\ntest_memory.refuse(hidden_layers=40)"], capture_output=True, text=True
    )
    assert done.stdout == (
        "hidden_layers: 40 layers of width 2048 need about 2.0 GiB, and ulimit -v allows 1.0 GiB; "
        "use fewer layers, a smaller width or a smaller batch\n"
    )


def refuse(**changes: int) -> None:
    """Print why a network is refused."""
    try:
        check_memory(replace(NETWORK, **changes), TRAINING, DIGITS, select_backend("numpy"))  # type: ignore[arg-type]
    except UsageError as error:
        print(error)


def test_kept_memory_counts() -> None:
    available, _ = min(host_limits())
    room = int(MAX_SHARE * available) - estimate_memory(NETWORK, TRAINING, DIGITS)
    backend = select_backend("numpy")
    check_memory(NETWORK, TRAINING, DIGITS, backend, kept=room)
    with pytest.raises(UsageError, match=r"beside the .* GiB of the run whose weights are kept"):
        check_memory(NETWORK, TRAINING, DIGITS, backend, kept=room + 1)


def test_concurrent_runs_share_the_memory() -> None:
    available, _ = min(host_limits())
    half = MAX_SHARE * available / 2
    layers = 8
    while estimate_memory(replace(NETWORK, hidden_layers=layers), TRAINING, DIGITS) <= half:
        layers *= 2
    network, backend = replace(NETWORK, hidden_layers=layers), select_backend("numpy")
    with pytest.raises(UsageError, match="GiB for 2 runs; use fewer layers"):
        check_memory(network, TRAINING, DIGITS, backend, concurrent_runs=2)


def test_on_a_gpu_free_and_freed_memory_count() -> None:
    needed = estimate_memory(NETWORK, TRAINING, DIGITS)
    free = int(needed / MAX_SHARE) + 1
    gpu = replace(select_backend("numpy"), name="cupy", free_memory=lambda: free)
    check_memory(NETWORK, TRAINING, DIGITS, gpu)
    full = replace(gpu, free_memory=lambda: free - needed)
    with pytest.raises(UsageError, match=r"need about 0\.2 GiB, and the GPU has 0\.0 GiB free"):
        check_memory(NETWORK, TRAINING, DIGITS, full)
    check_memory(NETWORK, TRAINING, DIGITS, full, freed=needed)
