"""What a benchmark measures, on the screen as it comes and then in its file."""

from collections.abc import Iterable
from pathlib import Path


def print_and_keep(lines: Iterable[str], file: Path) -> None:
    """Print every line when it is there; the file is replaced when all of them are."""
    kept = []
    for line in lines:
        print(line, flush=True)
        kept.append(line)
    file.write_text("\n".join(kept) + "\n", encoding="utf-8")
