"""`vgtui report`: one page, whole in itself, which a browser opens without a word of complaint."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.config import NetworkConfig, TrainingConfig
from tests.cli.shell import SMALL, call
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.models import make_model_frame, make_model_header
from tests.sweeps.rows import row_of, small_sweep
from vgtui.recordings.writer import Recorder
from vgtui.reports.page import run_page, sweep_page
from vgtui.reports.summary import RunSummary, read_summaries
from vgtui.sweeps.table import METRICS, make_table
from vgtui.wire.frames import Event
from vgtui.wire.run_settings import RunSettings

pytest.importorskip("matplotlib")
SIGMOID = RunSettings(NetworkConfig(hidden_layers=3, width=8), TrainingConfig(batch_size=16))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VOID = ("meta", "link", "br", "img", "input", "hr")


class Balance(HTMLParser):
    """Raises where tags are not closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: str) -> None:
    """The page is well formed, and asks for nothing that is not in it."""
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(figure)
    assert not re.search(
        r"""(src|href|url)\s*[=(]\s*["']?(https?:|//|file:)""", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    )
    assert "<script" not in page


def story_of(norms: list[list[float]], settings: RunSettings = SIGMOID) -> RunSummary:
    summary = RunSummary()
    summary.take(make_header(settings))
    for step, layers in enumerate(norms):
        summary.take(make_frame(settings, layers, step=step))
    return summary


def test_the_page_of_a_run_has_its_verdict_cures_theory_layers_and_configuration() -> None:
    page = run_page(story_of([[1e-6, 1e-4, 1e-2, 1.0], [1e-7, 1e-5, 1e-2, 1.0]]))
    check(page)
    assert "vanishing: layer 1 gets 1e-07 of what the output layer gets" in page
    assert "BatchNorm on: <code>--batch-norm</code>" in page
    assert "activation relu: <code>--activation relu</code>" in page
    assert "grad_norm: 1e-07 against the bound 0.001" in page
    assert "By mean-field theory" in page and "theory at step 0, one sample" in page
    assert page.count("<svg") == 3
    assert "vgtui run --steps 1 --hidden-layers 3 --width 8 --batch-size 16" in page
    assert page.count("<td>layer ") == 3 and "<td>the output layer</td>" in page


def test_the_page_of_somebodys_own_model_has_its_layers_by_name_and_what_is_unknown_is_empty() -> None:
    summary = RunSummary()
    summary.take(make_model_header())
    for step in range(3):
        summary.take(make_model_frame([1e-9, None, 0.0, *[0.5] * 4, 1.0], step))
    page = run_page(summary)
    check(page)
    for words in (
        "tiny: PyTorch model of 8 layers, 12 345 parameters, AdamW",
        "no theory for a model of your own",
        "<td>encoder.layers.0.self_attn MultiheadAttention</td>",
        "a warm-up of 100 steps to lr 0.001",
    ):
        assert words in page
    assert ">nan<" not in page and "vgtui run" not in page


@pytest.fixture(scope="module")
def odd() -> str:
    """The page of a run without theory, whose norms are of every kind."""
    skipping = RunSettings(NetworkConfig(3, 8, skip_connections=True), TrainingConfig(16))
    return run_page(story_of([[0.0, 1e-4, 1e-2, 1.0], [0.0, float("nan"), float("inf"), 1.0]], skipping))


def test_zeros_and_numbers_that_are_none_are_in_it_as_such(odd: str) -> None:
    check(odd)
    assert "<td>0</td>" in odd and "<td>nan</td>" in odd and "<td>inf</td>" in odd
    assert "an exact 0" in odd


def test_where_theory_has_no_curve_the_page_says_so(odd: str) -> None:
    assert "There is no theory: with skip connections" in odd and "theory at step 0" not in odd


@pytest.fixture(scope="module")
def last_of_two(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a recording with two runs, the last of which was not seen from its start."""
    path = tmp_path_factory.mktemp("several") / "run.jsonl"
    recorder = Recorder(path)
    deeper = RunSettings(NetworkConfig(5, 8), TrainingConfig(16))
    for line in (
        make_header(SIGMOID),
        make_frame(SIGMOID, [1.0] * 4),
        Event(step=0, kind="change", network=deeper.network, message="5 layers"),
        make_header(deeper),
        make_frame(deeper, [0.5] * 6, step=40),
        make_frame(deeper, [0.5] * 6, step=43),
    ):
        recorder.write(line)
    recorder.close()
    return run_page(*read_summaries(str(path)))


def test_a_recording_of_several_runs_tells_of_the_last(last_of_two: str) -> None:
    check(last_of_two)
    assert "sigmoid, 5 hidden layers of 8" in last_of_two and "the last of 2 runs" in last_of_two


def test_a_run_that_was_not_seen_from_its_start_has_no_theory_beside_it(last_of_two: str) -> None:
    assert "at step 43" in last_of_two and "at step 0" not in last_of_two


@pytest.fixture(scope="module")
def failed() -> str:
    """The page of a sweep without a result."""
    sweep = small_sweep("width=2,4,8")
    reasons = ["", None, "<script>alert(1)</script> & more"]
    rows = [
        row_of(point, verdict=None, loss=None, error=why) for point, why in zip(sweep.points(), reasons, strict=True)
    ]
    return sweep_page(sweep, rows, make_table(sweep, rows, METRICS["loss"]))


def test_outside_text_stays_text(failed: str) -> None:
    check(failed)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in failed


def test_the_page_of_a_sweep_has_pictures_verdicts_reasons_and_every_run() -> None:
    sweep = small_sweep("width=2,4", "activation=relu,tanh", seeds=2)
    rows = [row_of(p, verdict="dead" if p.values["activation"] == "relu" else "healthy") for p in sweep.points()]
    rows[-1] = row_of(next(sweep.points()), verdict=None, error="too large")
    page = sweep_page(sweep, rows, make_table(sweep, rows, METRICS["accuracy"]))
    check(page)
    assert "4 dead, 3 healthy" in page and "1 runs: too large" in page
    assert page.count("<svg") == 3
    assert "<td>varies</td>" in page and "8 of 8 runs" in page
    asked = sweep_page(sweep, rows, make_table(sweep, rows, METRICS["depth_scale"]))
    assert asked.count("<h2>depth scale") == 1 and asked.count("<svg") == 2  # what is asked for is not shown twice


def test_a_row_without_a_result_counts_also_where_its_reason_is_empty(failed: str) -> None:
    assert "2 runs: for an unknown reason" in failed


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording, a sweep, and the page of the recording."""
    folder = tmp_path_factory.mktemp("pages")
    call("run", *SMALL, "--steps", "30", "--every", "3", "--output", "run.jsonl", cwd=folder)
    call("sweep", *SMALL, "--vary", "width=2,4", "--steps", "3", "--output", "sweep.jsonl", cwd=folder)
    make_page(folder, "run.jsonl")
    return folder


def make_page(folder: Path, *words: str) -> None:
    done = call("report", *words, cwd=folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith("vgtui: the page is ")


ELSEWHERE = {"VGTUI_LR": "0.5", "VGTUI_WIDTH": "9", "VGTUI_MOMENTUM": "0"}


@pytest.mark.parametrize("elsewhere", slow_but([[{}], [ELSEWHERE]], [ELSEWHERE]), ids=str)
def test_the_command_of_a_page_gives_the_same_numbers(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "-my  'own' \".csv").write_text(
        "size,weight,label\n" + "".join(f"{n % 17},{n % 5},{n % 3}\n" for n in range(300))
    )
    options = ["--dataset", "data/-my  'own' \".csv", "--lr", "0.0123456789", "--clip", str(2 / 3), "--threads", "1"]
    options += ["--optimizer", "momentum", "--momentum", str(0.1 + 0.7)]
    call("run", *SMALL, *options, "--steps", "20", "--every", "5", "-o", "run.jsonl", cwd=tmp_path)
    assert call("report", "run.jsonl", cwd=tmp_path, env=elsewhere).returncode == 0
    (command,) = re.findall(r"same numbers: <code>(.*?)</code>", (tmp_path / "run.html").read_text(), re.DOTALL)
    shell = f"{unescape(command)} --every 5 --output again.jsonl"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", shell], cwd=tmp_path, env={**os.environ, "PATH": path, **elsewhere}, check=True)
    again, before = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("again.jsonl", "run.jsonl")
    )
    for line in (*again, *before):
        line.pop("steps_per_second", None)
        line.get("backend", {}).pop("fallback_reason", None)  # auto has one, where there is no GPU
    assert again == before and again[1]["loss"] > 0


PAGES = {
    "run": [],
    "sweep": ["sweep.jsonl"],
    "fresh": ["--steps", "5", *SMALL, "--output", "fresh.html"],
}
"""A page, and the words that make it, where it is not there already."""


@pytest.mark.parametrize("name", slow_but(PAGES, "run"))
def test_a_browser_opens_the_page_without_an_error(pages: Path, name: str) -> None:
    if words := PAGES[name]:
        make_page(pages, *words)
    check((pages / f"{name}.html").read_text())
    browser = next((path for word in BROWSERS if (path := shutil.which(word))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    quiet = ["--disable-component-update", "--disable-sync", "--disable-quic", "--enable-logging=stderr", "--v=0"]
    shown = subprocess.run(
        [
            browser,
            *flags,
            *quiet,
            f"--user-data-dir={pages / 'profile'}",
            "--dump-dom",
            (pages / f"{name}.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "</svg>" in shown.stdout and "</html>" in shown.stdout
    assert "CONSOLE" not in shown.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope.jsonl"], "FILE: nope.jsonl cannot be read: No such file or directory"),
        (["run.html"], "FILE: run.html is not a recording"),
        (["run.jsonl", "--steps", "3"], "--steps: is of a run that is trained for its page, and run.jsonl has its own"),
        (["run.jsonl", "-o", "/nope/x.html"], "--output: /nope/x.html cannot be written: No such file or directory"),
        (["sweep.jsonl", "--metric", "x"], '--metric: no metric "x"'),
    ],
)
def test_bad_usage_is_one_sentence(pages: Path, words: list[str], sentence: str) -> None:
    done = call("report", *words, cwd=pages)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert sentence in done.stderr


@pytest.mark.parametrize("words", [["run.jsonl"], ["--steps", "100000000"]], ids=["recording", "fresh"])
def test_without_matplotlib_it_says_at_once_what_to_install(
    pages: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("vgtui.user.extras.find_spec", lambda name: None if name == "matplotlib" else found(name))
    done = call("report", *words, cwd=pages)
    assert (done.returncode, done.stdout) == (2, "")
    how = f"{sys.executable} -m pip install 'vgtui[report]'"
    assert done.stderr == f"vgtui: pictures need matplotlib, which is not installed; install it with: {how}\n"
