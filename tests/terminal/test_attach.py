"""`vgtui attach` in a real terminal, on a process that trains."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.terminal.forked import ForkedTerminal
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
    with training("model") as first, ForkedTerminal(["attach"]) as terminal:
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


def test_viewers_that_pause_or_are_killed_cost_the_training_nothing(long_form: bool) -> None:
    with training("model") as process, ForkedTerminal(["attach"]) as paused:
        paused.wait_for(lambda: paused.step)
        paused.press(" ")
        paused.wait_for(lambda: "paused" in paused.line)
        for _ in range(3 if long_form else 1):
            with ForkedTerminal(["attach"]) as killed:
                wait_for_words(killed, "step ")
                killed.process.kill()
        with ForkedTerminal(["attach"]) as other:
            other.wait_for(lambda: other.step)
            before = other.step
            other.wait_for(lambda: other.step != before)
        paused.read(0)
        assert "paused" in paused.line
        assert process.poll() is None


def test_of_several_models_the_user_chooses_one_and_ctrl_c_and_a_closed_input_leave_the_question() -> None:
    with training("one"), training("two"):
        with ForkedTerminal(["attach"]) as terminal:
            terminal.wait_for(lambda: "which one, 1 to 2?" in terminal.text)
            assert " 1  one  process" in terminal.text
            terminal.press("x\n7\n2\n")
            terminal.wait_for(lambda: "two · 3 layers" in terminal.line)
        for keys, code, words in (("\x03", 130, ""), ("\x04", 2, "none was chosen")):
            with ForkedTerminal(["attach"]) as terminal:
                wait_for_words(terminal, "which one")
                terminal.press(keys)
                assert terminal.wait_for_exit() == code
                assert words in terminal.text
