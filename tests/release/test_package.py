"""What is shipped: the wheel and the source, what is in them, and that they work from any folder."""

import email
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import vgtui

ROOT = Path(__file__).parent.parent.parent
NAME = f"vgtui-{vgtui.__version__}"
DATA = {
    "engine/datasets/digits.npz",
    "engine/datasets/digits.md",
    "engine/py.typed",
    "vgtui/py.typed",
    "vgtui/dashboard/app.tcss",
    "vgtui/reports/page.html.j2",
    *(f"vgtui/data/{kind}/{file.name}" for kind in ("themes", "lessons") for file in (ROOT / kind).glob("*.toml")),
}
ABOUT = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE", "licenses/engine/datasets/digits.md"}


def tell(words: Sequence[str], cwd: Path, **environment: str) -> str:
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source, and the wheel that is made of it."""
    folder = tmp_path_factory.mktemp("dist")
    tell([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)], ROOT)
    return folder


def test_the_wheel_has_both_packages_with_their_data_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    modules = {
        str(file.relative_to(ROOT)) for package in ("engine", "vgtui") for file in (ROOT / package).rglob("*.py")
    }
    expected = modules | DATA | {f"{NAME}.dist-info/{name}" for name in ABOUT}
    expected.add(f"{NAME}.data/data/share/man/man1/vgtui.1")
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == expected
        about = email.message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))
    assert about["Requires-Python"] == ">=3.11"
    versions = [words.rpartition(" ")[2] for words in about.get_all("Classifier", []) if "Python :: 3." in words]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert "torch" not in str(about.get_all("Requires-Dist"))


def test_the_source_has_what_builds_and_tests_it_and_nothing_of_a_working_folder(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert {name.partition("/")[0] for name in names} == {
        *("engine", "vgtui", "themes", "lessons", "examples", "tests", "benchmarks", "docs"),
        *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
        *("pyproject.toml", "requirements-dev.lock", "Makefile", ".gitignore", "PKG-INFO"),
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".crash"))]


def test_an_installed_wheel_works_from_any_folder(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    tell([*pip, "--target", str(tmp_path), str(wheel)], tmp_path)

    def call(*words: str) -> str:
        return tell([sys.executable, "-P", *words], Path("/"), PYTHONPATH=str(tmp_path))

    script = (
        "import vgtui, engine, vgtui.cli.main; print(vgtui.__file__, engine.__file__)\n"
        "raise SystemExit(vgtui.cli.main.main(['list', 'themes']) or vgtui.cli.main.main(['lessons']))"
    )
    said = call("-c", script)
    assert said.splitlines()[0].count(str(tmp_path)) == 2
    assert "colour_blind" in said and "quarter" in said
    assert call("-m", "vgtui", "--version") == f"vgtui {vgtui.__version__}\n"
    assert "vanishing" in call("-m", "vgtui", "run", "--steps", "5")
    assert (tmp_path / "bin" / "vgtui").exists()
    assert (tmp_path / "share" / "man" / "man1" / "vgtui.1").exists()


def test_the_man_page_is_that_of_the_parsers() -> None:
    page = tell([sys.executable, "docs/manpage.py", "-"], ROOT)
    assert page == (ROOT / "docs" / "vgtui.1").read_text("utf-8"), "make man writes it anew"


def test_the_lock_file_has_every_dependency() -> None:
    from packaging.requirements import Requirement

    locked = {
        line.partition("==")[0] for line in (ROOT / "requirements-dev.lock").read_text().splitlines() if "==" in line
    }
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {Requirement(words).name for words in asked} - {"vgtui"}
    assert names <= locked, "make lock writes it anew"
