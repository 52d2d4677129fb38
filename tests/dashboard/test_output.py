"""The output of a command in the dashboard: an emulated terminal, a panel of three sizes, and a way back."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dashboard.sitting import Sitting, open_dashboard
from tests.dashboard.test_watched import WatchedModel
from tests.forms import slow_but
from vgtui.dashboard.screens.beside import BesideScreen
from vgtui.dashboard.session.command import HASTE_SECONDS, Command
from vgtui.dashboard.view.emulator import Emulator, printable
from vgtui.watching.descent import belongs_to
from vgtui.wire.run_settings import RunSettings

NUMBERS = "i=0; while [ $i -lt 100 ]; do echo number $i; i=$((i+1)); done; sleep 1000"


def lines_of(emulator: Emulator) -> list[str]:
    return ["".join(map(printable, row)).rstrip() for row in emulator.rows(0, emulator.height)]


@asynccontextmanager
async def running(
    script: str, size: tuple[int, int] = (120, 40), frames: int | None = None
) -> AsyncIterator[tuple[Sitting, Command]]:
    """A dashboard beside a shell script, with a model if there are frames."""
    command = Command(["sh", "-c", script], os.environ, *size)
    source = WatchedModel(RunSettings()) if frames is None else WatchedModel(RunSettings(), frames=frames)
    try:
        async with open_dashboard(source, size, command=command) as sitting:
            yield sitting, command
    finally:
        if command.exit_code is None:
            os.killpg(command.pid, signal.SIGKILL)
            command.interrupt()
            command.wait_if_ending()
        command.leave()


def test_a_bar_that_is_drawn_over_is_one_line_and_colours_are_no_text() -> None:
    emulator = Emulator(40, 5)
    emulator.feed_bytes(b"\x1b[32mepoch 1\x1b[0m\r\n")
    for step in range(101):
        emulator.feed_bytes(f"\r\x1b[2K{step:3d}% |{'█' * (step // 10)}|".encode())
    assert lines_of(emulator) == ["epoch 1", "100% |██████████|"]
    row = next(emulator.rows(0, 1))
    assert row[0].fg == "green"


@pytest.mark.parametrize("size", [(3, 40), (5, 8), (30, 100)])
def test_lines_that_left_the_screen_are_kept_and_a_new_size_loses_none(size: tuple[int, int]) -> None:
    emulator = Emulator(40, 10)
    emulator.feed_bytes(b"".join(b"line %d\r\n" % number for number in range(50)))
    lines, columns = size
    emulator.resize(lines, columns)
    assert lines_of(emulator) == [f"line {number}" for number in range(50)]
    emulator.feed_bytes(b"more")
    assert lines_of(emulator)[-2:] == ["line 49", "more"]


@given(data=st.binary(max_size=200) | st.text(alphabet="\x1b[]?;0123456789hlmHJKABCDrsu\n\r\tx\u202e", max_size=200))
def test_no_output_raises_and_none_commands_the_terminal(data: bytes | str) -> None:
    emulator = Emulator(20, 5)
    emulator.feed_bytes(data if isinstance(data, bytes) else data.encode())
    emulator.resize(3, 10)
    emulator.feed_bytes(b"\x1b[0m\r\nend")
    for line in lines_of(emulator):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", line)


@pytest.mark.parametrize("size", slow_but([(80, 24), (120, 40), (200, 60)], (80, 24), (200, 60)))
async def test_the_output_is_beside_the_layers_and_grows_and_hides(size: tuple[int, int]) -> None:
    async with running(NUMBERS, size) as (sitting, _):
        await sitting.until(lambda: "number 99" in sitting.text)
        main = sitting.app.main
        assert isinstance(main, BesideScreen)
        await sitting.until(lambda: main.has_class("-output-beside"))  # there is a model
        await sitting.until(lambda: "Verdict" in sitting.text and "number 99" in sitting.text)
        assert "vanishing: encoder.layers.1" in sitting.text
        await sitting.press("O")
        await sitting.until(lambda: "Verdict" not in sitting.text and "number 85" in sitting.text)
        await sitting.press("pageup", "pageup")
        await sitting.until(lambda: "lines back" in sitting.text and "number 99" not in sitting.text)
        await sitting.press("home")
        await sitting.until(lambda: "number 0 " in sitting.text)
        await sitting.press("end")
        await sitting.until(lambda: "number 99" in sitting.text)
        await sitting.press("O")
        await sitting.until(lambda: "Output" not in sitting.text and "Verdict" in sitting.text)
        await sitting.press("O")
        await sitting.until(lambda: "number 99" in sitting.text and "Verdict" in sitting.text)
        assert sitting.app.crash is None


async def test_until_there_is_a_model_the_output_has_the_screen_and_the_help_knows_its_keys() -> None:
    async with running("stty size <&1; sleep 1000", (120, 120), frames=0) as (sitting, _):
        await sitting.until(lambda: "116 118" in sitting.text)
        assert "Verdict" not in sitting.text
        assert "O output" in sitting.text.splitlines()[-1]
        await sitting.press("question_mark")
        assert "The output of the command" in sitting.text
        assert "The next model that the command trains" in sitting.text
        assert sitting.app.crash is None


async def test_the_command_has_a_terminal_of_the_panels_size() -> None:
    async with running("stty size <&1; trap 'stty size <&1' WINCH; while :; do sleep 0.05; done", (100, 30)) as (
        sitting,
        _,
    ):
        await sitting.until(lambda: "26 98" in sitting.text)
        await sitting.pilot.resize_terminal(90, 25)
        await sitting.until(lambda: "21 88" in sitting.text)


async def test_ctrl_c_twice_ends_it_and_a_command_that_does_not_end_is_sent_more() -> None:
    script = "trap 'echo not yet' INT; echo ready; while :; do sleep 0.05; done"
    async with running(script) as (sitting, command):
        await sitting.until(lambda: "ready" in sitting.text)
        await sitting.press("ctrl+c")
        assert "ctrl+c again ends the training" in sitting.text and not command.is_ending
        await sitting.press("ctrl+c")
        await sitting.until(lambda: "not yet" in sitting.text)
        assert command.exit_code is None and sitting.app.is_running
        await asyncio.sleep(HASTE_SECONDS)
        await sitting.press("ctrl+c")
        await sitting.until(lambda: command.exit_code == 143)
        await sitting.until(lambda: "ended with exit code 143" in sitting.text)


async def test_a_flood_of_output_holds_up_neither_the_command_nor_the_keys() -> None:
    flood = f"{sys.executable} -c \"print('x' * 70 + chr(10), end='') or [print('y' * 70) for _ in range(200_000)]\""
    async with running(f"{flood}; echo the end") as (sitting, command):
        await sitting.until(lambda: command.exit_code == 0)
        await sitting.until(lambda: "the end" in sitting.text)
        await sitting.press("O", "home")
        assert sitting.app.crash is None


def test_processes_of_a_command_are_found_also_in_sessions_of_their_own() -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        child = int(command.stdout.readline())
        try:
            assert belongs_to(child, command.pid) and belongs_to(command.pid, command.pid)
            assert not belongs_to(command.pid, child)
            assert not belongs_to(os.getpid(), command.pid)
        finally:
            os.kill(child, 9)
            command.kill()
    assert not belongs_to(child, command.pid)
