"""The table of trainings at every width, and the losses in it."""

import math

import pytest

from vgtui.charts.loss_strips import loss_strips
from vgtui.charts.training_table import GAP, STRIP, training_table
from vgtui.sources.trainings import Training
from vgtui.terminal.text import cut_in_the_middle
from vgtui.wire.frames import Number

LONG = Training(
    name="llama-3-8b-instruct-lora-rank-16-seed-3",
    pid=123456,
    socket="/run/user/1000/vgtui/x.sock",
    state="training",
    step=1_234_567,
    steps_per_second=Number(3.25),
    loss=Number(2.3456),
    losses=tuple(map(Number, range(100, 0, -1))),
    worst_layer="base_model.model.model.layers.17.self_attn.q_proj.lora_A.default",
    worst_ratio=Number(3e-9),
    worst_health="vanished",
    verdict="weight-decay-dominates",
)
EARLY = Training(name="resnet", pid=7, socket="/x", state="waiting")
ENDED = Training(name="gan", pid=8, socket="/y", state="ended", verdict="healthy", worst_health="NaN", worst_layer="d")
FAILED = Training(host="gpu2", state="failed", note="ssh: connect to host gpu2 port 22: Connection refused")
ROWS = [LONG, EARLY, ENDED, FAILED]


def lines(width: int | None) -> list[str]:
    table = training_table(ROWS, width, hosts=True)
    return [(" " * GAP).join(cells) for cells in (table.heads, *table.rows)]


def test_every_width_is_kept_to_and_columns_are_below_each_other() -> None:
    for width in (*range(1, 60), *range(60, 260, 7)):
        head, *others = lines(width)
        assert len({len(line) for line in (head, *others[:3])}) == 1
        assert max(map(len, (head, *others))) <= max(width, 8)


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (40, ["name", "loss", "verdict"]),
        (80, ["host", "name", "step", "loss", "worst layer", "gradient", "verdict"]),
        (120, ["host", "name", "pid", "step", "steps/s", "loss", STRIP, "worst layer", "gradient", "verdict"]),
        (200, ["host", "name", "pid", "step", "steps/s", "loss", STRIP, "worst layer", "gradient", "verdict"]),
    ],
)
def test_what_matters_most_stays_where_there_is_little_room(width: int, names: list[str]) -> None:
    assert list(training_table(ROWS, width, hosts=True).names) == names


def test_long_names_lose_their_middle_and_nothing_where_there_is_room() -> None:
    narrow, wide = lines(80), lines(None)
    assert "llama" in narrow[1] and "…" in narrow[1] and "weight-decay-dominates" in narrow[1]
    assert LONG.name in wide[1] and LONG.worst_layer and LONG.worst_layer in wide[1]
    assert cut_in_the_middle("encoder.layers.17.dense", 12) == "encod….dense"
    assert [cut_in_the_middle("abcdef", width) for width in (0, 1, 2, 3, 5, 6)] == [
        "",
        "…",
        "…f",
        "a…f",
        "ab…ef",
        "abcdef",
    ]


def test_a_row_says_how_a_training_is() -> None:
    _, long, early, ended, failed = lines(None)
    assert " 1 234 567 " in long.replace(" ", " ") and " 3.25 " in long and "× 3.0e-09" in long
    assert "no frame yet" in early and "–" in early
    assert "ended · healthy" in ended and "  NaN  " in ended
    assert failed == "gpu2: ssh: connect to host gpu2 port 22: Connection refused"


def test_losses_are_drawn_on_their_own_scales() -> None:
    falling, rising, flat, broken, nothing = loss_strips(
        [[8.0, 7, 6, 5, 4, 3, 2, 1], [1e9, 3e9], [5.0] * 8, [1.0, 2.0, math.nan, 1.0, math.inf, 1.0], []], 4
    )
    assert [len(row) for row in (falling, rising, flat, broken, nothing)] == [4] * 5
    assert falling == "⠉⠒⠤⣀" and rising.strip() == "⡈" and flat == "⠤⠤⠤⠤"
    assert broken[1:3] == "!∞" and nothing.strip() == ""


def test_a_long_history_of_losses_has_room_in_few_cells() -> None:
    (row,) = loss_strips([[float(number) for number in range(1000, 0, -1)]], 10)
    assert len(row) == 10 and row[0] == "⠉" and row.rstrip()[-1] == "⣀"
