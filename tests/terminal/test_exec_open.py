"""`vgtui exec --open` in a real terminal: a command whose output has a panel, and which outlives the dashboard."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.terminal.forked import ForkedTerminal
from tests.terminal.terminal import Terminal, has_ended

TRAINING = """
import sys, time, vgtui
emitter = vgtui.Emitter(["block.a", "block.b", "head"], name="besides", every="20ms")
step = 0
while True:
    if emitter.is_due(step):
        emitter.emit(step, [1e-9, 1e-4, 1.0], loss=2.0)
    print(f"\\rprogress {step}", end="", flush=True)
    time.sleep(0.01)
    step += 1
"""
SHELL = "printf 'first\\033[31mred\\033[0m\\rFIRST\\n'; exit 3"


def begin(*command: str, columns: int = 120, lines: int = 40) -> ForkedTerminal:
    return ForkedTerminal(["exec", "--open", "--", *command], columns, lines)


def wait_for_words(terminal: Terminal, words: str) -> None:
    terminal.wait_for(lambda: words in terminal.text)


@pytest.mark.parametrize(("script", "code"), [(SHELL, 3), ("kill -9 $$", 137), ("exit 0", 0)])
def test_the_exit_code_of_a_command_that_trains_nothing_is_shown_and_passed_on(script: str, code: int) -> None:
    with begin("sh", "-c", script) as terminal:
        wait_for_words(terminal, f"ended with exit code {code}")
        assert "no model is watched yet" in terminal.line
        if script == SHELL:
            wait_for_words(terminal, "FIRSTred")
        assert terminal.process.poll() is None  # it stays open until q
        terminal.press("q")
        assert terminal.wait_for_exit() == code
        assert terminal.is_restored()
        assert f"has ended with exit code {code}" in terminal.text


def test_the_model_is_shown_and_q_leaves_the_training_running_and_says_how_to_come_back() -> None:
    with begin(sys.executable, "-c", TRAINING) as terminal:
        terminal.wait_for(lambda: "besides · 3 layers" in terminal.line and "progress" in terminal.text)
        wait_for_words(terminal, "vanishing: block.a")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored()
        said = re.sub(r"\s", "", terminal.text)
        assert "vgtuiattachbesides" in said
        (pid,) = map(int, re.findall(r"kill(\d+)endsit", said))
        (log,) = re.findall(r"isin(/.*?exec-\d+\.log)", said)
        try:
            terminal.wait_for(lambda: Path(log).is_file())
            size = Path(log).stat().st_size
            terminal.wait_for(lambda: Path(log).stat().st_size > size)
            assert b"progress" in Path(log).read_bytes()
            assert not has_ended(pid)
            with ForkedTerminal(["attach", str(pid)]) as again:
                wait_for_words(again, "besides · 3 layers")
        finally:
            os.kill(pid, signal.SIGKILL)
        terminal.wait_for(lambda: has_ended(pid))


def test_of_several_models_the_others_are_named_with_the_key_that_shows_them() -> None:
    script = TRAINING.replace("step = 0", "other = vgtui.Emitter(['a', 'b'], name='another', every='20ms')\nstep = 0")
    script = script.replace(
        "    print(", "    if other.is_due(step):\n        other.emit(step, [1.0, 1.0])\n    print("
    )
    with begin(sys.executable, "-c", script) as terminal:
        wait_for_words(terminal, "another · 2 layers")
        wait_for_words(terminal, "the command trains besides too; M shows the next model")
        terminal.press("M")
        wait_for_words(terminal, "besides · 3 layers")
        terminal.press("\x03\x03\x03")
        wait_for_words(terminal, "ended with exit code")


def test_a_bar_of_tqdm_makes_room_for_the_line_about_the_watching() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tqdm")
    script = (
        "import torch, tqdm\n"
        "model = torch.nn.Linear(4, 4)\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "for _ in tqdm.tqdm(range(30), desc='epoch'):\n"
        "    model(torch.ones(1, 4)).sum().backward()\n"
        "    optimizer.step()\n"
    )
    with ForkedTerminal(["exec", sys.executable, "-c", script]) as terminal:
        assert terminal.wait_for_exit() == 0
        said = [line.rstrip() for line in terminal.text.split("\n") if line.strip()]
    assert said[0] == "vgtui: watching model; in another terminal: vgtui attach model"
    assert len(said) == 2 and said[1].startswith("epoch: 100%")


def test_ctrl_c_twice_ends_the_training_and_once_does_not() -> None:
    with begin(sys.executable, "-c", TRAINING, columns=80, lines=24) as terminal:
        wait_for_words(terminal, "besides · 3 layers")
        terminal.press("\x03")
        wait_for_words(terminal, "again ends the training")
        step = terminal.step
        terminal.wait_for(lambda: terminal.step != step)
        terminal.press("\x03\x03")  # the first may have been long ago, on a busy machine
        terminal.wait_for(lambda: "ended with exit code 130" in terminal.text, 60)
        assert "KeyboardInterrupt" in terminal.text
        terminal.press("\x03")  # it has ended: this leaves
        assert terminal.wait_for_exit() == 130
        assert terminal.is_restored()


def test_a_hung_up_terminal_leaves_the_training_running(tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f"echo $$ > {said}.pid; while :; do echo on >> {said}; echo out; sleep 0.05; done"
    with begin("sh", "-c", script) as terminal:
        wait_for_words(terminal, "out")
        terminal.process.kill()
        terminal.process.wait()
        size = said.stat().st_size
        terminal.wait_for(lambda: said.stat().st_size > size + 30)
        os.kill(int(Path(f"{said}.pid").read_text()), signal.SIGKILL)


def test_a_program_that_there_is_not_is_one_sentence() -> None:
    with begin("no-such-program", "train.py") as terminal:
        assert terminal.wait_for_exit() == 2
        assert 'COMMAND: no program "no-such-program"' in terminal.text
        assert "Traceback" not in terminal.text
