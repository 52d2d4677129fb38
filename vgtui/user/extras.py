"""What can be installed beside vgtui, and how: by pipx where that installed vgtui, else by this interpreter's pip."""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from engine.errors import UsageError

EXTRAS = {
    "cluster": ("distributed",),
    "report": ("matplotlib", "jinja2"),
    "parquet": ("pyarrow",),
    "inject": ("hypno",),
}
"""The extras of our package, and the packages that each brings, whose modules have the same names."""


def is_installed(module: str) -> bool:
    """Whether there is a module; nothing is imported."""
    return find_spec(module) is not None


def missing(what: str, module: str) -> UsageError:
    """The error for what cannot be done without a module of an extra, with the command that installs the extra."""
    extra = next(name for name, modules in EXTRAS.items() if module in modules)
    return UsageError("", f"{what} {module}, which is not installed; install it with: {install_command(extra)}")


def install_command(extra: str) -> str:
    """What a user types into a shell to get what the extra brings and is not installed yet."""
    lacking = [module for module in EXTRAS[extra] if not is_installed(module)]
    home = Path(sys.prefix)
    if home.parent.parts[-2:] == ("pipx", "venvs") or (home / "pipx_metadata.json").exists():
        return f"pipx inject {shlex.quote(home.name)} {' '.join(lacking)}"
    return f"{shlex.quote(sys.executable)} -m pip install 'vgtui[{extra}]'"
