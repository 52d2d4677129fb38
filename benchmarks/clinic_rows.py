"""What the clinic has measured: rows in a file, so that a broken-off run goes on where it was.

A row is kept with a digest of the code that it was measured with: after a change it is measured again.
"""

import hashlib
import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parent.parent
CODE = tuple(sorted(p for package in ("engine", "vgtui") for p in (ROOT / package).rglob("*.py")))


def digest(files: Iterable[Path]) -> str:
    """A short name of what is in these files."""
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


class Rows:
    """A file of rows, a line of JSON each, and those of them that are still true.

    Args:
        file: Where they are; made where it is missing.
        code: The digest that rows measured now are kept with; those with another one are not found.
    """

    def __init__(self, file: Path, code: str) -> None:
        self._code = code
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8") if file.exists() else ""
        for line in text.splitlines():
            try:
                kept = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed
            if kept["code"] == code:
                self._rows[kept["key"]] = kept["row"]
        self._file = file.open("a", encoding="utf-8")
        if text and not text.endswith("\n"):
            self._file.write("\n")

    def get(self, key: str) -> Row | None:
        """The row of this key, if it was measured."""
        return self._rows.get(key)

    def add(self, key: str, row: Row) -> None:
        """Keep a row, on the disk at once."""
        with self._lock:
            self._rows[key] = row
            self._file.write(json.dumps({"key": key, "code": self._code, "row": row}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
