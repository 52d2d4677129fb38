"""Each example trains for real, and the verdict names its fault; without the fault it learns."""

import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from engine.verdict import VerdictKind
from tests.watching.recorded import frames, header
from vgtui.wire.frames import Frame

pytest.importorskip("torch")
EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = {"mlp": "60", "convnet": "150", "transformer": "150"}


def run(name: str, *words: str) -> None:
    """An example with these words, without a Python of its own, as importing PyTorch takes seconds."""
    path = str(EXAMPLES / f"{name}.py")
    with patch.object(sys, "argv", [path, *words]), patch.object(sys, "path", [str(EXAMPLES), *sys.path]):
        runpy.run_path(path, run_name="__main__")


def train(name: str, path: Path, *words: str) -> list[Frame]:
    errors = io.StringIO()
    with redirect_stderr(errors):
        run(name, "--every", "1", "--record", str(path), *words)
    assert errors.getvalue() == ""
    return frames(path)


@pytest.mark.parametrize(
    ("name", "kind", "words", "cure"),
    [
        ("mlp", "vanishing", "0 (Linear)", "nn.ReLU() in place of nn.Sigmoid() after all "),
        pytest.param(
            *("convnet", "dead", "(Conv2d)", "nn.LeakyReLU() in place of nn.ReLU() after all "), marks=pytest.mark.slow
        ),
        pytest.param(
            *("transformer", "exploding", "the gradient norm of ", "nn.utils.clip_grad_norm_(model.parameters(), 1.0)"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_verdict_names_the_fault_and_without_it_the_model_learns(
    name: str, kind: VerdictKind, words: str, cure: str, tmp_path: Path
) -> None:
    faulty = train(name, tmp_path / "fault.jsonl", "--steps", STEPS[name])
    found = [frame for frame in faulty if frame.verdict.kind == kind]
    assert found
    message = found[0].verdict.message
    assert words in message
    assert any(f"{layer.name} ({layer.kind})" in message for layer in header(tmp_path / "fault.jsonl").layers)
    assert any(entry.text.startswith(cure) for entry in found[0].verdict.cures)
    cured = train(name, tmp_path / "cured.jsonl", "--steps", STEPS[name], "--cured")
    assert all(frame.verdict.is_calm for frame in cured)
    assert cured[-1].verdict.kind == "healthy"
    first, last = cured[0].loss, cured[-1].loss
    assert first is not None and last is not None and last < first / 2


def test_help_has_the_two_commands() -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit, match=r"^0$"), redirect_stdout(out):
        run("mlp", "--help")
    assert "vgtui attach mlp" in out.getvalue()
