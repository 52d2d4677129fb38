"""`vgtui run` and its siblings, as a shell sees them."""

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import vgtui
from engine.telemetry import LAYER_FIELDS
from tests.cli.shell import SMALL, call, command
from tests.forms import slow_but
from tests.limits import files_no_longer_than
from vgtui.cli.commands import COMMANDS
from vgtui.cli.output.training import cancel_on_signals


def lines_of(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def test_frames_stand_at_every_kth_step_and_the_last() -> None:
    done = call("run", *SMALL, "--steps", "25", "--every", "10", "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    header, *frames = lines_of(done.stdout)
    assert header["type"] == "header"
    assert [frame["step"] for frame in frames] == [0, 10, 20, 25]


def test_one_seed_gives_the_same_frames_bit_for_bit() -> None:
    runs = []
    for _ in range(2):
        lines = lines_of(
            call("run", *SMALL, "--batch-norm", "--steps", "40", "--format", "jsonl", "--seed", "5").stdout
        )
        for line in lines:
            line.pop("steps_per_second", None)  # the clock's, not the seed's
        runs.append(lines)
    assert runs[0] == runs[1]
    assert len(runs[0]) == 12


def test_csv_has_a_row_a_frame_and_layer() -> None:
    done = call("run", *SMALL, "--steps", "4", "--every", "2", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["step"], row["layer"]) for row in rows] == [(s, f"layers.{n}") for s in "024" for n in range(4)]
    assert set(LAYER_FIELDS) < set(rows[0])
    assert rows[0]["update_ratio"] == rows[0]["dead"] == ""
    assert float(rows[-1]["grad_norm"]) > 0


def test_a_table_ends_in_the_report_with_chart_layers_and_verdict() -> None:
    done = call("run", "--steps", "20")
    assert done.returncode == 0
    assert "vanishing: layer 1 gets" in done.stdout.splitlines()[-1]
    assert done.stdout.splitlines()[-1].endswith("; try --batch-norm, --skip or --activation relu")
    assert "1e-10" in done.stdout
    assert sum(line.endswith(("reached", "weak", "vanished")) for line in done.stdout.splitlines()) == 21


def test_the_format_follows_the_ending_of_the_file(tmp_path: Path) -> None:
    done = call("run", *SMALL, "--steps", "3", "--output", "out.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert lines_of((tmp_path / "out.jsonl").read_text())[0]["type"] == "header"


def test_a_network_that_explodes_is_written_as_valid_json() -> None:
    done = call(
        "run",
        "--hidden-layers",
        "60",
        "--activation",
        "relu",
        "--init",
        "standard_normal",
        "--steps",
        "3",
        "--format",
        "jsonl",
    )
    last = lines_of(done.stdout)[-1]
    assert last["loss"] == "NaN"
    assert last["verdict"]["kind"] == "non-finite"  # type: ignore[index]


def test_without_a_terminal_vgtui_prints_a_report_and_no_escape_codes() -> None:
    done = call(*SMALL)
    assert done.returncode == 0
    assert "no terminal, so here is a report of 200 steps" in done.stderr
    assert "at step 200" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--activation", "sigmod"], '--activation: no activation "sigmod"; did you mean "sigmoid"?'),
        (["--hidden-layers", "0"], "--hidden-layers: 0 is out of range; it takes a whole number from 1 to 10000"),
        (["--width", "-1"], "--width: -1 is out of range"),
        (["--batch-norm", "--batch-size", "1"], "--batch-size: 1 with BatchNorm, but one sample has no variance"),
        (["--lr", "x"], '--lr: "x" is not a number'),
        (["--lr", "nan"], "--lr: nan is out of range"),
        (["--seed", "1.5"], '--seed: "1.5" is not a whole number'),
        (["--dataset", "digit"], '--dataset: no data set "digit"; did you mean "digits"?'),
        (["--backend", "cupy"], "--backend: cupy cannot be used: "),
        (["--init", "he"], '--init: no initialization "he"'),
        (["--clip", "0"], "--clip: 0.0 is out of range"),
        (["--threads", "0"], "--threads: 0 is out of range"),
        (["--batch-size", "5000"], "--batch-size: 5000 is more than the 1438 training samples of digits"),
        (["--width", "65536", "--hidden-layers", "10000"], "--hidden-layers: 10000 layers of width 65536 need about"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
@pytest.mark.parametrize("words", [[], ["run", "--steps", "5"]], ids=["dashboard", "run"])
def test_bad_input_is_one_sentence_and_exit_code_2(words: list[str], arguments: list[str], sentence: str) -> None:
    done = call(*words, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    error = done.stderr.replace("vgtui: no terminal, so here is a report of 200 steps (see vgtui run --help)\n", "")
    assert len(error.splitlines()) == 1
    assert sentence in error


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["runn"], 'COMMAND: no command "runn"; did you mean "run"?'),
        (["run"], "the following arguments are required: --steps"),
        (["run", "--steps", "-1"], "--steps: -1 is out of range"),
        (["run", "--steps", "9", "--every", "0"], "--every: 0 is out of range"),
        (["run", "--steps", "9", "--format", "xml"], '--format: no format "xml"; it may be table, jsonl, csv'),
        (
            ["run", "--steps", "9", "--output", "/nope/x"],
            "--output: /nope/x cannot be written: No such file or directory",
        ),
        (["list", "activation"], 'WHAT: no section "activation"; did you mean "activations"?'),
        (["--theme", "drak"], '--theme: no theme "drak"; did you mean "dark"?'),
        (["--fps", "0"], "--fps: 0 is out of range"),
    ],
)
def test_bad_usage_of_a_command_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.parametrize("words", [[], ["run", "--steps", "5"]], ids=["dashboard", "run"])
def test_a_bad_data_file_is_one_sentence_with_line_and_column(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "bad.csv").write_text("1,2,a\n3,four,b\n")
    done = call(*words, "--dataset", "bad.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == 'vgtui: --dataset: bad.csv: line 2, column 2: "four" is not a number'


def test_a_users_own_file_is_trained_on(tmp_path: Path) -> None:
    rows = "".join(f"{n % 7},{n % 2},{'even' if n % 2 == 0 else 'odd'}\n" for n in range(100))
    (tmp_path / "own.csv").write_text(f"size,parity,label\n{rows}")
    options = ["--activation", "relu", "--steps", "200", "--format", "jsonl", "--dataset", "own.csv"]
    done = call("run", *SMALL, *options, cwd=tmp_path)
    header, *frames = lines_of(done.stdout)
    assert header["dataset"] == {
        "name": "own.csv",
        "samples": 100,
        "features": 2,
        "classes": 2,
        "path": str(tmp_path / "own.csv"),
        "mean_square": pytest.approx(1),
    }
    assert frames[-1]["validation_accuracy"] == 1.0


def test_bench_prints_a_row_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgtui.cli.commands.bench.SIZES", ((2, 8, 16), (3, 8, 16), (4, 8, 16)))
    done = call("bench", "--seconds", "0.5", "--backend", "numpy")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *rows = done.stdout.splitlines()
    assert "ms a step" in heading
    assert len(rows) == 8
    assert all(float(row.split()[-2]) > 0 for row in rows)


def test_help_has_examples_and_version_is_the_packages() -> None:
    for words in ([], *([name] for name in COMMANDS)):
        done = call(*words, "--help")
        assert done.returncode == 0
        assert "example" in done.stdout
    assert call("--version").stdout == f"vgtui {vgtui.__version__}\n"


def test_list_names_everything_that_can_be_chosen() -> None:
    printed = call("list").stdout
    for word in ("sigmoid", "he_normal", "momentum", "digits", "light", "cupy", "activations:", "backends:"):
        assert word in printed
    assert "solarized_dark    dark" in call("list", "themes").stdout


def test_a_reader_that_leaves_early_is_no_fault() -> None:
    run = f"{sys.executable} -m vgtui run --steps 2000 --every 1 --format jsonl {' '.join(SMALL)}"
    script = f"{run} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def endless_run(before: Callable[[], object] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A run whose first frames have come. before: done in its process ahead of it."""
    arguments = [*SMALL, "--steps", "1000000", "--every", "5", "--format", "jsonl"]
    with subprocess.Popen(
        command("run", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before
    ) as process:
        assert process.stdout
        for _ in range(5):
            process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow  # the next test ends its run by SIGINT, and looks at the same
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_its_code_and_whole_lines(number: signal.Signals) -> None:
    with endless_run() as process:
        process.send_signal(number)
        rest, errors = process.communicate()
    assert (process.returncode, errors) == (128 + number, "")
    lines_of(rest)


def test_a_run_under_nohup_outlives_its_terminal() -> None:
    with endless_run(lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        process.send_signal(signal.SIGHUP)
        assert process.stdout
        for _ in range(50):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
    assert (process.returncode, errors) == (128 + signal.SIGINT, "")
    lines_of(rest)


def test_a_second_ctrl_c_does_not_break_off_how_a_run_ends() -> None:
    ended = False

    async def train_until_ctrl_c() -> list[int]:
        nonlocal ended
        received = cancel_on_signals()
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.01)  # as the worker takes a moment to leave
            ended = True
        return received

    assert asyncio.run(train_until_ctrl_c()) == [signal.SIGINT, signal.SIGINT]
    assert ended


def test_a_killed_worker_is_a_fault_with_exit_code_1() -> None:
    with endless_run() as process:
        for worker in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(worker), signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.startswith("vgtui: the training process was killed by SIGKILL")
    assert len(errors.splitlines()) == 1


TRAINS = ["run", "--steps", "2", *SMALL]


# of a run, tests/release/test_imports.py shows the same
@pytest.mark.parametrize("arguments", slow_but([[["--help"]], [TRAINS]], [["--help"]]))
def test_what_runs_without_a_screen_imports_no_textual(arguments: list[str]) -> None:
    script = (
        "import sys; from vgtui.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(str('textual' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.stderr == "False"


def test_a_users_folder_cannot_stand_in_for_the_engine(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')")
    entry = Path(sys.executable).with_name("vgtui")
    done = subprocess.run([entry, "run", *SMALL, "--steps", "2"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_that_cannot_be_had_costs_no_file(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("an earlier run\n")
    done = call(
        "run", *SMALL, "--steps", "3", "--output", "run.jsonl", "--overwrite", "--batch-size", "5000", cwd=tmp_path
    )
    assert done.returncode == 2
    assert (tmp_path / "run.jsonl").read_text() == "an earlier run\n"
    assert call("run", *SMALL, "--steps", "3", "--output", "run.jsonl", "--overwrite", cwd=tmp_path).returncode == 0
    assert lines_of((tmp_path / "run.jsonl").read_text())[0]["type"] == "header"


def test_a_full_disk_ends_a_run_with_a_sentence_and_what_was_written_is_whole(tmp_path: Path) -> None:
    long = ["run", *SMALL, "--steps", "400", "--every", "1", "-o", "a.jsonl"]
    with files_no_longer_than(20_000):
        done = call(*long, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "vgtui: --output: a.jsonl cannot be written: File too large\n"
    assert len(lines_of((tmp_path / "a.jsonl").read_text().rpartition("\n")[0])) > 5


def test_an_output_that_would_not_be_compressed_is_refused_with_the_way_to_compress_it(tmp_path: Path) -> None:
    done = call("run", *SMALL, "--steps", "2", "--output", "run.jsonl.gz", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "vgtui: --output: run.jsonl.gz would not be compressed; take --format jsonl --output - | gzip > run.jsonl.gz\n"
    )
    assert not list(tmp_path.iterdir())
