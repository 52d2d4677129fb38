"""Draw the picture of docs/coordinate_check.md: one learning rate for every width, and one that is divided by it.

python docs/coordinate_check.py
"""

from pathlib import Path

from engine.config import NetworkConfig, TrainingConfig
from vgtui.reports.figures import draw, save, sweep_chart
from vgtui.sweeps.grid import make_sweep
from vgtui.sweeps.job import measure
from vgtui.sweeps.table import METRICS, Table, make_table
from vgtui.wire.run_settings import RunSettings

WIDTHS = (64, 128, 256, 512)
STEPS, SEEDS, RATE = 5, 3, 0.01
NETWORK = NetworkConfig(hidden_layers=4, width=WIDTHS[0], activation="relu", initialization="he_normal")
PICTURE = Path(__file__).with_suffix(".svg")


def check(is_scaled: bool) -> Table:
    """Train every width with Adam, and read the RMS of its activations after the last step.

    Args:
        is_scaled: Whether the learning rate is divided by the width, in units of the first one.
    """
    training = TrainingConfig(optimizer="adam", learning_rate=RATE)
    sweep = make_sweep(RunSettings(NETWORK, training, threads=1), [f"width={','.join(map(str, WIDTHS))}"], SEEDS, STEPS)
    rows = []
    for point in sweep.points():
        if is_scaled:
            point.values["learning_rate"] = RATE * WIDTHS[0] / point.values["width"]
        rows.append(measure(point))
    table = make_table(sweep, rows, METRICS["activation_rms"])
    assert table
    return table


def main() -> None:
    """Draw both, and print their numbers."""
    tables = [check(is_scaled) for is_scaled in (False, True)]
    figure = draw([sweep_chart(table) for table in tables], height=3.6)
    for axes, words in zip(figure.axes, (f"learning rate {RATE}", f"learning rate {RATE} · 64 / width"), strict=True):
        axes.set_title(words, loc="left")
    PICTURE.write_bytes(save(figure, "svg"))
    for table in tables:
        for name, logarithms in zip(table.layers, table.values, strict=True):
            print(f"{name:>4}", *(f"{10**value:8.3f}" for value in logarithms))
        print()


if __name__ == "__main__":
    main()
