"""Files from outside: a corpus of bad ones, and right ones that chance has changed."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.outside.corpus import KINDS, Kind, corpus
from tests.outside.harmless import look_at

CORPUS = list(corpus())


def look_at_file(folder: Path, kind: Kind, data: bytes) -> list[int]:
    """Write a file where vgtui looks for it, and have it read. Returns the exit codes."""
    file = folder / kind.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    here = {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
    return [look_at(*words, env=here).returncode for words in kind.words(file)]


def test_the_corpus_has_a_hundred_files_and_more() -> None:
    assert len({(kind.name, words) for kind, words, _ in CORPUS}) == len(CORPUS) >= 100


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_right_file_is_taken(tmp_path: Path, kind: Kind) -> None:
    assert look_at_file(tmp_path, kind, kind.right)[0] == 0


@pytest.mark.parametrize(
    ("kind", "data"), [(kind, data) for kind, _, data in CORPUS], ids=[f"{kind.name}: {w}" for kind, w, _ in CORPUS]
)
def test_a_bad_file_does_no_harm(tmp_path: Path, kind: Kind, data: bytes) -> None:
    look_at_file(tmp_path, kind, data)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@given(chance=st.randoms(use_true_random=False), times=st.integers(1, 5))
def test_a_file_that_chance_has_changed_does_no_harm(
    tmp_path: Path, kind: Kind, chance: random.Random, times: int
) -> None:
    data = kind.right
    for _ in range(times):
        begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        part = chance.choice([b"", chance.randbytes(4), data[begin:end], b"-1e999", b'"\\u001b[31m"', b"null", b"[{"])
        data = data[:begin] + part + data[chance.choice([begin, begin + 1, end]) :] or b"x"
    look_at_file(tmp_path, kind, data)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@given(data=st.binary(max_size=300))
def test_any_bytes_do_no_harm(tmp_path: Path, kind: Kind, data: bytes) -> None:
    look_at_file(tmp_path, kind, data)


def test_what_has_no_end_is_not_read_to_it(tmp_path: Path) -> None:
    for name in ("vgtui/settings.toml", "vgtui/themes/own.toml", "vgtui/lessons/own.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to("/dev/zero")
    here = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    assert look_at("config", env=here).returncode == 2
    here["VGTUI_CONFIG"] = "/dev/null"
    assert look_at("lessons", env=here).returncode == 0
    assert look_at("list", "themes", env=here).returncode == 0
    assert look_at("plot", "/dev/zero").returncode == 2
    assert look_at("replay", "/dev/zero").returncode == 2
