"""The clinic's cases, trained for real: at step 100 a fault has its name, and what is sound is calm."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import vgtui
from engine.verdict import CALM

torch = pytest.importorskip("torch")
CASES = Path(__file__).parents[2] / "benchmarks" / "cases"
TRUTH: dict[str, list[str]] = json.loads((CASES / "truth.json").read_text())
CONTROLS = sorted(path.stem for path in CASES.glob("*_control_*.py"))
UNNAMED = ("148_averaged_twice",)
"""Its loss falls, a hundred times too slowly."""
QUICK = (
    *("101", "102", "103", "104", "106", "107", "108", "111", "113", "115", "116", "117", "118", "119", "121", "124"),
    *("129", "131", "135", "137", "139", "142", "143", "145", "151", "152", "201", "202", "203", "204", "206", "208"),
    *("211", "212", "213", "215", "222", "224"),
)
"""Those that take little time, one at least of each kind."""
LOOK = 100


def case_of(name: str, cured: bool = False) -> Any:
    """The case with its data, from its file."""
    found: dict[str, Any] = {}
    others = sys.modules.pop("common", None)  # the examples have a module of this name, too
    with patch.object(sys, "path", [str(CASES), *sys.path]):
        common = __import__("common")
        with patch.object(common, "main", lambda case: found.update(case=case)):
            runpy.run_path(str(CASES / f"{name}.py"))
    del sys.modules["common"]
    if others:
        sys.modules["common"] = others
    torch.manual_seed(0)
    common.np.random.seed(0)
    return found["case"](cured)


def verdict_at_step_100(case: Any) -> Any:
    model = case.model()
    optimizer = case.optim(model)
    with vgtui.watch(case.watched(model), optimizer, every=1) as watcher:
        assert watcher.verdict is None  # asked for, so that every step is sampled
        for step in range(LOOK + 1):
            watcher.step(loss=case.step(model, optimizer, step, None))
        return watcher.verdict


def marked(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name.startswith(QUICK) else pytest.mark.slow, id=name) for name in names]


@pytest.mark.filterwarnings("ignore")  # of PyTorch about what is wrong
@pytest.mark.parametrize("name", marked([name for name in TRUTH if name not in UNNAMED]))
def test_a_fault_that_people_reported_has_its_name(name: str) -> None:
    verdict = verdict_at_step_100(case_of(name))
    assert verdict.kind in TRUTH[name], verdict.message
    assert verdict.cures and all(cure.text for cure in verdict.cures)


@pytest.mark.parametrize("name", marked(CONTROLS))
def test_a_sound_recipe_is_calm(name: str) -> None:
    verdict = verdict_at_step_100(case_of(name))
    assert verdict.kind in CALM, verdict.message
