"""A file is written as a whole or not at all, and nothing is left beside it."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from tests.cli.shell import WITHOUT_BYTECODE
from tests.limits import with_files_of
from vgtui.files.atomic import write_whole


def writing(data: bytes) -> Callable[[IO[bytes]], object]:
    return lambda file: file.write(data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    for data in (b"one", b"another"):
        write_whole(tmp_path / "file", writing(data))
        assert (tmp_path / "file").read_bytes() == data
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [OSError("no"), ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_what_fails_midway_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "file").write_bytes(b"before")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_whole(tmp_path / "file", fail)
    assert (tmp_path / "file").read_bytes() == b"before"
    assert names(tmp_path) == ["file"]


REMEMBER = "from vgtui.user.settings_file import remember; remember(theme='light' * 10_000)"
KEEP = """
import sys, numpy, pathlib, vgtui.files.atomic
try: vgtui.files.atomic.write_whole(pathlib.Path(sys.argv[1]), lambda file: numpy.savez(file, a=numpy.zeros(9999)))
except OSError as error: print(error.strerror)
"""


@pytest.mark.parametrize("before", [None, b'{"view":"heat map"}'], ids=["new", "replaced"])
def test_a_full_disk_leaves_what_was_remembered_and_nothing_beside_it(tmp_path: Path, before: bytes | None) -> None:
    file = tmp_path / "vgtui" / "look.json"
    file.parent.mkdir()
    if before:
        file.write_bytes(before)
    subprocess.run(
        [sys.executable, "-c", REMEMBER],
        env={**os.environ, **WITHOUT_BYTECODE, "XDG_STATE_HOME": str(tmp_path)},
        preexec_fn=with_files_of(10_000),
        check=True,
    )
    assert names(file.parent) == (["look.json"] if before else [])
    assert not before or file.read_bytes() == before


def test_a_full_disk_is_told_with_the_systems_reason(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KEEP, str(tmp_path / "file.npz")]
    done = subprocess.run(
        words,
        env={**os.environ, **WITHOUT_BYTECODE},
        preexec_fn=with_files_of(10_000),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "File too large\n"
    assert names(tmp_path) == []


def test_a_link_goes_on_pointing_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/file")
    for data in (b"one", b"another"):
        write_whole(tmp_path / "link", writing(data))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "elsewhere" / "file").read_bytes() == data
    assert names(tmp_path / "elsewhere") == ["file"]


def test_permissions_are_those_of_the_file_before_or_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_whole(tmp_path / "new", writing(b"1"))
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "new").chmod(0o600)
    write_whole(tmp_path / "new", writing(b"2"))
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_what_is_not_a_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        write_whole(pipe, writing(b"through"))
        assert reader.communicate()[0] == b"through"
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, writing(b""))


def test_the_longest_name_that_a_folder_takes_can_be_written(tmp_path: Path) -> None:
    name = "n" * os.pathconf(tmp_path, "PC_NAME_MAX")
    write_whole(tmp_path / name, writing(b"data"))
    assert names(tmp_path) == [name]
