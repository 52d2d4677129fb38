"""The texts hold what they say: every command and example in them is run, and every file that they name is there."""

import doctest
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import call
from tests.forms import slow_but
from tests.release.stand_in import needs_terminal, shortened
from tests.terminal.test_attach import training
from vgtui.cli.arguments import Parser
from vgtui.cli.commands import dashboard, find_command

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
VGTUI = """\
#!/bin/sh
PYTHONPATH={root} exec {python} -m tests.release.stand_in "$@"
"""
SSH = """\
#!/bin/bash
# the other machine is this one; a forwarded socket is another name of it
while [[ $1 == -* ]]; do
    if [[ $1 == -L ]]; then ln -sf "$MODEL" "${2%%:*}"; shift; fi
    shift
done
shift
"$@" < /dev/null
"""
STANDS_FOR = {
    "make run": f"make -n -C {ROOT} run",
    "make test": f"make -n -C {ROOT} test",
    "pip install '.[cuda12]'": f"grep -q '^cuda12 = ' {ROOT}/pyproject.toml",
    "srun dask": "dask",
    "vgtui sweep …": "vgtui sweep --vary width=4,8 --steps 5",
    '"$SLURM_CPUS_PER_TASK"': "1",
    "vgtui replay -  ": "vgtui replay - < run.jsonl.gz  ",
    "$(jq -r .address scheduler.json)": "$(until jq -er .address scheduler.json; do sleep 0.1; done 2> /dev/null)",
}
"""What a test can have in the place of another machine, a cluster, a card, or an hour."""
PLACEHOLDERS = {
    "lesson NAME": "lesson quarter",
    "preset NAME": "preset he-2015",
    "COMMAND": "sweep",
    "FILE": "run.jsonl",
    "OUT": "out.csv",
}
blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
LONG = ("vgtui run --steps ", "vgtui sweep", "dask", "attach", "--record")
"""What is in the blocks of commands that run with --slow alone: a training, a terminal or a cluster of their own."""
inline = sorted({words for words in re.findall(r"`(vgtui(?: [^`\n]+)?)`", README)})
ELSEWHERE = ("--lesson", "--record", "--preset", "--activation", "doctor", "report")
"""What is in the commands within a sentence that run with --slow alone: tests/cli and tests/terminal run them."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "run.jsonl"
    assert call("run", "--steps", "10", "--output", str(path)).returncode == 0
    return path


@pytest.fixture
def folder(tmp_path: Path, recording: Path) -> Path:
    """Where a reader may be: with data and a recording."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("vgtui", VGTUI.format(python=sys.executable, root=str(ROOT))), ("ssh", SSH)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "my.csv").write_text("size,label\n" + "".join(f"{n},{n % 3}\n" for n in range(300)))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shutil.copy(recording, tmp_path)
    return tmp_path


def run_shell(script: str, folder: Path, **environment: str) -> None:
    """Have a shell run this; nothing of it may fail, and nothing stays."""
    paths = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": os.pathsep.join(paths), **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        ) as shell,
    ):
        try:
            code = shell.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert code == 0, (folder / "said").read_text()[-2000:]


@contextmanager
def a_model_that_is_watched() -> Iterator[str]:
    with training("resnet"):
        (socket,) = (Path(os.environ["XDG_RUNTIME_DIR"]) / "vgtui").glob("resnet-*.sock")
        yield str(socket)


@pytest.mark.timeout(600)  # ten commands of a block, on a machine that does other things too
@pytest.mark.parametrize(
    "block",
    slow_but(blocks, *(block for block in blocks if not any(words in block for words in LONG))),
    ids=[block.split("\n")[0][:40] for block in blocks],
)
def test_every_block_of_commands_in_the_readme_runs(block: str, folder: Path) -> None:
    for words, others in STANDS_FOR.items():
        block = block.replace(words, others)
    if "dask" in block:
        pytest.importorskip("distributed")
    with a_model_that_is_watched() if "attach" in block else nullcontext("") as model:
        run_shell(block.replace("/tmp/resnet.sock", f"{folder}/resnet.sock"), folder, MODEL=model)


def test_every_command_of_the_readme_has_words_that_vgtui_takes() -> None:
    """Of each one, also of those that do not run."""
    found = {*inline, *(words for block in blocks for words in re.findall(r"\bvgtui(?: [^|>#&<\n]*)?", block))}
    assert len(found) > 40
    for words in sorted(found):
        words = completed(words).replace("<(cat run.jsonl)", "run.jsonl")
        _, *arguments = shlex.split(words.replace('"$(jq -r .address scheduler.json)"', "tcp://x:1"))
        name = arguments[0] if arguments and not arguments[0].startswith("-") else None
        parser = Parser(prog="vgtui")
        if name is None:
            dashboard.add_arguments(parser)
        else:
            find_command(name).add_arguments(parser)
        help_wanted = pytest.raises(SystemExit, match=r"^0$") if "--help" in arguments else nullcontext()
        with help_wanted, redirect_stdout(io.StringIO()):
            parser.parse_words(arguments if name is None else arguments[1:])


def completed(words: str) -> str:
    """With something in the place of what a reader chooses."""
    for name, value in (PLACEHOLDERS | {"vgtui sweep …": STANDS_FOR["vgtui sweep …"]}).items():
        words = words.replace(name, value)
    needed = {"vgtui run": " --steps 10", "vgtui run --format jsonl": " --steps 10", "vgtui replay": " run.jsonl"}
    return words + needed.get(words, "")


@pytest.mark.parametrize(
    "words",
    slow_but(inline, *(line for line in inline if line != "vgtui" and not any(words in line for words in ELSEWHERE))),
)
def test_every_command_within_a_sentence_of_the_readme_runs(words: str, folder: Path) -> None:
    words = completed(words)
    if "--record" in words:
        (folder / "run.jsonl").unlink()
    if needs_terminal(shlex.split(words)) or "<(" in words:
        run_shell(words, folder)
    else:
        done = call(*shortened(shlex.split(words)[1:]), cwd=folder)
        assert done.returncode == 0, done.stderr


def test_the_examples_of_the_engine_are_true() -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    done = doctest.testfile(str(ROOT / "docs" / "engine.md"), module_relative=False, optionflags=options)
    assert done.attempted > 40
    assert done.failed == 0


def test_the_python_of_the_readme_runs() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    names: dict[str, Any] = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
        "loader": [(torch.ones(2, 3), torch.ones(2, 1))] * 3,
        "loss": torch.tensor(1.0),
        "step": 0,
        "norms": [0.1, 0.2, 0.3],
    }
    scripts = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(scripts) == 4
    for script in scripts:
        exec(script, names)
    names["watcher"].close()
    names["emitter"].close()


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_every_file_that_a_text_links_to_is_there(text: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text.read_text("utf-8"))
    assert [link for link in links if not (text.parent / link).exists()] == []


def test_every_fault_of_the_table_has_its_tests() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table)
    assert len(named) >= 20
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), f"{path}::{name}"


def test_the_readme_names_every_command_and_every_key() -> None:
    from vgtui.cli.commands import COMMANDS
    from vgtui.dashboard.keymap import KEYS

    assert [name for name in COMMANDS if f"vgtui {name}" not in README] == []
    assert [key.name for key in KEYS if f"`{key.name}`" not in README] == []
    table = README.partition("## Keys")[2].partition("\n## ")[0]
    words = {word for words in re.findall(r"`([^`]+)`", table) for word in (words, *words.split())}
    assert [key.shown for key in KEYS if not {*key.shown.split(), key.shown} & words] == []
