"""The rows of a sweep over one or two options."""

import math

import numpy as np
import pytest

from engine.errors import UsageError
from tests.frames import make_layers
from tests.sweeps.rows import row_of, small_sweep
from vgtui.sweeps.table import METRICS, Table, make_table
from vgtui.wire.frames import Number

SWEEP = small_sweep("width=2,4", "activation=relu,tanh,elu", seeds=2)


def table_of(metric: str, *by: str, **fields: object) -> Table:
    rows = [row_of(point, **fields) for point in SWEEP.points()]
    table = make_table(SWEEP, rows, METRICS[metric], by)
    assert table
    return table


def test_the_first_option_is_across_and_the_second_up() -> None:
    rows = [row_of(p, loss=Number(p.values["width"] + 10 * (p.values["activation"] == "tanh"))) for p in SWEEP.points()]
    table = make_table(SWEEP, rows, METRICS["loss"])
    assert table and table.y
    assert (table.x.name, table.y.name, table.averaged) == ("width", "activation", ("seed",))
    assert table.values.tolist() == [[2, 4], [12, 14], [2, 4]]


def test_by_names_the_options_in_their_order_and_averages_the_rest() -> None:
    table = table_of("accuracy", "activation")
    assert (table.x.name, table.y, table.averaged) == ("activation", None, ("width", "seed"))
    assert table.values.shape == (1, 3)


def test_seeds_are_averaged_and_ratios_as_logarithms() -> None:
    rows = [row_of(p, gradient_ratio_end=Number(10.0 ** -(p.values["seed"] * 2))) for p in SWEEP.points()]
    table = make_table(SWEEP, rows, METRICS["gradient_ratio_end"])
    assert table and table.values == pytest.approx(np.full((3, 2), -1.0))


@pytest.mark.parametrize(("value", "shown"), [(0.0, -math.inf), (math.inf, math.inf), (math.nan, math.nan)])
def test_zero_infinity_and_nan_stay_what_they_are(value: float, shown: float) -> None:
    table = table_of("gradient_ratio_end", gradient_ratio_end=Number(value))
    assert np.array_equal(table.values, np.full((3, 2), shown), equal_nan=True)
    assert table.known.all() and table.span is None


def test_one_run_of_a_cell_that_diverged_is_not_averaged_away() -> None:
    rows = [row_of(p, loss=Number("nan" if p.number == 0 else "1")) for p in SWEEP.points()]
    table = make_table(SWEEP, rows, METRICS["loss"])
    assert table and math.isnan(table.values[0, 0]) and np.isfinite(table.values).sum() == 5


def test_what_was_not_computed_or_failed_is_unknown() -> None:
    rows = [row_of(p) for p in SWEEP.points()][:8] + [row_of(p, loss=None) for p in SWEEP.points()][8:10]
    table = make_table(SWEEP, rows, METRICS["loss"])
    assert table and table.failed == 2
    assert table.known.tolist() == [[True, True], [True, False], [True, False]]


def test_healthy_is_the_share_of_healthy_verdicts() -> None:
    rows = [row_of(p, verdict="healthy" if p.values["seed"] else "dead") for p in SWEEP.points()]
    table = make_table(SWEEP, rows, METRICS["healthy"])
    assert table and np.all(table.values == 0.5)


def test_an_option_that_does_not_vary_cannot_be_an_axis() -> None:
    with pytest.raises(UsageError, match='no varied option "depth"'):
        make_table(SWEEP, [], METRICS["loss"], ["depth"])
    assert make_table(small_sweep(), [], METRICS["loss"]) is None


def test_a_quantity_has_a_line_for_each_layer_and_averages_logarithms_over_what_else_varies() -> None:
    sweep = small_sweep("width=2,4", seeds=2)
    rows = [row_of(point, layers=make_layers([10.0 ** -point.values["seed"], 1.0, 0.0])) for point in sweep.points()]
    table = make_table(sweep, rows, METRICS["grad_norm"])
    assert table
    assert (table.layers, table.y, table.averaged) == (("1", "2", "out"), None, ("seed",))
    assert table.values.tolist() == [[-0.5, -0.5], [0.0, 0.0], [-math.inf, -math.inf]]


def test_of_several_depths_the_output_layer_is_the_last_one_of_all() -> None:
    sweep = small_sweep("hidden_layers=1,2")
    rows = [
        row_of(point, layers=make_layers([0.1] * point.values["hidden_layers"] + [1.0])) for point in sweep.points()
    ]
    table = make_table(sweep, rows, METRICS["grad_norm"])
    assert table and table.layers == ("1", "2", "out")
    assert table.known.tolist() == [[True, True], [False, True], [True, True]]
    assert table.values[2].tolist() == [0.0, 0.0]


def test_rows_without_layers_have_no_number_of_a_quantity() -> None:
    table = make_table(SWEEP, [row_of(point) for point in SWEEP.points()], METRICS["activation_rms"])
    assert table and table.span is None and table.failed == SWEEP.size


def test_a_quantity_takes_one_option() -> None:
    with pytest.raises(UsageError, match="by: takes one option"):
        make_table(SWEEP, [], METRICS["activation_rms"], ["width", "activation"])
