"""`vgtui doctor`: what this machine, its GPU and the terminal can do, how fast it trains, and what to mend."""

import argparse
import asyncio
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from platformdirs import user_log_path, user_state_path
from threadpoolctl import threadpool_info

import vgtui
from engine.backend import device_versions, select_backend
from engine.errors import UsageError
from engine.threads import usable_cores
from vgtui.cli.commands.bench import best_rate
from vgtui.cli.output.columns import Columns
from vgtui.model.options import words_of
from vgtui.sources.live import LiveRun
from vgtui.terminal.capabilities import has_colour, has_utf8, is_dumb
from vgtui.terminal.progress import showing_progress
from vgtui.terminal.query import SYNCHRONISED_OUTPUT, supports_mode
from vgtui.terminal.text import plain
from vgtui.user.data_files import users_folder
from vgtui.user.defaults import read_defaults, unknown_variables
from vgtui.user.extras import EXTRAS, install_command, is_installed
from vgtui.user.settings_file import settings_path
from vgtui.user.themes import load_palettes
from vgtui.wire.run_settings import RunSettings

DESCRIPTION = "Look at this machine, its GPU and the terminal, measure for two seconds, and say what to mend."
EXAMPLES = "examples:\n  vgtui doctor\n  vgtui doctor --json | jq .backend\n  ssh gpu vgtui doctor"
SPEED_SECONDS = 2.0
COLUMNS = Columns("<22", "", gap=" ")
MIN_SIZE = (80, 24)
"""The columns and rows below which the dashboard leaves out most of what it has."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; advice says what to do about it, if there is something."""

    section: str
    name: str
    value: Any
    advice: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="as JSON, for a script or a report of a fault")


def call(chosen: argparse.Namespace) -> int:
    """Examine the machine, the terminal and vgtui itself, and print what was found and what to mend."""
    with showing_progress("looking", 1, "", quiet=chosen.json) as advance:
        findings = [*_program(), *_backend(), *_terminal(), *_paths(), *_speed()]
        advance(1)
    advice = [finding.advice for finding in findings if finding.advice]
    if chosen.json:
        sections: dict[str, Any] = {}
        for finding in findings:
            sections.setdefault(finding.section, {})[finding.name] = finding.value
        print(msgspec.json.format(msgspec.json.encode({**sections, "advice": advice})).decode())
        return 0
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            print(f"{section}:")
        print("  " + plain(COLUMNS.row(finding.name, _words(finding.value))))
    print("\nto mend:" if advice else "\nnothing to mend")
    for number, sentence in enumerate(advice, start=1):
        print(plain(f"  {number}. {sentence}"))
    return 0


def _words(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _program() -> Iterator[Finding]:
    yield Finding("program", "vgtui", vgtui.__version__)
    yield Finding("program", "python", f"{platform.python_version()}, {sys.executable}")
    yield Finding("program", "system", platform.platform())
    cores, load = usable_cores(), os.getloadavg()[0]
    busy = f"the machine is busy ({load:.1f} processes want its {cores} cores), so training is slower than it could be"
    yield Finding("program", "cores", cores)
    yield Finding("program", "load", round(load, 2), busy if load > cores + 1 else None)
    for blas in threadpool_info():
        yield Finding(
            "program", blas["user_api"], f"{blas['internal_api']} {blas['version']}, {blas['num_threads']} threads"
        )
    how = {
        name: "installed" if all(map(is_installed, modules)) else f"not installed: {install_command(name)}"
        for name, modules in EXTRAS.items()
    }
    yield Finding("program", "extras", [f"{name} ({words})" for name, words in how.items()])


def _backend() -> Iterator[Finding]:
    chosen = select_backend("auto")
    gpu = _nvidia_smi()
    reason = chosen.fallback_reason
    yield Finding("backend", "auto takes", f"{chosen.name} on {chosen.device}")
    yield Finding(
        "backend", "why no GPU", reason or "there is one", f"a GPU is there: {reason}" if gpu and reason else None
    )
    for name, version in device_versions().items():
        yield Finding("backend", name, version)
    yield Finding("backend", "nvidia-smi", gpu or "finds no GPU")


def _nvidia_smi() -> str | None:
    """The GPUs and their driver, as the system knows them; None where there are none."""
    if shutil.which("nvidia-smi") is None:
        return None
    question = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return "; ".join(answer.split("\n")).strip("; ") or None


def _terminal() -> Iterator[Finding]:
    from rich.console import Console

    is_terminal = sys.stdout.isatty() and sys.stdin.isatty()
    term = os.environ.get("TERM", "")
    dumb = "TERM says that the terminal can do nothing; set it to what it is, such as xterm-256color"
    yield Finding("terminal", "TERM", term or "not set", dumb if is_dumb() or not term else None)
    yield Finding("terminal", "is a terminal", is_terminal)
    encoding = "the locale has no UTF-8, so charts are drawn in ASCII; set LANG=C.UTF-8 or another with UTF-8"
    yield Finding("terminal", "UTF-8", has_utf8(), None if has_utf8() else encoding)
    colours = Console(force_terminal=True).color_system or "none"
    yield Finding("terminal", "colours", colours if has_colour() else "none, by NO_COLOR")
    if not is_terminal:
        return
    size = shutil.get_terminal_size()
    small = f"the window has {size.columns}×{size.lines} cells; {MIN_SIZE[0]}×{MIN_SIZE[1]} and more shows the layers"
    yield Finding("terminal", "size", f"{size.columns}×{size.lines}", small if size < MIN_SIZE else None)
    yield Finding("terminal", "synchronised output", supports_mode(SYNCHRONISED_OUTPUT))


def _paths() -> Iterator[Finding]:
    path = settings_path()
    problem = None
    try:
        read_defaults()
    except UsageError as error:
        problem = words_of(error)
    yield Finding("paths", "settings file", f"{path}{'' if os.path.exists(path) else ' (not there)'}", problem)
    for kind in ("themes", "lessons"):
        yield Finding("paths", kind, str(users_folder(kind)))
    for warning in load_palettes()[1]:
        yield Finding("paths", "a theme", warning.problem, warning.problem)
    for name in unknown_variables():
        yield Finding(
            "paths", name, os.environ[name], f"{name} is not an option of vgtui, and does nothing; see vgtui config"
        )
    for name, folder in (("state", user_state_path("vgtui")), ("crash log", user_log_path("vgtui"))):
        yield Finding("paths", name, str(folder), _unwritable(folder))


def _unwritable(folder: Path) -> str | None:
    """What is wrong with a folder that is written to, if anything: what there is of its path must let us in."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return None if os.access(nearest, os.W_OK) else f"{nearest} cannot be written, so nothing is remembered there"


def _speed() -> Iterator[Finding]:
    settings = RunSettings()
    network, training = settings.network, settings.training
    name = f"{network.hidden_layers}×{network.width}, batch {training.batch_size}"
    rate = asyncio.run(_rate(settings))
    if isinstance(rate, str):
        yield Finding("speed", name, None, f"training failed: {rate}")
    else:
        yield Finding("speed", name, f"{rate:.0f} steps/s, {1e3 / rate:.2f} ms a step")


async def _rate(settings: RunSettings) -> float | str:
    source = LiveRun(settings)
    try:
        return await best_rate(source, SPEED_SECONDS)
    finally:
        await source.close()
