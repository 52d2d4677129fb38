"""What only a real pseudo-terminal shows: bytes, signals, exit codes, processes."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.forms import slow_but
from tests.terminal.forked import ForkedTerminal
from tests.terminal.stalled import leave_while_stalled
from tests.terminal.terminal import Terminal, has_ended


@pytest.fixture(scope="module")
def open_dashboard() -> Iterator[Callable[[], Terminal]]:
    """The dashboard that the test before has left running, as it had found it, or else a new one."""
    with ExitStack() as stack:
        opened: list[Terminal] = []

        def open_or_keep() -> Terminal:
            if not opened or opened[-1].process.poll() is not None:
                opened.append(stack.enter_context(ForkedTerminal()))
            return opened[-1]

        yield open_or_keep


@pytest.fixture
def terminal(open_dashboard: Callable[[], Terminal]) -> Terminal:
    terminal = open_dashboard()
    terminal.wait_for(lambda: terminal.step is not None)
    return terminal


def worker_of(terminal: Terminal) -> int:
    """The process id of the training process."""
    (worker,) = terminal.workers()
    return worker


def assert_clean(terminal: Terminal) -> None:
    assert terminal.is_restored()


def test_it_follows_the_size_of_the_terminal(terminal: Terminal) -> None:
    for columns, lines in ((200, 60), (40, 12), (80, 24)):
        terminal.resize(columns, lines)
        terminal.wait_for(lambda: "vanishing: layer 1 gets" in terminal.text)
        step = terminal.step or 0
        terminal.wait_for(lambda step=step: (terminal.step or 0) > step)  # type: ignore[misc]


def test_a_killed_worker_is_a_fault_and_r_starts_again(terminal: Terminal) -> None:
    os.kill(worker_of(terminal), signal.SIGKILL)
    terminal.wait_for(lambda: "killed by" in terminal.text and "stopped" in terminal.line)
    terminal.press("r")
    terminal.wait_for(lambda: "stopped" not in terminal.line and "vanishing" in terminal.text)


def test_q_leaves_with_0_and_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.press("q")
    assert terminal.wait_for_exit() == 0
    assert_clean(terminal)


def test_ctrl_c_leaves_like_q(terminal: Terminal) -> None:
    terminal.press("\x03")
    assert terminal.wait_for_exit() == 0
    assert_clean(terminal)


@pytest.mark.timing
def test_a_stalled_terminal_gets_few_pictures_and_the_newest_when_it_is_read_again(terminal: Terminal) -> None:
    before = terminal.step or 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        terminal.process.poll()  # nothing is read meanwhile
        time.sleep(0.1)
    size = len(terminal.received)
    terminal.wait_for(lambda: (terminal.step or 0) > before + 300, seconds=2)
    assert len(terminal.received) - size < 200_000


@pytest.mark.timing
def test_it_paints_trains_and_answers_keys(terminal: Terminal) -> None:
    first = terminal.step or 0
    terminal.wait_for(lambda: (terminal.step or 0) > first)
    assert "sigmoid · 20×64 · xavier_normal · BatchNorm off · skip off" in terminal.line
    assert "vanishing: layer 1 gets" in terminal.text
    for key, words in (("a", "tanh"), ("b", "BatchNorm on"), ("s", "skip on"), ("i", "xavier_uniform")):
        terminal.press(key)
        terminal.wait_for(lambda words=words: words in terminal.line, seconds=1.0)  # type: ignore[misc]
        terminal.wait_for(lambda: "…" not in terminal.line, seconds=1.0)
    terminal.wait_for(lambda: "healthy:" in terminal.text or "converged:" in terminal.text)


@pytest.mark.timing
@pytest.mark.parametrize("number", slow_but([signal.SIGTERM, signal.SIGHUP, signal.SIGINT], signal.SIGTERM))
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


@pytest.mark.timing
def test_the_worker_ends_when_the_dashboard_is_killed(terminal: Terminal) -> None:
    worker = worker_of(terminal)
    terminal.process.kill()
    terminal.wait_for(lambda: has_ended(worker), seconds=1.5)


@pytest.mark.timing
@pytest.mark.parametrize("number", slow_but([signal.SIGTERM, signal.SIGHUP, signal.SIGINT], signal.SIGHUP))
def test_a_signal_is_obeyed_while_nobody_reads_the_terminal(number: signal.Signals, tmp_path: Path) -> None:
    leaving = leave_while_stalled(number, tmp_path / "run.jsonl.gz")
    assert leaving.code == 128 + number
    assert leaving.seconds < 1.5  # 1 s on a machine that does nothing else: make soak counts that
    assert leaving.restored
    assert leaving.orphans == 0
    assert leaving.frames > 0


def test_a_backend_that_is_not_there_is_one_sentence_after_a_clean_screen() -> None:
    with ForkedTerminal(["--backend", "cupy"]) as terminal:
        assert terminal.wait_for_exit() == 2
        assert_clean(terminal)
        assert b"vgtui: --backend: cupy cannot be used" in terminal.received
        assert b"Traceback" not in terminal.received


def open_and_close(terminal: Terminal, key: str, words: str) -> None:
    """Open what lies over the screen, wait until all of it is there, and close it."""
    terminal.press(key)
    terminal.wait_for(lambda: words in terminal.text and "q quit" not in terminal.text)
    terminal.press("\x1b")
    terminal.wait_for(lambda: "q quit" in terminal.text)


def test_no_color_is_honoured_to_the_last_escape_code() -> None:
    with ForkedTerminal(NO_COLOR="1") as terminal:
        terminal.wait_for(lambda: "vanishing" in terminal.text)
        terminal.press("v")
        terminal.wait_for(lambda: ".:-=+*#%@" in terminal.text)
        for key, words in (("w", "What if"), (",", "Settings"), ("?", "Help"), ("\r", "Inside layer 1")):
            open_and_close(terminal, key, words)
        codes = set(re.findall(rb"\x1b\[([\d;:]*)m", bytes(terminal.received)))
    # 39 and 49 are the terminal's own colours
    assert {part for code in codes for part in code.split(b";")} <= {b"", b"0", b"1", b"2", b"4", b"7", b"39", b"49"}


def test_a_locale_without_utf8_gets_ascii_alone() -> None:
    with Terminal(LC_ALL="C", PYTHONUTF8="0") as terminal:
        terminal.wait_for(lambda: "vanishing" in terminal.text)
        assert "|dE/dW|" in terminal.text
        for key, words in (("?", "Help"), ("\r", "Inside layer 1")):
            open_and_close(terminal, key, words)
        assert bytes(terminal.received).isascii()


def test_a_dumb_terminal_gets_a_report_without_escape_codes() -> None:
    with ForkedTerminal(TERM="dumb") as terminal:
        assert terminal.wait_for_exit() == 0
        assert b"TERM=dumb cannot show a dashboard, so here is a report" in terminal.received
        assert b"\x1b" not in terminal.received


def test_what_a_user_chose_is_remembered_and_a_wrong_settings_file_is_one_sentence(tmp_path: Path) -> None:
    with ForkedTerminal(XDG_STATE_HOME=str(tmp_path)) as terminal:
        terminal.wait_for(lambda: terminal.step is not None)
        terminal.press("v")
        terminal.wait_for(lambda: list(tmp_path.rglob("look.json")))
    with ForkedTerminal(XDG_STATE_HOME=str(tmp_path)) as terminal:
        terminal.wait_for(lambda: "▀" in terminal.text)
    file = tmp_path / "settings.toml"
    file.write_text('[keys]\nview = "a"\n')
    with ForkedTerminal(VGTUI_CONFIG=str(file)) as terminal:
        assert terminal.wait_for_exit() == 2
        assert b'"a" is the key of next_activation too' in terminal.received
        assert b"Traceback" not in terminal.received
