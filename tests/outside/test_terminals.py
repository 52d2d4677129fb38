"""Terminals and keyboards of every kind, on a real pseudo-terminal."""

import fcntl
import signal
import termios
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SMALL
from tests.forms import slow_but
from tests.outside.corpus import HOSTILE
from tests.terminal.forked import ForkedTerminal
from tests.terminal.terminal import TIMEOUT, has_ended

TYPED = (
    b"\xff\xfe\x80",
    b"\xc3",
    b"\xf0\x9f",
    b"\x1b[999;999;999~\x1b[<9999;0;0M",
    b"\x1b]0;x\x07\0\0",
    b"\x1b[200~" + HOSTILE.encode() + b"\xff\x1b[201~",
    b"\x1b" * 50,
    b"\x1b[1;99;99;99R",
)


ENVIRONMENTS = [
    {"TERM": ""},
    {"TERM": "x" * 5000, "COLORTERM": "\x1b[31m"},
    {"TERM": "linux", "LC_ALL": "xx_YY.UTF-99", "LANG": "../../etc"},
    {"TERM": "vt52", "LINES": "-3", "COLUMNS": "many", "TZ": "nowhere"},
]


@pytest.mark.parametrize("environment", slow_but(ENVIRONMENTS, ENVIRONMENTS[3]))
def test_any_terminal_and_any_locale_show_the_dashboard(environment: Any) -> None:
    with ForkedTerminal(SMALL, **environment) as terminal:
        terminal.wait_for(lambda: "3x8" in terminal.text.replace("×", "x") and "sgd 0.1" in terminal.text)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert b"Traceback" not in terminal.received


def test_whatever_is_typed_or_pasted_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where x records
    with ForkedTerminal(SMALL) as terminal:
        terminal.wait_for(lambda: terminal.step)
        for typed in TYPED:
            before = terminal.step or 0
            terminal.press(typed)
            terminal.press("\x1b")  # a key among it may have opened something
            terminal.wait_for(lambda before=before: terminal.step not in (None, before))  # type: ignore[misc]
        terminal.press("qq")  # the first may be taken for alt+q, after the escape
        assert terminal.wait_for_exit() == 0
        assert b"]52" not in terminal.received


def let_go_of_the_terminal() -> None:
    """As setsid does: what becomes of the terminal is told by no signal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_terminal_that_is_gone_ends_the_dashboard_without_a_signal() -> None:
    with ForkedTerminal(SMALL, before=let_go_of_the_terminal) as terminal:
        terminal.wait_for(lambda: terminal.step)
        workers = terminal.workers()
        terminal.hang_up()
        assert terminal.process.wait(TIMEOUT) == 128 + signal.SIGHUP
        assert all(map(has_ended, workers))
