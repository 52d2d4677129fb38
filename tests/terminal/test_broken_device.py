"""A GPU that breaks, in a real training process: tests/broken_device stands in for CuPy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.shell import SMALL, call_apart
from tests.terminal.forked import ForkedTerminal
from tests.terminal.terminal import Terminal, do_nothing
from vgtui.sources import live

STAND_IN = str(Path(__file__).parent.parent / "broken_device")


def have_less_patience() -> None:
    """Take a worker for silent after a second."""
    live.SILENCE_SECONDS = 1.0


@contextmanager
def with_a_gpu(
    fault: str, when: Path, backend: str = "cupy", before: Callable[[], None] = do_nothing
) -> Iterator[Terminal]:
    """The dashboard on a GPU that breaks in this way, as soon as a file is there."""
    with ForkedTerminal(
        ["--backend", backend, *SMALL],
        before=before,
        PYTHONPATH=STAND_IN,
        BROKEN_DEVICE=fault,
        BROKEN_DEVICE_WHEN=str(when),
    ) as terminal:
        yield terminal


def assert_goes_on_with_numpy(terminal: Terminal) -> None:
    terminal.press("u")
    terminal.wait_for(lambda: "numpy float32" in terminal.line and terminal.step)
    terminal.wait_for(lambda: "press r" not in terminal.text)
    assert "╎" in terminal.text  # where the run on the GPU ended: its history is there


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("memory", "the GPU is out of memory: Out of memory allocating 4,194,304 bytes"),
        pytest.param("sticky", "the GPU failed: cudaErrorIllegalAddress", marks=pytest.mark.slow),
        pytest.param("hang", "no answer from the training process for 10 s: the GPU hangs", marks=pytest.mark.slow),
        ("hang", "no answer from the training process for 1 s: the GPU hangs"),
    ],
)
def test_a_gpu_that_breaks_is_told_and_one_key_goes_on_without_it(tmp_path: Path, fault: str, words: str) -> None:
    before = have_less_patience if "for 1 s" in words else do_nothing
    with with_a_gpu(fault, tmp_path / "now", before=before) as terminal:
        terminal.wait_for(lambda: "cupy float32" in terminal.line and (terminal.step or 0) > 20)
        (tmp_path / "now").touch()
        terminal.wait_for(lambda: "(--backend numpy)" in said(terminal))
        assert words in said(terminal)
        assert "or u to continue without the GPU (--backend numpy)" in said(terminal)
        assert "stopped" in terminal.line or "no answer" in terminal.line
        assert terminal.step
        assert_goes_on_with_numpy(terminal)


def said(terminal: Terminal) -> str:
    """The right half of the screen without its borders and line breaks."""
    return " ".join(" ".join(line[69:].replace("│", " ").split()) for line in terminal.text.splitlines())


def test_r_meets_a_gpu_again_that_does_not_answer_any_more(tmp_path: Path) -> None:
    with with_a_gpu("sticky", tmp_path / "now") as terminal:
        terminal.wait_for(lambda: (terminal.step or 0) > 20)
        (tmp_path / "now").touch()
        terminal.wait_for(lambda: "the GPU failed" in said(terminal))
        terminal.press("r")
        terminal.wait_for(lambda: "the GPU was found but fails at its first kernel" in said(terminal))
        assert_goes_on_with_numpy(terminal)


def test_a_gpu_that_fails_at_its_first_kernel_is_no_run_and_u_begins_one(tmp_path: Path) -> None:
    (tmp_path / "now").touch()
    with with_a_gpu("kernel", tmp_path / "now") as terminal:
        terminal.wait_for(lambda: "the GPU was found but fails at its first kernel" in said(terminal))
        assert "cudaErrorNoKernelImageForDevice" in said(terminal)
        terminal.press("u")
        terminal.wait_for(lambda: "numpy float32" in terminal.line and terminal.step)
    with with_a_gpu("kernel", tmp_path / "now", backend="auto") as terminal:
        terminal.wait_for(lambda: "numpy float32" in terminal.line and terminal.step)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("kernel", "the GPU was found but fails at its first kernel"),
        pytest.param("memory", "(Out of memory allocating", marks=pytest.mark.slow),
    ],
)
def test_without_a_screen_it_is_one_sentence(fault: str, words: str) -> None:
    done = call_apart(
        "run", *SMALL, "--steps", "5", "--backend", "cupy", env={"PYTHONPATH": STAND_IN, "BROKEN_DEVICE": fault}
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
