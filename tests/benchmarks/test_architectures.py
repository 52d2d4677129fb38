"""Architectures that train: what the benchmark counts."""

import pytest

pytest.importorskip("torch", reason="torch is watched, not a dependency: pip install torch")

from benchmarks import architectures


def test_an_architecture_is_watched_for_as_many_frames_as_asked() -> None:
    watched = architectures.watch(architectures.ARCHITECTURES["MLP"], seed=0, frames=4)
    assert watched.frames == 4
    assert watched.flagged == 0
    assert watched.first > 2


def test_what_does_not_load_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> architectures.Built:
        raise ImportError("No module named 'timm'")

    monkeypatch.setitem(architectures.ARCHITECTURES, "missing", architectures.Architecture(build))
    line, end = architectures.report(["missing"], seed=0, frames=2)
    assert line.split(maxsplit=1) == ["missing", "skipped: No module named 'timm'"]
    assert end.startswith("0 of 0 architectures")


def test_what_does_not_train_does_not_count() -> None:
    lines = list(architectures.report(["VAE"], seed=0, frames=1))
    assert "    does not train well enough to count" in lines
    assert lines[-1].startswith("0 of 0 architectures")
