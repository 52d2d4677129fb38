"""`vgtui attach` in a real terminal, on a process that trains."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.terminal.terminal import Terminal

SCRIPT = """
import sys, time, vgtui
emitter = vgtui.Emitter(["block.a", "block.b", "head"], name=sys.argv[1], every="20ms")
print("there", flush=True)
step = 0
while True:
    if emitter.is_due(step):
        emitter.emit(step, [1e-9, 1e-4, 1.0], loss=2.0)
    time.sleep(0.001)
    step += 1
"""


@contextmanager
def training(name: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, name], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        try:
            yield process
        finally:
            process.kill()


def wait_for_words(terminal: Terminal, words: str) -> None:
    terminal.wait_for(lambda: words in terminal.text)


def test_the_viewer_stays_when_the_training_is_killed_and_goes_on_when_it_comes_back() -> None:
    with training("model") as first, Terminal(["attach"]) as terminal:
        terminal.wait_for(lambda: "block.a" in terminal.text and terminal.step)
        terminal.wait_for(lambda: "1.0e-09" in terminal.text and "vanishing: block.a" in terminal.text)
        first.send_signal(signal.SIGKILL)
        terminal.wait_for(lambda: "ended" in terminal.line)
        assert "block.a" in terminal.text
        with training("model"):
            terminal.wait_for(lambda: "ended" not in terminal.line)
        terminal.wait_for(lambda: "ended" in terminal.line)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_a_viewer_that_is_killed_costs_the_training_nothing() -> None:
    with training("model") as process:
        for _ in range(3):
            with Terminal(["attach"]) as terminal:
                wait_for_words(terminal, "step ")
                terminal.process.kill()
        with Terminal(["attach"]) as terminal:
            terminal.wait_for(lambda: terminal.step)
            before = terminal.step
            terminal.wait_for(lambda: terminal.step != before)
        assert process.poll() is None


def test_pausing_is_the_viewers_alone() -> None:
    with training("model"), Terminal(["attach"]) as terminal:
        terminal.wait_for(lambda: terminal.step)
        terminal.press(" ")
        terminal.wait_for(lambda: "paused" in terminal.line)
        with Terminal(["attach"]) as other:
            other.wait_for(lambda: other.step)
            before = other.step
            other.wait_for(lambda: other.step != before)
        assert "paused" in terminal.line


def test_of_several_models_the_user_chooses_one() -> None:
    with training("one"), training("two"), Terminal(["attach"]) as terminal:
        terminal.wait_for(lambda: "which one, 1 to 2?" in terminal.text)
        assert " 1  one  process" in terminal.text
        terminal.press("x\n7\n2\n")
        terminal.wait_for(lambda: "two · 3 layers" in terminal.line)


def test_ctrl_c_and_a_closed_input_leave_the_question() -> None:
    with training("one"), training("two"):
        for keys, code, words in (("\x03", 130, ""), ("\x04", 2, "none was chosen")):
            with Terminal(["attach"]) as terminal:
                wait_for_words(terminal, "which one")
                terminal.press(keys)
                assert terminal.wait_for_exit() == code
                assert words in terminal.text
