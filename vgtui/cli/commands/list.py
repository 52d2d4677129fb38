"""`vgtui list`: everything that can be chosen, with a word on each."""

import argparse
from collections.abc import Callable

from engine.activations import ACTIVATIONS
from engine.backend import select_backend
from engine.config import BACKEND_NAMES
from engine.datasets import BUILT_IN, load_dataset
from engine.errors import UsageError, unknown_name
from engine.initializers import INITIALIZERS
from engine.optimizers import OPTIMIZERS
from vgtui.cli.arguments import offer
from vgtui.cli.output.columns import Columns
from vgtui.model.presets import PRESETS
from vgtui.terminal.capabilities import tell
from vgtui.terminal.text import plain
from vgtui.user.themes import load_palettes

Rows = list[tuple[str, str]]
MIN_WIDTH = 17
"""Of the names, so that most sections have their remarks in one column."""

DESCRIPTION = "What can be chosen."
EXAMPLES = "example:\n  vgtui list activations"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of a section, which the shell can complete."""
    offer(parser.add_argument("section", nargs="?", metavar="WHAT", help=", ".join(SECTIONS)), lambda: SECTIONS)


def call(chosen: argparse.Namespace) -> int:
    """Print what can be chosen, in one section or in all of them."""
    if chosen.section is not None and chosen.section not in SECTIONS:
        raise UsageError("WHAT", unknown_name("", "section", chosen.section, SECTIONS).problem)
    return print_choices(chosen.section)


def _activations() -> Rows:
    return [(name, f"largest derivative {kind.largest_derivative:.4f}") for name, kind in ACTIVATIONS.items()]


def _initializations() -> Rows:
    return [(name, kind.source) for name, kind in INITIALIZERS.items()]


def _optimizers() -> Rows:
    return [(name, kind.source) for name, kind in OPTIMIZERS.items()]


def _datasets() -> Rows:
    rows = []
    for name in BUILT_IN:
        data = load_dataset(name)
        rows.append((name, f"{data.samples:>5} samples, {data.features:>3} features, {data.classes:>2} classes"))
    return rows


def _presets() -> Rows:
    return [(name, f"{preset.title}. {preset.reference}. See: {preset.see}") for name, preset in PRESETS.items()]


def _themes() -> Rows:
    palettes, warnings = load_palettes()
    for warning in warnings:
        tell(str(warning))
    return [(name, "dark" if palette.dark else "light") for name, palette in palettes.items()]


def _backends() -> Rows:
    chosen = select_backend("auto")
    words = {
        "auto": f"takes {chosen.name} on {chosen.device} here",
        "numpy": "the CPU",
        "cupy": chosen.fallback_reason or f"the GPU, {chosen.device}",
    }
    return [(name, words[name]) for name in BACKEND_NAMES]


SECTIONS: dict[str, Callable[[], Rows]] = {
    "activations": _activations,
    "initializations": _initializations,
    "optimizers": _optimizers,
    "datasets": _datasets,
    "presets": _presets,
    "themes": _themes,
    "backends": _backends,
}


def print_choices(section: str | None) -> int:
    """Print one section's rows, or all sections under their headings."""
    for name in [section] if section else SECTIONS:
        if section is None:
            print(f"{name}:")
        indent = "" if section else "  "
        rows = SECTIONS[name]()
        table = Columns(f"<{max(MIN_WIDTH, *(len(word) for word, _ in rows))}", "", gap=" ")
        for word, remark in rows:
            print(indent + plain(table.row(word, remark)))
    return 0
