"""Completion of words, in the shells themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import call
from tests.forms import slow_but

BIN = Path(sys.executable).parent


LINES = [
    [line, some]
    for line, some in (
        ("vgtui sw", {"sweep"}),
        ("vgtui ", {"run", "sweep", "doctor"}),
        ("vgtui run --act", {"--activation"}),
        ("vgtui run --activation s", {"sigmoid", "selu", "silu", "softplus"}),
        ("vgtui --opt", {"--optimizer"}),
        ("vgtui sweep --metric g", {"gradient_ratio_start", "gradient_ratio_end"}),
        ("vgtui completion f", {"fish"}),
        ("vgtui --theme sol", {"solarized_dark", "solarized_light"}),
        ("vgtui run --preset g", {"glorot-2010"}),
        ("vgtui lessons q", {"quarter"}),
        ("vgtui list pre", {"presets"}),
    )
]
SHORT = ("vgtui sw", "vgtui run --activation s", "vgtui --theme sol", "vgtui lessons q")
"""A command, a value, an option of the dashboard, and what is no option."""


@pytest.mark.parametrize(("line", "some"), slow_but(LINES, *(case for case in LINES if case[0] in SHORT)))
def test_bash_completes_commands_options_and_values(line: str, some: set[str]) -> None:
    script = call("completion", "bash").stdout
    asking = (
        f'{script}\nexport PATH="{BIN}:$PATH"\nCOMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9\n'
        f'read -ra COMP_WORDS <<< "$COMP_LINE"; COMP_CWORD=1\n'
        '_python_argcomplete vgtui; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asking], capture_output=True, text=True)
    words = {word.strip() for word in done.stdout.splitlines()}
    assert some <= words, done.stderr
    last = line.rsplit(" ", maxsplit=1)[-1]
    assert all(word.startswith(last) for word in words)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_of_another_shell_is_taken_by_it(shell: str, tmp_path: Path) -> None:
    script = call("completion", shell).stdout
    assert "vgtui" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script)
    assert subprocess.run([shell, "-n", tmp_path / "script"]).returncode == 0
    if shell == "fish":
        asking = f'set -x PATH {BIN} $PATH; source {tmp_path / "script"}; complete -C "vgtui run --activation si"'
        done = subprocess.run(["fish", "-c", asking], capture_output=True, text=True)
        assert {"sigmoid", "silu"} <= {line.split("\t")[0] for line in done.stdout.splitlines()}


def test_another_shell_is_refused() -> None:
    done = call("completion", "tcsh")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "tcsh" in done.stderr and "fish" in done.stderr
