"""How deep a network may be and still train: Schoenholz et al. 2017, measured."""

from pathlib import Path

import numpy as np
import pytest

from engine.config import NetworkConfig, TrainingConfig
from engine.errors import UsageError
from tests.sweeps.rows import row_of, small_sweep
from vgtui.sweeps.border import find_border
from vgtui.sweeps.grid import make_sweep
from vgtui.sweeps.job import measure
from vgtui.sweeps.rows import read_sweep
from vgtui.sweeps.table import METRICS, make_table
from vgtui.wire.frames import Number
from vgtui.wire.run_settings import RunSettings

DOCS = Path(__file__).parents[2] / "docs"
TANH = RunSettings(
    NetworkConfig(10, 32, activation="tanh", initialization="gaussian", bias_variance=0.05),
    TrainingConfig(64, learning_rate=0.02),
    threads=1,
)


def test_the_published_border_is_six_times_the_depth_scale_and_ours_is_near() -> None:
    sweep, rows = read_sweep(str(DOCS / "schoenholz.jsonl"))
    assert len(rows) == sweep.size and not any(row.error for row in rows)
    table = make_table(sweep, rows, METRICS["accuracy"])
    assert table
    border = find_border(sweep, table)
    assert 5 < border.factor < 8
    assert border.quartiles[1] / border.quartiles[0] < 1.5
    # the deepest network that trains is at the edge of chaos, σ_w² = 1.76
    assert table.x.values[int(np.nanargmax(border.deepest))] == 1.75


def test_a_network_ten_times_as_deep_as_its_depth_scale_does_not_train_and_one_at_the_edge_does() -> None:
    sweep = make_sweep(TANH, ["weight_variance=1,1.76", "hidden_layers=10,40"], seeds=1, steps=300)
    accuracy = {
        (row.values["weight_variance"], row.values["hidden_layers"]): row.validation_accuracy
        for row in map(measure, sweep.points())
    }
    assert accuracy[1.0, 40] < 0.3 < 0.6 < accuracy[1.0, 10]  # type: ignore[operator]
    assert accuracy[1.76, 40] > 0.6  # type: ignore[operator]


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_the_border_is_where_a_metric_crosses_its_middle(metric: str) -> None:
    sweep = small_sweep("width=2,4", "hidden_layers=10,20,30")
    worse = {10: 0.0, 20: 0.25, 30: 1.0}
    rows = []
    for point in sweep.points():
        share = worse[point.values["hidden_layers"]]
        rows.append(row_of(point, **{metric: Number(share if metric == "loss" else 1 - share)}))
    table = make_table(sweep, rows, METRICS[metric])
    assert table
    assert find_border(sweep, table).deepest == pytest.approx([20 + 10 / 3] * 2)


def test_no_depth_no_theory_and_no_border_are_each_a_sentence() -> None:
    flat = small_sweep("width=2,4", "hidden_layers=10,20")
    upright = small_sweep("hidden_layers=10,20", "width=2,4")
    skipping = small_sweep("skip=on,off", "hidden_layers=10,20")
    for sweep, words in ((flat, "no column goes"), (upright, "takes a sweep over"), (skipping, "no simple form")):
        table = make_table(sweep, [row_of(point) for point in sweep.points()], METRICS["loss"])
        assert table
        with pytest.raises(UsageError, match=words):
            find_border(sweep, table)
