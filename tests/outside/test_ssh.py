"""The dashboard over a real SSH session on loopback: frozen, and dropped."""

import signal
from pathlib import Path

import pytest

from tests.outside.ssh import dashboard_over_ssh, remote_processes, seconds_until_ended, why_not
from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.wire.frames import Frame

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def test_a_client_that_was_frozen_goes_on_and_one_that_is_dropped_leaves_nothing_behind(tmp_path: Path) -> None:
    recording = tmp_path / "run.jsonl"
    with dashboard_over_ssh(tmp_path, None, "--record", str(recording)) as (terminal, port):
        terminal.wait_for(lambda: terminal.step, 60)
        terminal.process.send_signal(signal.SIGSTOP)
        before = terminal.step or 0
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for(lambda: (terminal.step or 0) > before)
        processes = remote_processes(port)
        assert len(processes) == 2
        terminal.process.kill()
        seconds_until_ended(processes)
    reader = RecordingReader("it")
    frames = sum(isinstance(message, Frame) for message in read_recording(str(recording), reader))
    assert frames > 0
    assert reader.summary() in (f"{frames} frames", "1 frame")
