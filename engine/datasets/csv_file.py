"""CSV: one sample a line, its label in the last column or in one whose heading says so."""

import csv
import io
import math
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from engine.datasets.checks import as_dataset, bad_file, refuse_size
from engine.datasets.dataset import Dataset

LABEL_HEADINGS = ("label", "class", "target", "y")
LONGEST_LINE = 2**20


def read_csv(path: Path, file: IO[bytes]) -> Dataset:
    """Features are finite numbers, labels words or numbers. A first line with a word for a feature is a heading."""
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        return _read_rows(path, _rows(path, text))


def _read_rows(path: Path, rows: Iterator[tuple[int, list[str]]]) -> Dataset:
    number, first = next(rows, (0, []))
    if not first:
        raise bad_file(path, "the file is empty; it takes one sample a line")
    columns = len(first)
    heading = [cell.strip().lower() for cell in first]
    named = [heading.index(name) for name in LABEL_HEADINGS if name in heading]
    label_column = named[0] if named else columns - 1
    has_heading = bool(named) or any(not _is_number(c) for i, c in enumerate(first) if i != label_column)
    values, labels = array("d"), array("q")
    names: dict[str, int] = {}  # in the order in which they come
    for line, row in rows if has_heading else chain([(number, first)], rows):
        if len(row) != columns:
            raise bad_file(path, f"line {line} has {len(row)} fields, and line {number} has {columns}")
        for column, cell in enumerate(row):
            if column == label_column:
                labels.append(names.setdefault(_label(path, line, column, cell), len(names)))
            else:
                values.append(_feature(path, line, column, cell))
        refuse_size(path, len(labels), columns)
    if not labels:
        raise bad_file(path, "there is a heading and no sample below it")
    inputs = np.frombuffer(values, dtype=np.float64).reshape(len(labels), columns - 1)
    return as_dataset(path, inputs, _comparable(list(names))[np.frombuffer(labels, dtype=np.int64)])


def _rows(path: Path, text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields of the lines that are not blank."""
    reader = csv.reader(_bounded(path, text), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise bad_file(path, f"line {reader.line_num + 1} or later is not UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise bad_file(path, f"line {reader.line_num}: {error}") from error


def _bounded(path: Path, text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise bad_file(path, f"line {number} is longer than {LONGEST_LINE} characters")
        if "\0" in line:
            raise bad_file(path, f"line {number} has a NUL character; it takes text")
        yield line


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _feature(path: Path, line: int, column: int, cell: str) -> float:
    place = f"line {line}, column {column + 1}"
    if not cell.strip():
        raise bad_file(path, f"{place} is empty; it takes a number")
    try:
        value = float(cell)
    except ValueError:
        raise bad_file(path, f'{place}: "{cell[:40]}" is not a number') from None
    if not math.isfinite(value):
        raise bad_file(path, f"{place}: {cell.strip()} is not finite")
    return value


def _label(path: Path, line: int, column: int, cell: str) -> str:
    label = cell.strip()
    if not label or label.lower() == "nan":
        raise bad_file(path, f"line {line}, column {column + 1}: the label is missing")
    if _is_number(label) and not float(label).is_integer():
        raise bad_file(
            path, f"line {line}, column {column + 1}: the label {label} is neither a whole number nor a word"
        )
    return label


def _comparable(names: list[str]) -> np.ndarray[tuple[int], np.dtype[Any]]:
    """Labels as numbers when all are, so that 10 comes after 9 and 1.0 is 1."""
    return np.array([float(name) for name in names] if all(map(_is_number, names)) else names)
