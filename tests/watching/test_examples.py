"""Each example trains for real, and the verdict names its fault; without the fault it learns."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.diagnosis import VerdictKind
from tests.watching.recorded import frames, header
from vgtui.recordings.frames import Frame

pytest.importorskip("torch")
EXAMPLES = Path(__file__).parents[2] / "examples"


def train(name: str, path: Path, *words: str) -> list[Frame]:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--every", "1", "--record", str(path), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return frames(path)


@pytest.mark.parametrize(
    ("name", "kind", "words", "cure"),
    [
        ("mlp", "vanishing", "0 (Linear)", "nn.ReLU() rather than nn.Sigmoid() after 0"),
        pytest.param(
            *("convnet", "dead", "(Conv2d)", "nn.LeakyReLU() rather than nn.ReLU() after "), marks=pytest.mark.slow
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
    found = [frame for frame in train(name, tmp_path / "fault.jsonl", "--steps", "150") if frame.verdict.kind == kind]
    assert found
    message = found[0].verdict.message
    assert words in message
    assert any(f"{layer.name} ({layer.kind})" in message for layer in header(tmp_path / "fault.jsonl").layers)
    assert any(entry.text.startswith(cure) for entry in found[0].verdict.cures)
    cured = train(name, tmp_path / "cured.jsonl", "--steps", "150", "--cured")
    assert {frame.verdict.kind for frame in cured} == {"healthy"}
    first, last = cured[0].loss, cured[-1].loss
    assert first is not None and last is not None and last < first / 2


def test_help_has_the_two_commands() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "mlp.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "vgtui attach mlp" in done.stdout
