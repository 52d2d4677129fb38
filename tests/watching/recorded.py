"""What a recording of a watched model says."""

from pathlib import Path

from vgtui.recordings.reader import RecordingReader, read_recording
from vgtui.wire.frames import Event, Frame, Header, Line


def lines(path: Path) -> list[Line]:
    """All of it; nothing in it is damaged."""
    reader = RecordingReader(str(path))
    found = list(read_recording(str(path), reader))
    assert reader.damaged == 0
    return found


def header(path: Path) -> Header:
    first = lines(path)[0]
    assert isinstance(first, Header)
    return first


def frames(path: Path) -> list[Frame]:
    return [line for line in lines(path) if isinstance(line, Frame)]


def notes(path: Path) -> list[str]:
    return [line.message for line in lines(path) if isinstance(line, Event)]
