"""What only a real pseudo-terminal shows: bytes, signals, exit codes, processes."""

import os
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal.terminal import Terminal

LEFT_ALTERNATE_SCREEN = b"\x1b[?1049l"
MOUSE_OFF = b"\x1b[?1000l"
CURSOR_ON = b"\x1b[?25h"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as opened:
        opened.wait_for(lambda: opened.step is not None)
        yield opened


def worker_of(terminal: Terminal) -> int:
    """The process id of the training process."""
    children = Path(f"/proc/{terminal.process.pid}/task/{terminal.process.pid}/children").read_text().split()
    (worker,) = (int(pid) for pid in children if b"vgtui.training.worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return worker


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has seen off yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def assert_clean(terminal: Terminal) -> None:
    """The terminal is as it was: its settings, the normal screen, no mouse, the cursor."""
    terminal.read(0.1)
    assert termios.tcgetattr(terminal.slave) == terminal.attributes
    for sequence in (LEFT_ALTERNATE_SCREEN, MOUSE_OFF, CURSOR_ON):
        assert sequence in terminal.received[-4096:]


def test_it_paints_trains_and_answers_keys(terminal: Terminal) -> None:
    first = terminal.step or 0
    terminal.wait_for(lambda: (terminal.step or 0) > first)
    assert "sigmoid · 20×64 · xavier_normal · BatchNorm off · skip off" in terminal.line
    assert "vanishing: layer 1 gets" in terminal.text
    for key, words in (("a", "tanh"), ("b", "BatchNorm on"), ("s", "skip on"), ("i", "xavier_uniform")):
        terminal.press(key)
        terminal.wait_for(lambda words=words: words in terminal.line, seconds=1.0)  # type: ignore[misc]
        terminal.wait_for(lambda: "…" not in terminal.line, seconds=1.0)
    terminal.wait_for(lambda: "healthy" in terminal.text)


def test_q_leaves_with_0_and_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert_clean(terminal)


def test_ctrl_c_leaves_like_q(terminal: Terminal) -> None:
    terminal.press("\x03")
    assert terminal.wait_for_exit() == 0
    assert_clean(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_clean_with_128_plus_its_number(
    terminal: Terminal, number: signal.Signals
) -> None:
    worker = worker_of(terminal)
    terminal.process.send_signal(number)
    begin = time.monotonic()
    assert terminal.wait_for_exit() == 128 + number
    assert time.monotonic() - begin < 1.5
    assert_clean(terminal)
    terminal.wait_for(lambda: has_ended(worker), seconds=2)


def test_a_signal_is_obeyed_while_nobody_reads_the_terminal(terminal: Terminal) -> None:
    # nothing is read from here on, so that the program's writes block when the buffer is full
    time.sleep(3)  # there is nothing to wait for: a stalled terminal says nothing
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(timeout=3) == 128 + signal.SIGTERM
    assert termios.tcgetattr(terminal.slave) == terminal.attributes


def test_a_killed_worker_is_a_fault_and_r_starts_again(terminal: Terminal) -> None:
    os.kill(worker_of(terminal), signal.SIGKILL)
    terminal.wait_for(lambda: "killed by" in terminal.text and "stopped" in terminal.line)
    terminal.press("r")
    terminal.wait_for(lambda: "stopped" not in terminal.line and "vanishing" in terminal.text)


def test_the_worker_ends_when_the_dashboard_is_killed(terminal: Terminal) -> None:
    worker = worker_of(terminal)
    terminal.process.kill()
    terminal.wait_for(lambda: has_ended(worker), seconds=1.5)


def test_a_backend_that_is_not_there_is_one_sentence_after_a_clean_screen() -> None:
    with Terminal(["--backend", "cupy"]) as terminal:
        assert terminal.wait_for_exit() == 2
        assert_clean(terminal)
        assert b"vgtui: --backend: cupy cannot be used" in terminal.received
        assert b"Traceback" not in terminal.received


def test_it_follows_the_size_of_the_terminal(terminal: Terminal) -> None:
    for columns, lines in ((80, 24), (40, 12), (200, 60)):
        terminal.resize(columns, lines)
        terminal.wait_for(lambda: "vanishing: layer 1 gets" in terminal.text)
        step = terminal.step or 0
        terminal.wait_for(lambda step=step: (terminal.step or 0) > step)  # type: ignore[misc]
