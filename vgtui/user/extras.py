"""What can be installed beside vgtui, and how: by pipx where that installed vgtui, else by this interpreter's pip."""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from engine.errors import UsageError

EXTRAS = {"cluster": "distributed", "report": "matplotlib", "parquet": "pyarrow"}
"""The extras of our package, and the one that each brings, whose module has the same name."""


def is_installed(extra: str) -> bool:
    """Whether there is what the extra brings; nothing is imported."""
    return find_spec(EXTRAS[extra]) is not None


def missing(what: str, extra: str) -> UsageError:
    """The error for what cannot be done without an extra, with the command that installs it."""
    return UsageError("", f"{what} {EXTRAS[extra]}, which is not installed; install it with: {install_command(extra)}")


def install_command(extra: str) -> str:
    """What a user types into a shell."""
    home = Path(sys.prefix)
    if home.parent.parts[-2:] == ("pipx", "venvs") or (home / "pipx_metadata.json").exists():
        return f"pipx inject {shlex.quote(home.name)} {EXTRAS[extra]}"
    return f"{shlex.quote(sys.executable)} -m pip install 'vgtui[{extra}]'"
