"""`vgtui exec`: what trains is watched, and the script gives the same output, exit code and signals as without it."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import command
from tests.watching import automatic_scripts as scripts
from tests.watching.recorded import frames, header
from vgtui.watching.automatic.launch import watched_environment

pytest.importorskip("torch")
EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT = Path(__file__).parents[2]


def run(*words: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, stdin=subprocess.DEVNULL
    )


def both(script: str, folder: Path) -> tuple[list[str], str, list[Path]]:
    """Run a script bare and watched. Returns its lines, what vgtui said, and the recordings."""
    (folder / "train.py").write_text(script)
    bare = run(sys.executable, "train.py", cwd=folder)
    words = command("exec", "--every", "1", "--record", "run.jsonl", sys.executable, "train.py")
    watched = run(*words, cwd=folder)
    assert bare.returncode == watched.returncode == 0, watched.stderr.decode()
    assert bare.stdout == watched.stdout
    assert bare.stdout
    return bare.stdout.decode().splitlines(), watched.stderr.decode(), sorted(folder.glob("run*.jsonl"))


def told(name: str) -> str:
    return f"vgtui: watching {name}; in another terminal: vgtui attach {name}\n"


def assert_losses(recording: Path, losses: list[float]) -> None:
    """The frames from the second step on have these losses."""
    shown = [frame.loss for frame in frames(recording)]
    assert len(shown) >= len(losses) - 2
    assert [math.isclose(loss or 0, right, rel_tol=1e-6) for loss, right in zip(shown, losses[1:], strict=False)] == [
        True
    ] * len(shown)


def test_a_plain_script_trains_the_same_bit_for_bit_and_its_losses_are_shown(tmp_path: Path) -> None:
    lines, errors, (recording,) = both(scripts.PLAIN, tmp_path)
    assert errors == told("Net")
    assert [layer.name for layer in header(recording).layers] == ["first", "last"]
    assert_losses(recording, [float.fromhex(line) for line in lines])


@pytest.mark.slow
def test_two_models_have_a_watcher_each_with_the_names_that_the_script_has_for_them(tmp_path: Path) -> None:
    lines, errors, recordings = both(scripts.GAN, tmp_path)
    assert errors == told("critic") + told("generator")
    second, first = recordings
    assert [one.name for one in (header(first).model, header(second).model) if one] == ["critic", "generator"]
    assert_losses(first, [float.fromhex(line.split()[0]) for line in lines])
    assert_losses(second, [float.fromhex(line.split()[1]) for line in lines])


def test_two_optimizers_on_a_copied_model_have_one_watcher(tmp_path: Path) -> None:
    lines, errors, (recording,) = both(scripts.TWO_OPTIMIZERS, tmp_path)
    assert errors == told("Autoencoder")
    assert [layer.name for layer in header(recording).layers] == ["encoder", "decoder"]
    assert_losses(recording, [float.fromhex(line) for line in lines])


@pytest.mark.slow
def test_a_target_network_and_a_parameter_in_no_module_are_left_out(tmp_path: Path) -> None:
    lines, errors, (recording,) = both(scripts.TARGET, tmp_path)
    assert errors == told("online")
    assert [layer.name for layer in header(recording).layers] == ["0", "2"]
    assert_losses(recording, [float.fromhex(line) for line in lines])


@pytest.mark.slow
def test_the_losses_of_micro_batches_are_added_up(tmp_path: Path) -> None:
    lines, _, (recording,) = both(scripts.ACCUMULATED, tmp_path)
    assert_losses(recording, [float.fromhex(line) for line in lines])


@pytest.mark.slow
def test_the_scale_of_a_grad_scaler_is_taken_out_of_the_loss(tmp_path: Path) -> None:
    lines, _, (recording,) = both(scripts.SCALED, tmp_path)
    assert_losses(recording, [float.fromhex(line) for line in lines])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "name"),
    [
        (scripts.CLOSURE, "model"),
        (scripts.COMPILED, "model"),
        (scripts.LIGHTNING, "Module"),
        (scripts.TRANSFORMERS, "GPT2LMHeadModel"),
    ],
    ids=["lbfgs", "compiled", "lightning", "transformers"],
)
def test_other_ways_to_train_give_the_same_numbers(script: str, name: str, tmp_path: Path) -> None:
    for module in ("lightning", "transformers", "accelerate"):
        if f"import {module}" in script:
            pytest.importorskip(module)
    _, errors, recordings = both(script, tmp_path)
    assert told(name) in errors
    assert frames(recordings[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "convnet", "transformer"])
def test_a_script_that_watches_by_itself_has_no_second_watcher(name: str, tmp_path: Path) -> None:
    done = run(*command("exec", sys.executable, str(EXAMPLES / f"{name}.py"), "--steps", "5"), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


ENDINGS = {
    "code": ("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)", 7),
    "signal": ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
    "error": ("raise ValueError('no')", 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_output_exit_code_and_signals_are_the_commands_own(ending: str, tmp_path: Path) -> None:
    script, code = ENDINGS[ending]
    bare = run(sys.executable, "-c", script, cwd=tmp_path)
    watched = run(*command("exec", sys.executable, "-c", script), cwd=tmp_path)
    assert bare.returncode == code
    assert (watched.returncode, watched.stdout, watched.stderr) == (bare.returncode, bare.stdout, bare.stderr)


def test_every_word_after_the_command_is_its_own(tmp_path: Path) -> None:
    words = ["--name", "x", "--every=--", "--record", "-h", "--", "--nam"]
    script = "import sys; print(sys.argv[1:])"
    done = run(*command("exec", "--name", "y", "--", sys.executable, "-c", script, *words), cwd=tmp_path)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, f"{words}\n", b"")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "vgtui: COMMAND: there is none; such as: vgtui exec python train.py\n"),
        (["nosuch"], 127, 'vgtui: no command "nosuch"\n'),
        (["train.py", "1"], 127, 'vgtui: no command "train.py"; did you mean: vgtui exec python train.py 1\n'),
        (["./train.py"], 126, 'vgtui: "./train.py" cannot be run: Permission denied; did you mean: vgtui exec '),
        (["--every", "soon", "true"], 2, "vgtui: --every: 'soon' is not a pace; "),
        (["--name", "", "true"], 2, "vgtui: --name: it is empty; "),
        (["--record", "train.py", "true"], 2, "vgtui: --record: train.py is there already; it takes a new file\n"),
        (["--record", "no/run.jsonl", "true"], 2, "vgtui: --record: no/run.jsonl: no such folder\n"),
        (["--keep", "1h", "true"], 2, "vgtui: --keep: says for how long a recording keeps every frame; give --record "),
        (["--nam", "x", "true"], 2, "vgtui exec: --nam: no such option; did you mean --name?"),
    ],
)
def test_what_is_wrong_is_one_sentence(words: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    done = run(*command("exec", *words), cwd=tmp_path)
    assert done.returncode == code and done.stdout == b""
    assert done.stderr.decode().startswith(sentence) and done.stderr.count(b"\n") == 1


def test_python_without_its_environment_is_told_and_runs(tmp_path: Path) -> None:
    done = run(*command("exec", "python3", "-I", "-c", "print(1)"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"1\n")
    assert done.stderr == b"vgtui: nothing will be watched: python3 -I reads no PYTHONPATH, by which vgtui comes in\n"


def test_a_sitecustomize_that_is_there_runs_and_the_path_is_as_without(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('theirs', __file__)")
    script = "import sys; print(sys.path, sys.modules['sitecustomize'].__file__)"
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    bare = run(sys.executable, "-c", script, cwd=tmp_path, **environment)
    watched = run(*command("exec", sys.executable, "-c", script), cwd=tmp_path, **environment)
    lines = watched.stdout.decode().splitlines()
    assert lines[-2:] == bare.stdout.decode().splitlines() and b"theirs" in bare.stdout
    assert watched.stderr == b""


@pytest.mark.slow
def test_a_script_with_an_engine_of_its_own_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "engine.py").write_text("NAME = 'theirs'")
    check = "import engine\nassert engine.NAME == 'theirs'\n"
    for script in (check + scripts.PLAIN, scripts.PLAIN + check):
        for recording in tmp_path.glob("run*"):
            recording.unlink()
        (tmp_path / "train.py").write_text(script)
        # as where vgtui is installed in another place than the script's
        place = {"PYTHONPATH": ""}
        environment = watched_environment({"every": 1, "record": str(tmp_path / "run.jsonl")}, {**os.environ, **place})
        done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr.decode() == told("Net")
        assert frames(tmp_path / "run.jsonl")


@pytest.mark.slow
def test_where_a_dependency_cannot_be_imported_it_is_told_and_the_script_trains(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.PLAIN)
    (tmp_path / "msgspec.py").write_text("raise ImportError('broken', name='msgspec')")
    bare = run(sys.executable, "train.py", cwd=tmp_path)
    environment = watched_environment({}, {**os.environ, "PYTHONPATH": str(tmp_path)})
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=environment, capture_output=True)
    assert (done.returncode, done.stdout) == (0, bare.stdout)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("vgtui: nothing is watched: ") and line.endswith("-m pip install msgspec")


@pytest.mark.slow
def test_of_ranks_the_first_alone_says_something(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.PLAIN)
    words = command("exec", sys.executable, "train.py")
    for rank, said in (("0", told("Net")), ("1", "")):
        assert run(*words, cwd=tmp_path, RANK=rank, WORLD_SIZE="2").stderr.decode() == said


def test_a_process_that_trains_nothing_says_nothing(tmp_path: Path) -> None:
    script = "import torch; print(torch.nn.Linear(2, 2)(torch.ones(2)).shape)"
    done = run(*command("exec", sys.executable, "-c", script), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"torch.Size([2])\n", b"")
