"""Data of a user, and checkpoints, that chance has changed: read, or refused in one sentence."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import NetworkConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from tests.engine.test_files import IMAGES, LABELS, ROWS, idx, npz
from tests.forms import slow_but
from vgtui.wire.run_settings import RunSettings
from vgtui.worker.run import Run

RIGHT = {
    "d.csv": ROWS.encode(),
    "d.csv.gz": gzip.compress(ROWS.encode()),
    "d.npz": npz(x=IMAGES, y=LABELS),
    "a-images-idx3-ubyte": idx(IMAGES),
}
SMALL = RunSettings(NetworkConfig(2, 8))
chances = st.randoms(use_true_random=False)


def changed(data: bytes, chance: random.Random) -> bytes:
    """Flipped, cut, doubled or filled with other bytes, at a place or three."""
    for _ in range(chance.randint(1, 3)):
        begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        part = chance.choice([b"", chance.randbytes(3), b"\xff" * 8, b",,", b"\n\n", b"1e999", data[begin:end] * 2])
        data = (data[:begin] + part + data[chance.choice([begin + 1, end]) :]) or b"x"
    return data


def assert_read_or_refused(read: Callable[[], object]) -> None:
    try:
        read()
    except UsageError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", RIGHT)
@given(chance=chances)
def test_changed_data_are_read_or_refused(tmp_path: Path, name: str, chance: random.Random) -> None:
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(idx(LABELS))
    (tmp_path / name).write_bytes(changed(RIGHT[name], chance))
    assert_read_or_refused(lambda: load_dataset(str(tmp_path / name)))


@given(chance=chances)
def test_a_changed_checkpoint_is_gone_on_from_or_refused(tmp_path: Path, chance: random.Random) -> None:
    right = tmp_path / "right.npz"
    if not right.exists():
        assert Run(SMALL).save(str(right), "-", 0) is None
    (tmp_path / "run.npz").write_bytes(changed(right.read_bytes(), chance))
    run = Run(SMALL)
    assert_read_or_refused(lambda: run.resume(str(tmp_path / "run.npz")))
    assert all(np.isfinite(values).all() for values in run.trainer.network.named_parameters().values())


@pytest.mark.parametrize("right", slow_but([20_000, 500_000], 20_000))
def test_a_wrong_line_behind_very_many_right_ones_is_named(tmp_path: Path, right: int) -> None:
    with (tmp_path / "d.csv").open("w") as file:
        file.writelines(f"{number},{number % 7},{number % 3}\n" for number in range(right))
        file.write("1,two,3\n")
    with pytest.raises(UsageError, match=f'line {right + 1}, column 2: "two" is not a number'):
        load_dataset(str(tmp_path / "d.csv"))


@pytest.mark.parametrize(
    "name", ["\0.csv", "~there-is-no-such-user/d.csv", "/dev/null", "/proc/self/mem", "x" * 5000 + ".csv"]
)
def test_what_cannot_be_a_file_of_data_is_said(name: str) -> None:
    with pytest.raises(UsageError):
        load_dataset(name)
