"""A full disk, closed streams, few files and processes, a home that is not there: one sentence, and nothing lost."""

import os
import resource
import stat
import sys
from pathlib import Path

import pytest

from engine.config import NetworkConfig
from tests.cli.shell import SMALL, call
from tests.forms import slow_but
from tests.outside.limits import (
    FULL,
    NO_PASSWD_ENTRY,
    PRINTING,
    SHORT,
    SWEEP,
    call_with,
    close_output,
    close_the_others,
    fault_in,
    is_root_with_setpriv,
    write_files,
)
from vgtui.wire.run_settings import RunSettings
from vgtui.worker.run import Run

QUICK = [words for words in PRINTING if words[0] in ("--help", "--version", "config", "export", "replay")] + [
    (*SHORT, "--format", "jsonl"),
    (*SWEEP, "-o", "-"),
]
linux = pytest.mark.skipif(sys.platform != "linux" or not FULL.is_char_device(), reason="needs /dev/full")
other_user = pytest.mark.skipif(not is_root_with_setpriv(), reason="needs root and setpriv, to be another user")


@linux
@pytest.mark.parametrize("words", slow_but(QUICK, ("--help",), (*SWEEP, "-o", "-")), ids=" ".join)
def test_output_that_a_full_disk_does_not_take_is_one_sentence_and_never_success(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    write_files(tmp_path)
    done = call_with(*words, cwd=tmp_path, stdout=str(FULL))
    assert fault_in(done, codes=(1, 2)) is None
    assert "No space left on device" in done.stderr.splitlines()[-1]


def test_a_closed_standard_output_is_said(tmp_path: Path) -> None:
    done = call_with("list", cwd=tmp_path, before=close_output)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output is closed" in done.stderr


def test_without_standard_input_and_error_it_still_runs(tmp_path: Path) -> None:
    done = call_with(*SHORT, "-o", "run.csv", cwd=tmp_path, before=close_the_others)
    assert done.returncode == 0
    assert (tmp_path / "run.csv").read_text().count("\n") > 1


def test_a_checkpoint_and_a_sweep_never_take_the_place_of_a_device(tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device)
    done = call(*SHORT, "--checkpoint", "device", cwd=tmp_path)
    assert (done.returncode, "is not a regular file" in done.stderr) == (2, True), done.stderr
    done = call(*SWEEP, "--jobs", "1", "-o", "/dev/null", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert stat.S_ISFIFO(device.stat().st_mode)


@pytest.mark.parametrize("by_command", slow_but([False, True], False))
def test_a_checkpoint_goes_where_a_link_leads(tmp_path: Path, by_command: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run.npz").symlink_to(tmp_path / "elsewhere" / "run.npz")
    if by_command:
        assert call(*SHORT, "--checkpoint", "run.npz", cwd=tmp_path).returncode == 0
    else:
        assert Run(RunSettings(NetworkConfig(2, 8))).save(str(tmp_path / "run.npz"), "-", 0) is None
    assert (tmp_path / "run.npz").is_symlink()
    assert (tmp_path / "elsewhere" / "run.npz").stat().st_size > 1000


@pytest.mark.parametrize("files", slow_but([10, 16, 32], 16))
def test_with_few_files_it_works_or_says_so(tmp_path: Path, files: int) -> None:
    for words in ((*SHORT, "-o", "run.jsonl"), (*SWEEP, "-o", "sweep.jsonl")):
        assert fault_in(call_with(*words, cwd=tmp_path, limits={resource.RLIMIT_NOFILE: files})) is None


@other_user
def test_with_no_more_processes_a_run_and_a_sweep_end_and_say_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    for words in ((*SHORT, "-o", "run.jsonl"), (*SWEEP, "-o", "sweep.jsonl")):
        done = call_with(
            *words,
            cwd=tmp_path,
            user=NO_PASSWD_ENTRY,
            limits={resource.RLIMIT_NPROC: 2},
            env={"OPENBLAS_NUM_THREADS": "1", "XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None},
        )
        assert done.returncode == 1
        assert "cannot be started" in done.stderr or "no more" in done.stderr, done.stderr


@other_user
def test_a_user_without_a_home_can_train_and_sweep(tmp_path: Path, long_form: bool) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    without = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"))
    write_files(tmp_path)
    reading = (("lessons",), ("list", "themes"), ("config",))
    for words in ((*SHORT, "-o", "own.jsonl"), (*SWEEP, "-o", "s.jsonl"), *(reading if long_form else ())):
        done = call_with(*words, cwd=tmp_path, user=NO_PASSWD_ENTRY, env=without)
        assert (done.returncode, fault_in(done)) == (0, None), done.stderr
    assert '"error"' not in (tmp_path / "s.jsonl").read_text().replace('"error":null', "")


@pytest.mark.parametrize("home", slow_but(["a file", "relative", "missing"], "a file"))
def test_any_home_will_do(tmp_path: Path, home: str) -> None:
    (tmp_path / "a file").write_text("")
    place = {"a file": str(tmp_path / "a file"), "relative": "here", "missing": "/nonexistent/at/all"}[home]
    variables = {
        "HOME": place, "TMPDIR": place, "XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None,
        "CUPY_CACHE_DIR": str(tmp_path / "a file" / "within"),
    }  # fmt: skip
    done = call_with("run", "--steps", "2", *SMALL, cwd=tmp_path, env=variables)
    assert (done.returncode, fault_in(done)) == (0, None)


@pytest.mark.parametrize("megabytes", slow_but([300, 1000], 300))
def test_with_little_memory_it_works_or_says_so(tmp_path: Path, megabytes: int) -> None:
    done = call_with(*SHORT, cwd=tmp_path, limits={resource.RLIMIT_AS: megabytes * 10**6})
    assert fault_in(done) is None
