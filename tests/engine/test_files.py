"""A user's own data: what is read, and what is refused in one sentence that names the place."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.datasets import load_dataset
from engine.errors import UsageError

ROWS = "".join(f"{number / 10},{-number},{'ab'[number % 2]}\n" for number in range(20))


def npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def idx(array: np.ndarray, kind: int = 0x08) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def bomb() -> bytes:
    """An archive of a few kilobytes whose header announces 8 TB."""
    file = io.BytesIO()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 1000)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + b"\0" * 1000)
        archive.writestr("y.npy", header.getvalue())
    return file.getvalue()


IMAGES = np.arange(20 * 6, dtype=np.uint8).reshape(20, 2, 3)
LABELS = (np.arange(20) % 4).astype(np.uint8)


def write(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_a_csv_without_a_heading_has_its_label_last(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(ROWS)
    data = load_dataset(str(tmp_path / "d.csv"))
    assert (data.name, data.samples, data.features, data.classes) == ("d.csv", 20, 2, 2)
    assert data.inputs[3].tolist() == [0.3, -3]
    assert data.labels[:4].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("heading", ["label", "Class", "target", "y"])
def test_a_csv_with_a_heading_has_its_label_where_it_says(tmp_path: Path, heading: str) -> None:
    rows = "".join(f"{number % 3},{number}\r\n\r\n" for number in range(20))
    (tmp_path / "d.csv").write_text(f"{heading},size\n{rows}", encoding="utf-8-sig")
    data = load_dataset(str(tmp_path / "d.csv"))
    assert (data.samples, data.features, data.classes) == (20, 1, 3)
    assert data.inputs[:, 0].tolist() == list(range(20))


def test_labels_that_are_numbers_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("".join(f"1.5,{label}\n" for label in [10, 9, 2, 9.0] * 5))
    assert load_dataset(str(tmp_path / "d.csv")).labels[:4].tolist() == [2, 1, 0, 1]


def test_a_gzipped_csv_is_the_same(tmp_path: Path) -> None:
    write(tmp_path, **{"d.csv": ROWS.encode(), "d.csv.gz": gzip.compress(ROWS.encode())})
    plain, packed = (load_dataset(str(tmp_path / name)) for name in ("d.csv", "d.csv.gz"))
    assert np.array_equal(plain.inputs, packed.inputs)


def test_an_npz_has_x_and_y(tmp_path: Path) -> None:
    write(tmp_path, **{"d.npz": npz(x=IMAGES, y=np.array(["cat", "dog"] * 10))})
    data = load_dataset(str(tmp_path / "d.npz"))
    assert (data.samples, data.features, data.classes) == (20, 6, 2)
    assert data.inputs[1].tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "gz"])
def test_idx_images_find_their_labels(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    ending = "" if pack(b"") == b"" else ".gz"
    write(
        tmp_path,
        **{
            f"train-images-idx3-ubyte{ending}": pack(idx(IMAGES)),
            f"train-labels-idx1-ubyte{ending}": pack(idx(LABELS)),
        },
    )
    data = load_dataset(str(tmp_path / f"train-images-idx3-ubyte{ending}"))
    assert (data.samples, data.features, data.classes) == (20, 6, 4)
    assert data.labels.tolist() == LABELS.tolist()


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("d.csv", b"", "d.csv: the file is empty"),
    "heading only": ("d.csv", b"size,label\n", "a heading and no sample below it"),
    "one row": ("d.csv", b"1,2,a\n", "all 1 samples have the one label a"),
    "missing field": ("d.csv", b"1,2,a\n3,b\n", "line 2 has 2 fields, and line 1 has 3"),
    "extra field": ("d.csv", b"1,2,a\n\n3,4,5,b\n", "line 3 has 4 fields, and line 1 has 3"),
    "text": ("d.csv", b"1,2,a\n3,four,b\n", 'line 2, column 2: "four" is not a number'),
    "empty field": ("d.csv", b"1,2,a\n3,,b\n", "line 2, column 2 is empty"),
    "nan": ("d.csv", b"1,2,a\n3,nan,b\n", "line 2, column 2: nan is not finite"),
    "infinity": ("d.csv", b"1,2,a\n-inf,4,b\n", "line 2, column 1: -inf is not finite"),
    "overflow": ("d.csv", b"1,2,a\n1e999,4,b\n", "line 2, column 1: 1e999 is not finite"),
    "missing label": ("d.csv", b"1,2,a\n3,4,\n", "line 2, column 3: the label is missing"),
    "nan label": ("d.csv", b"1,2,a\n3,4,NaN\n", "line 2, column 3: the label is missing"),
    "fraction as label": ("d.csv", b"1,2,1\n3,4,2.5\n", "the label 2.5 is neither a whole number nor a word"),
    "one class": ("d.csv", b"1,2,a\n3,4,a\n", "have the one label a; it takes two classes"),
    "label alone": ("d.csv", b"a\nb\n" * 9, "there is no feature beside the label"),
    "all different": ("d.csv", "".join(f"1,w{n}\n" for n in range(9)).encode(), "9 samples are too few"),
    "not text": ("d.csv", b"1,2,a\n\xff\xfe,4,b\n", "not UTF-8 text"),
    "nul": ("d.csv", b"1,2,a\n3,\x004,b\n", "line 2 has a NUL character"),
    "open quote": ("d.csv", b'1,2,a\n3,"4,b\n', "line 2: unexpected end of data"),
    "endless line": ("d.csv", b"1," * 2**20, "line 1 is longer than"),
    "not gzip": ("d.csv.gz", b"1,2,a\n", "the compressed file is damaged"),
    "torn gzip": ("d.csv.gz", gzip.compress(ROWS.encode())[:-12], "the compressed file is damaged"),
    "not zip": ("d.npz", b"hello", "not a .npz archive, or a damaged one"),
    "no y": ("d.npz", npz(x=IMAGES), 'there is no array "y"; there are: x'),
    "lengths": ("d.npz", npz(x=IMAGES, y=LABELS[:5]), "y has the shape (5,), and x has 20 samples"),
    "flat x": ("d.npz", npz(x=LABELS, y=LABELS), "x has the shape (20,); it takes (samples, features)"),
    "pickle": (
        "d.npz",
        npz(x=np.array([[{}]], dtype=object), y=LABELS),
        "x holds Python objects, which are never loaded",
    ),
    "complex": ("d.npz", npz(x=IMAGES * 1j, y=LABELS), "x has the type complex128"),
    "nan in npz": ("d.npz", npz(x=np.where(IMAGES == 7, np.nan, 1.0), y=LABELS), "x[1], feature 1 is not finite"),
    "fractions": ("d.npz", npz(x=IMAGES, y=LABELS / 3), "y has the type float64 or fractions"),
    "no samples": ("d.npz", npz(x=IMAGES[:0], y=LABELS[:0]), "x has no samples"),
    "bomb": ("d.npz", bomb(), "1000000000 samples of 1000 features take 7450.6 GiB"),
    "no idx": ("a-images-idx3-ubyte", b"PNG!", "it begins with 50 4e 47 21, which is no IDX file"),
    "idx header": ("a-images-idx3-ubyte", b"\0\0\x08\x03\0\0", "it ends within its header"),
    "short idx": ("a-images-idx3-ubyte", idx(IMAGES)[:-1], "announces 120 bytes of data, and there are less"),
    "long idx": ("a-images-idx3-ubyte", idx(IMAGES) + b"!", "announces 120 bytes of data, and there are more"),
    "huge idx": ("a-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12, "4294967295 samples of"),
    "idx lengths": (
        "a-images-idx3-ubyte",
        idx(IMAGES[:9]),
        "it has 9 images, and a-labels-idx1-ubyte has the shape (20,)",
    ),
    "idx of labels alone": (
        "a-images-idx3-ubyte",
        idx(LABELS),
        "it holds an array of the shape (20,); it takes images (samples, rows, columns)",
    ),
    "idx without images": ("a-images-idx3-ubyte", idx(IMAGES[:0]), "an array of the shape (0, 2, 3)"),
    "nan in idx": (
        "a-images-idx3-ubyte",
        idx(np.full((20, 2, 3), np.nan, ">f4"), kind=0x0D),
        "a value is not finite",
    ),
    "idx of a strange type": ("a-images-idx3-ubyte", b"\0\0\x07\x03" + bytes(12), "which is no IDX file"),
    "idx of five dimensions": ("a-images-idx3-ubyte", b"\0\0\x08\x05" + bytes(20), "which is no IDX file"),
    "no labels": ("b-images-idx3-ubyte", idx(IMAGES), "its labels, b-labels-idx1-ubyte, are not beside it"),
    "labels alone": ("a-labels-idx1-ubyte", idx(LABELS), "name the file of images"),
    "other kind": ("d.parquet", b"PAR1", "not a kind of file that is known; it may be .csv, .npz or IDX"),
}


@pytest.mark.parametrize(("name", "content", "sentence"), BAD_FILES.values(), ids=list(BAD_FILES))
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    write(tmp_path, **{"a-labels-idx1-ubyte": idx(LABELS)})
    write(tmp_path, **{name: content})
    with pytest.raises(UsageError) as refusal:
        load_dataset(str(tmp_path / name))
    assert refusal.value.setting == "dataset"
    assert sentence in refusal.value.problem
    assert "\n" not in refusal.value.problem


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    path = tmp_path / ("folder.csv" if name == "." else name)
    with pytest.raises(UsageError, match=r"cannot be read: (No such file or directory|Is a directory)"):
        load_dataset(str(path))


def test_images_of_floats_and_of_rows_are_read(tmp_path: Path) -> None:
    rows = np.linspace(-1, 1, 40).reshape(20, 2)
    write(tmp_path, **{"a-images-idx3-ubyte": idx(rows.astype(">f8"), kind=0x0E), "a-labels-idx1-ubyte": idx(LABELS)})
    data = load_dataset(str(tmp_path / "a-images-idx3-ubyte"))
    assert np.array_equal(data.inputs, rows)
    assert data.inputs.dtype == np.float64


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("\0.csv", "'\\x00.csv' is no name of a file"),
        ("~there-is-no-such-user/d.csv", "~there-is-no-such-user/d.csv cannot"),
    ],
)
def test_a_name_that_no_file_can_have_is_said(name: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        load_dataset(name)
    assert refusal.value.setting == "dataset"
    assert sentence in refusal.value.problem


def test_rows_of_numbers_and_labels_that_are_whole_floats_are_taken_from_an_npz(tmp_path: Path) -> None:
    rows = np.linspace(0, 1, 40, dtype=np.float32).reshape(20, 2)
    write(tmp_path, **{"d.npz": npz(x=rows, y=LABELS.astype(np.float64))})
    data = load_dataset(str(tmp_path / "d.npz"))
    assert np.array_equal(data.inputs, rows)
    assert data.inputs.dtype == np.float64
    assert data.labels.tolist() == LABELS.tolist()
