"""A socket that says what it likes to `vgtui attach`: q is answered, memory is bounded, it ends in a sentence."""

import os
from pathlib import Path

import pytest

from tests.forms import slow_but
from tests.outside.harmless import assert_harmless
from tests.outside.hostile import TALKS, hostile_socket
from tests.outside.limits import call_with
from tests.terminal.forked import ForkedTerminal

MAX_MEGABYTES = 250
ON_A_SCREEN = ("faults without an end", "hostile names", "frames without an end that nobody asked for")
IN_A_PIPE = ("frames of null", "a step of a hundred digits", "half a header", "hostile names")


def path_of_socket() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "model.sock"


def peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.parametrize("name", slow_but(ON_A_SCREEN, "frames without an end that nobody asked for"))
def test_on_a_screen_q_is_answered_whatever_comes(name: str) -> None:
    path = path_of_socket()
    with hostile_socket(path, TALKS[name]), ForkedTerminal(["attach", str(path)]) as terminal:
        terminal.wait_for(lambda: "space pause" in terminal.text)
        begun = len(terminal.received)
        terminal.wait_for(lambda: len(terminal.received) > begun + 5000)  # it draws what comes
        assert peak_megabytes(terminal.process.pid) < MAX_MEGABYTES
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert b"\x1b]52" not in terminal.received


def test_on_a_screen_what_is_no_model_ends_it_in_a_sentence() -> None:
    path = path_of_socket()
    with hostile_socket(path, TALKS["a frame before any header"]), ForkedTerminal(["attach", str(path)]) as terminal:
        assert terminal.wait_for_exit() == 2
        terminal.wait_for(lambda: b"is not a watched model" in terminal.received)
        assert b"internal error" not in terminal.received


@pytest.mark.parametrize("name", slow_but(IN_A_PIPE, "half a header"))
def test_in_a_pipe_it_is_a_report_or_a_sentence(name: str, tmp_path: Path) -> None:
    path = path_of_socket()
    with hostile_socket(path, TALKS[name]):
        assert_harmless(call_with("attach", str(path), cwd=tmp_path))
