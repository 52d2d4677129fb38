"""`vgtui doctor`: what is there, and what to mend."""

import json
import os
import subprocess
import sys

import pytest

from tests.cli.shell import call


def test_as_json_it_has_every_section_and_a_measured_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.cli.commands.doctor.SPEED_SECONDS", 0.2)
    done = call("doctor", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert set(found) == {"program", "backend", "terminal", "paths", "speed", "advice"}
    assert found["backend"]["auto takes"] in ("numpy on cpu", f"cupy on {found['backend']['auto takes'][8:]}")
    assert found["program"]["cores"] == len(os.sched_getaffinity(0))
    ((name, words),) = found["speed"].items()
    assert name == "20×64, batch 128" and float(words.split()[0]) > 1


def test_what_is_wrong_is_said_with_what_would_mend_it() -> None:
    wrong = {"TERM": "dumb", "VGTUI_WIDHT": "3", "LC_ALL": "C", "VGTUI_LR": "x", "PYTHONUTF8": "0"}
    script = (
        "import vgtui.cli.commands.doctor as doctor, vgtui.cli.main\n"
        "doctor.SPEED_SECONDS = 0.2\n"
        "raise SystemExit(vgtui.cli.main.main(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | wrong)
    assert done.returncode == 0
    advice = done.stdout.partition("to mend:")[2]
    for words in ("set it to what it is, such as xterm-256color", "set LANG=C.UTF-8", "VGTUI_WIDHT is not an option"):
        assert words in advice
    assert 'VGTUI_LR: "x" is not a number' in advice
