"""What an installation takes: `make bench` puts the wheel into an empty environment, and starts it there.

The size is that of the packages on the disk, without pip; times are the best of several starts, with warm files, beside
that of Python itself. What it prints is kept in INSTALL.txt.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from benchmarks.output import print_and_keep

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_name("INSTALL.txt")
STARTS = 9
LARGEST = 6
"""Packages that are named."""
WAYS = {
    "python -c pass": ["python", "-c", "pass"],
    "import vgtui (watch)": ["python", "-c", "import vgtui"],
    "import engine.trainer": ["python", "-c", "import engine.trainer"],
    "import vgtui.worker.main": ["python", "-c", "import vgtui.worker.main"],
    "import vgtui.dashboard.app": ["python", "-c", "import vgtui.dashboard.app"],
    "vgtui --version": ["vgtui", "--version"],
    "vgtui list activations": ["vgtui", "list", "activations"],
    "vgtui run --steps 0": ["vgtui", "run", "--steps", "0"],
}


def install(folder: Path) -> Path:
    """The wheel, with what it depends on, in an environment of its own. Returns where its programs are."""
    _call([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder / "dist"), str(ROOT)])
    _call([sys.executable, "-m", "venv", str(folder / "env")])
    programs = folder / "env" / "bin"
    (wheel,) = (folder / "dist").glob("*.whl")
    _call([str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)])
    return programs


def report_size(programs: Path) -> Iterator[str]:
    (packages,) = (programs.parent / "lib").glob("python*/site-packages")
    others = ("pip", "setuptools", "_distutils")
    sizes = {path.name: _megabytes(path) for path in packages.iterdir() if not path.name.startswith(others)}
    own = sum(size for name, size in sizes.items() if name.startswith(("vgtui", "engine")))
    largest = sorted(sizes.items(), key=lambda entry: -entry[1])[:LARGEST]
    yield (
        f"size: {sum(sizes.values()):.0f} MB, of which vgtui's own {own:.1f} MB; the largest are "
        f"{', '.join(f'{name} {size:.0f} MB' for name, size in largest)}"
    )


def report_times(programs: Path) -> Iterator[str]:
    for words, (program, *arguments) in WAYS.items():
        times = []
        for _ in range(STARTS):
            begin = time.perf_counter()
            _call([str(programs / program), *arguments])
            times.append(time.perf_counter() - begin)
        yield f"{words:<30} {min(times[1:]):.3f} s"


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc") / 1e6


def _call(words: Sequence[str]) -> None:
    subprocess.run(words, cwd="/", check=True, capture_output=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        programs = install(Path(folder))
        print_and_keep(chain(report_size(programs), report_times(programs)), RESULTS)


if __name__ == "__main__":
    main()
