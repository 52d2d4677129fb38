"""Reading a recording with lanes: each frame is checked against the header of its own lane, whatever the file holds."""

import pytest
from msgspec import UNSET

from engine.config import NetworkConfig
from engine.errors import UsageError
from tests.frames import make_frame, make_header
from vgtui.recordings.reader import RecordingReader
from vgtui.wire.frames import Event, Frame, Header, Line, encode_line, in_lane
from vgtui.wire.run_settings import RunSettings

SHALLOW, DEEP = (RunSettings(NetworkConfig(hidden_layers=depth, width=8)) for depth in (1, 3))


def header(settings: RunSettings, lane: str = "", continues: str | None = None) -> bytes:
    return encode_line(in_lane(make_header(settings), lane, UNSET if continues is None else continues))


def frame(settings: RunSettings, lane: str = "", step: int = 0) -> bytes:
    norms = [1.0] * (settings.network.hidden_layers + 1)
    return encode_line(in_lane(make_frame(settings, norms, step=step), lane))


def read(*lines: bytes) -> tuple[list[Line], RecordingReader]:
    reader = RecordingReader("run.jsonl")
    return list(reader.feed(b"".join(lines))), reader


def test_each_frame_is_checked_against_the_header_of_its_own_lane() -> None:
    messages, reader = read(
        header(SHALLOW, "A"), header(DEEP, "B"), frame(SHALLOW, "A"), frame(DEEP, "B"), frame(DEEP, "A", 7)
    )
    frames = [message for message in messages if isinstance(message, Frame)]
    assert [(entry.lane, len(entry.layers.grad_norm)) for entry in frames] == [("A", 2), ("B", 4)]
    assert reader.summary() == "2 frames; 1 damaged line left out, the first is line 5"


@pytest.mark.parametrize(
    "wrong",
    [
        frame(SHALLOW),
        frame(SHALLOW, "B"),
        frame(SHALLOW, "A").replace(b'"lane":"A"', b'"lane":"C"'),
        frame(SHALLOW, "A").replace(b'"lane":"A"', b'"lane":"' + b"Z" * 1_000_000 + b'"'),
        frame(SHALLOW, "A").replace(b'"lane":"A"', b'"lane":7'),
        encode_line(Event(step=0, kind="note", message="of nobody", lane="B")),
        header(SHALLOW, "B", ""),
        header(DEEP, "", "A"),
        header(DEEP, "B").replace(b'"version":2', b'"version":1'),
        header(DEEP).replace(b'"version":1', b'"version":2'),
        header(DEEP, "B").replace(b'"lane":"B"', b'"lane":"AB"'),
    ],
    ids=lambda line: repr(line[:12] + b"..." + line[-30:]),
)
def test_a_line_that_fits_no_lane_is_left_out_and_said(wrong: bytes) -> None:
    messages, reader = read(header(SHALLOW, "A"), frame(SHALLOW, "A", 1), wrong, frame(SHALLOW, "A", 2))
    assert [message.step for message in messages if isinstance(message, Frame)] == [1, 2]
    assert reader.summary() == "2 frames; 1 damaged line left out, the first is line 3"


def test_hundreds_of_lanes_are_hundreds_of_damaged_lines() -> None:
    many = (header(SHALLOW, "A").replace(b'"lane":"A"', b'"lane":"%d"' % number) for number in range(300))
    _, reader = read(header(SHALLOW, "A"), *many, frame(SHALLOW, "A"))
    assert (reader.damaged, reader.frames) == (300, 1)


def test_what_is_wrong_with_a_first_header_is_a_short_sentence() -> None:
    with pytest.raises(UsageError, match="has a damaged header: Invalid enum value 'ZZ") as caught:
        read(header(SHALLOW, "A").replace(b'"lane":"A"', b'"lane":"' + b"Z" * 1_000_000 + b'"'))
    assert len(str(caught.value)) < 1200


def test_after_a_header_without_a_lane_no_frame_of_a_lane_is_taken() -> None:
    _, reader = read(
        header(SHALLOW, "A"),
        header(SHALLOW, "B"),
        frame(SHALLOW, "A"),
        header(SHALLOW, "", "B"),
        frame(SHALLOW, "A"),
        frame(SHALLOW),
    )
    assert (reader.frames, reader.damaged) == (2, 1)


def test_a_file_without_lanes_is_written_as_ever() -> None:
    assert header(SHALLOW) == encode_line(make_header(SHALLOW))
    assert b"lane" not in header(SHALLOW).replace(b"layers", b"") + frame(SHALLOW) and b'"version":1' in header(SHALLOW)
    assert Header.__struct_fields__[-2:] == ("lane", "continues")


def test_bytes_that_begin_no_header_are_refused_before_their_line_ends() -> None:
    for data in (b"x", b"[" * 9, b"\x00" * 100):
        with pytest.raises(UsageError, match="is not a recording"):
            read(data)
