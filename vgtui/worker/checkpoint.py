"""Checkpoints: all that a run needs to go on as if it had never stopped, in one .npz file without pickles.

The arrays are those of `Trainer.state()`; everything else is one more array, `about`, of JSON.
"""

import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.npy_header import read_npy_header
from engine.telemetry import LayerMeasurements
from vgtui.files.atomic import write_whole
from vgtui.model.differences import differences
from vgtui.wire.frames import LINE_LIMIT, decode_other, encode_line
from vgtui.wire.run_settings import RunSettings

FORMAT = "vgtui-checkpoint"
VERSION = 1


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says of its run.

    Attributes:
        format: FORMAT.
        version: VERSION.
        settings: The settings of the run.
        step: The number of updates so far.
        output: Where the frames went.
        output_bytes: How much of the output belongs to the steps before this one.
        recent: The measurements that a verdict looks back to.
    """

    format: str = FORMAT
    version: int = VERSION
    settings: RunSettings
    step: int
    output: str
    output_bytes: int
    recent: tuple[LayerMeasurements, ...]


_decoder: msgspec.json.Decoder[About] = msgspec.json.Decoder(About, dec_hook=decode_other)


def write_checkpoint(path: str, about: About, state: Mapping[str, NDArray[Any]]) -> str | None:
    """Write a checkpoint whole or not at all; an older one stays until then.

    Only a file is replaced: replacing a device such as /dev/null would remove it for everyone.

    Args:
        path: The file.
        about: What it says of the run.
        state: The arrays of `Trainer.state()`.

    Returns:
        Why it could not be written, or None.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        return f"{path} is not a file"
    try:
        arrays: dict[str, Any] = {**state, "about": np.frombuffer(encode_line(about), np.uint8)}
        write_whole(target, lambda file: np.savez(file, **arrays))
    except OSError as error:
        return f"{path} cannot be written: {error.strerror or error}"
    return None


def read_checkpoint(
    path: str, settings: RunSettings, like: Mapping[str, NDArray[Any]], optional: Collection[str] = ()
) -> tuple[About, dict[str, NDArray[Any]]]:
    """Read a checkpoint.

    Args:
        path: The file.
        settings: The settings that its run must have.
        like: Arrays with the names, shapes and types that its arrays must have. Nothing larger is read.
        optional: Names of arrays that older checkpoints lack.

    Returns:
        What it says of the run, and its arrays.

    Raises:
        UsageError: It cannot be read, is not a checkpoint, or is of another run.
    """
    with _opened(path) as archive:
        about = _about(path, archive)
        _refuse_others(path, about, settings)
        there = set(archive.namelist())
        wanted = [name for name in like if name not in optional or f"{name}.npy" in there]
        return about, {name: _array(path, archive, name, like[name]) for name in wanted}


def _refuse_others(path: str, about: About, settings: RunSettings) -> None:
    """Raise UsageError with what differs if a checkpoint is of a run with other settings."""
    if about.settings == settings:
        return
    words = [f"{one.before} rather than {one.after}" for one in differences(about.settings, settings)]
    for name in ("dataset", "backend", "threads"):
        ours, asked = getattr(about.settings, name), getattr(settings, name)
        if ours != asked and not words:
            words.append(f"{name} {ours} rather than {asked}")
    problem = f"{path} is of another run, with {', '.join(words)}; give the same options, or another file"
    raise UsageError("checkpoint", problem)


def _opened(path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise UsageError("checkpoint", f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path, "it is not an .npz archive") from error


def _about(path: str, archive: zipfile.ZipFile) -> About:
    data = _array(path, archive, "about", np.empty(0, np.uint8))
    try:
        about = _decoder.decode(data.tobytes())
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if (about.format, about.version) != (FORMAT, VERSION):
        raise _damaged(path, f"it has version {about.version} of the format, and this vgtui reads {VERSION}")
    return about


def _array(path: str, archive: zipfile.ZipFile, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """Read an array after its header: text may be as long as a line, all else must be as large as `like`."""
    try:
        shape, dtype = read_npy_header(archive, name)
        is_text = like.dtype == np.uint8 and len(shape) == 1 and 0 <= shape[0] <= LINE_LIMIT
        if dtype != like.dtype or (shape != like.shape and not is_text):
            raise _damaged(path, f"{name} is {dtype} of the shape {shape}")
        with archive.open(f"{name}.npy") as member:
            return np.asarray(npy.read_array(member, allow_pickle=False))
    except UsageError:
        raise
    except KeyError as error:
        raise _damaged(path, f"it lacks {name}") from error
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, f"{name} cannot be read: {(str(error).splitlines() or [''])[0]}") from error


def _damaged(path: str, words: str) -> UsageError:
    return UsageError("checkpoint", f"{path} is not a checkpoint of vgtui, or a damaged one: {words}")
