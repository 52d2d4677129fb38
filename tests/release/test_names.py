"""Names of modules that users know go on working."""

import importlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("library", "name"), [("lightning", "lightning"), ("transformers", "transformers")])
def test_a_callback_is_found_under_the_name_that_users_know(library: str, name: str) -> None:
    pytest.importorskip(library)
    known = importlib.import_module(f"vgtui.watching.{name}")
    assert known.Watch is importlib.import_module(f"vgtui.watching.integrations.{name}").Watch


def test_the_training_process_can_be_started_under_the_name_that_users_know() -> None:
    ends = [
        subprocess.run([sys.executable, "-m", name], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        for name in ("vgtui.training.worker", "vgtui.worker.main")
    ]
    assert ends[0].returncode == ends[1].returncode
    assert ends[0].stderr.splitlines()[-1:] == ends[1].stderr.splitlines()[-1:]
