"""A table of trainings: as many columns as there is room for, in a terminal or in a pipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vgtui.charts.loss_strips import loss_strips
from vgtui.sources.gpus import Device
from vgtui.sources.trainings import Training
from vgtui.terminal.text import (
    UNKNOWN,
    count_text,
    cut_in_the_middle,
    norm_text,
    plain,
    share_text,
    short_number,
    whole_words,
)

GAP = 2
"""Blanks between two columns."""
MIN_NAME = 8
"""The least cells of a name, of which the middle is left out."""
MIN_STRIP, MAX_STRIP = 8, 40
"""The least and the most cells of a sparkline."""
GIB = 2**30
STRIP = "loss, own scale"


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        head: Its head.
        text: What stands in it.
        importance: The least important column is the first that is left out.
        is_number: Whether it is aligned on the right.
        is_name: Whether it may be cut in the middle.
    """

    head: str
    text: Callable[[Training], str]
    importance: int
    is_number: bool = False
    is_name: bool = False


def _number(value: float | None) -> str:
    return short_number(None if value is None else float(value))


def _verdict(row: Training) -> str:
    kind = row.verdict or "no frame yet"
    return f"ended · {kind}" if row.state == "ended" and row.verdict else "ended" if row.state == "ended" else kind


def _ratio(row: Training) -> str:
    """How the worst layer is: its share of the reference, or a word where that says more."""
    if row.worst_health is None:
        return UNKNOWN
    if row.worst_ratio is None or row.worst_health in ("NaN", "infinite", "zero"):
        return row.worst_health
    return f"× {norm_text(float(row.worst_ratio))}"


def _gpu(row: Training) -> str:
    """The GPUs of a training, and the memory that it has of them."""
    if not row.gpus:
        return ""
    numbers = ",".join(str(gpu.index) for gpu in row.gpus)
    loads = [gpu.busy for gpu in row.gpus if gpu.busy is not None]
    own = [gpu.own for gpu in row.gpus if gpu.own is not None]
    words = [numbers, *([share_text(sum(loads) / len(loads))] if loads else [])]
    return "  ".join([*words, *([f"{sum(own) / GIB:.1f} GiB"] if own else [])])


COLUMNS = (
    Column("host", lambda row: plain(row.host) or "here", 70, is_name=True),
    Column("name", lambda row: plain(row.name), 100, is_name=True),
    Column("pid", lambda row: str(row.pid or UNKNOWN), 20, is_number=True),
    Column("step", lambda row: UNKNOWN if row.step is None else count_text(row.step), 60, is_number=True),
    Column("steps/s", lambda row: _number(row.steps_per_second), 40, is_number=True),
    Column("loss", lambda row: _number(row.loss), 80, is_number=True),
    Column(STRIP, lambda row: "", 30),
    Column("worst layer", lambda row: plain(row.worst_layer or UNKNOWN), 65, is_name=True),
    Column("gradient", _ratio, 50),
    Column("verdict", _verdict, 90),
    Column("GPU", _gpu, 35),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that fits.

    Attributes:
        heads: The head of each column, as wide as its cells.
        rows: The cells of each row; a host that cannot be asked has a single one.
        names: The head of each column, as in COLUMNS.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]


def training_table(
    rows: Sequence[Training], width: int | None = None, *, strips: bool = True, hosts: bool = False
) -> Table:
    """Lay out rows.

    Args:
        rows: The trainings.
        width: The cells that there are; None for as many as it takes.
        strips: Whether the losses are drawn over time.
        hosts: Whether the hosts are named.

    Returns:
        The table; its columns are GAP apart.
    """
    trained = [row for row in rows if row.state != "failed"]
    columns = [column for column in COLUMNS if (hosts or column.head != "host") and (strips or column.head != STRIP)]
    columns = [column for column in columns if column.head != "GPU" or any(row.gpus for row in rows)]
    cells = {column.head: [column.text(row) for row in trained] for column in columns}
    needed = {head: max(len(text) for text in (head if head != STRIP else "", *texts)) for head, texts in cells.items()}
    widths = _fitted(columns, needed, width)
    columns = [column for column in columns if column.head in widths]
    if STRIP in widths:
        cells[STRIP] = loss_strips([[float(loss) for loss in row.losses] for row in trained], widths[STRIP])
    by_row = iter(zip(*(cells[column.head] for column in columns), strict=True))
    return Table(
        tuple(_cell(column, column.head, widths[column.head], is_head=True) for column in columns),
        tuple(
            (_failure(row, width),)
            if row.state == "failed"
            else tuple(_cell(one, text, widths[one.head]) for one, text in zip(columns, next(by_row), strict=True))
            for row in rows
        ),
        tuple(column.head for column in columns),
    )


def device_words(devices: Sequence[Device]) -> list[str]:
    """Each GPU in words, for example "GPU 0 87 %  61/80 GiB"."""
    return [_device(device) for device in devices]


def _device(device: Device) -> str:
    words = [f"GPU {device.index}"]
    if device.busy is not None:
        words[0] += f" {share_text(device.busy)}"
    if device.used is not None and device.total is not None:
        words.append(f"{device.used / GIB:.0f}/{device.total / GIB:.0f} GiB")
    return "  ".join(words)


def _fitted(columns: Sequence[Column], needed: dict[str, int], width: int | None) -> dict[str, int]:
    """Choose the columns that fit, and their widths: names and the sparkline are narrower before one is left out."""
    least = {one.head: min(needed[one.head], MIN_NAME) if one.is_name else needed[one.head] for one in columns}
    least[STRIP] = MIN_STRIP
    kept = [column.head for column in sorted(columns, key=lambda column: column.importance)]
    while width is not None and len(kept) > 1 and sum(least[head] for head in kept) + GAP * (len(kept) - 1) > width:
        del kept[0]
    widths = {head: least[head] for head in kept}
    if width is None:
        return {head: MAX_STRIP if head == STRIP else needed[head] for head in kept}
    room = width - sum(widths.values()) - GAP * (len(kept) - 1)
    for head in sorted((one.head for one in columns if one.is_name and one.head in widths), key=needed.__getitem__):
        more = min(needed[head] - widths[head], max(room, 0))
        widths[head], room = widths[head] + more, room - more
    if STRIP in widths:
        widths[STRIP] = min(widths[STRIP] + max(room, 0), MAX_STRIP)
    return widths


def _cell(column: Column, text: str, width: int, is_head: bool = False) -> str:
    if is_head and len(text) > width:
        text = text.replace(",", "").split()[0]
    text = cut_in_the_middle(text, width) if column.is_name else whole_words(text, width)
    return text.rjust(width) if column.is_number else text.ljust(width)


def _failure(row: Training, width: int | None) -> str:
    words = f"{plain(row.host) or 'here'}: {plain(row.note)}"
    return words if width is None else whole_words(words, width)
