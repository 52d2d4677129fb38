"""`vgtui top` in a real terminal, on processes that train."""

import signal
from pathlib import Path

import pytest

from tests.terminal.forked import ForkedTerminal
from tests.terminal.test_attach import training


def test_a_training_is_opened_and_left_again_and_the_terminal_is_as_it_was() -> None:
    with training("model"), training("other"), ForkedTerminal(["top"]) as terminal:
        terminal.wait_for(lambda: "2 trainings" in terminal.line and terminal.text.count("vanishing") >= 2)
        terminal.press("\r")
        terminal.wait_for(lambda: "block.a" in terminal.text and "Gradient norm per layer" in terminal.text)
        terminal.press("q")
        terminal.wait_for(lambda: "2 trainings" in terminal.line)
        terminal.press(" ")
        terminal.press("\x1b[B")
        terminal.press("c")
        terminal.wait_for(lambda: "A  model" in terminal.text and "B  other" in terminal.text)
        terminal.press("q")
        terminal.wait_for(lambda: "2 trainings" in terminal.line)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_a_signal_ends_it_with_its_exit_code() -> None:
    with training("model"), ForkedTerminal(["top"]) as terminal:
        terminal.wait_for(lambda: "1 training" in terminal.line)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait_for_exit() == 128 + signal.SIGTERM


def test_a_training_of_a_host_is_opened_through_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    through = tmp_path / "ssh"
    through.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n'
        'case "$*" in *" attach "*) exit 0;; esac\n'
        'echo \'{"name":"far","pid":7,"socket":"/run/far.sock","state":"training","verdict":"dead"}\'\n'
        "echo\nsleep 100\n"
    )
    through.chmod(0o755)
    monkeypatch.setenv("VGTUI_SSH", str(through))
    with ForkedTerminal(["top", "--host", "gpu1"]) as terminal:
        terminal.wait_for(lambda: "far" in terminal.text and "dead" in terminal.text)
        terminal.press("\r")
        terminal.wait_for(lambda: " attach " in (tmp_path / "asked").read_text())
        terminal.wait_for(lambda: "far" in terminal.text)
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    assert "-t gpu1 vgtui attach /run/far.sock" in (tmp_path / "asked").read_text().splitlines()
