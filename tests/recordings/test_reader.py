"""Reading recordings: all that is whole is given, whatever has been done to the rest, in clear words."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.config import NetworkConfig
from engine.errors import UsageError
from tests.forms import slow_but
from tests.frames import make_frame, make_header
from tests.models import make_model_frame, make_model_header
from vgtui.recordings import reader as reading
from vgtui.recordings.reader import RecordingReader
from vgtui.wire.frames import Event, Frame, Header, Line, encode_line
from vgtui.wire.run_settings import RunSettings

SETTINGS = RunSettings(NetworkConfig(hidden_layers=3, width=8))
FRAMES = 6
FRAME_LINES = [encode_line(make_frame(SETTINGS, [0.1, 0.2, 0.3, 1.0], step=step)) for step in range(FRAMES)]
HEADER_LINE = encode_line(make_header(SETTINGS))
RECORDING = HEADER_LINE + b"".join(FRAME_LINES)


def read(data: bytes, chunk: int = 1 << 16) -> tuple[list[Line], RecordingReader]:
    reader = RecordingReader("run.jsonl")
    messages = [m for start in range(0, len(data), chunk) for m in reader.feed(data[start : start + chunk])]
    reader.check_begun()
    return messages, reader


def steps(messages: list[Line]) -> list[int]:
    return [message.step for message in messages if isinstance(message, Frame)]


@pytest.mark.parametrize("chunk", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_whole_recording_is_read_in_any_pieces(chunk: int, compressed: bool) -> None:
    messages, reader = read(gzip.compress(RECORDING) if compressed else RECORDING, chunk)
    assert isinstance(messages[0], Header)
    assert steps(messages) == list(range(FRAMES))
    assert reader.summary() == "6 frames"


def test_cut_at_each_byte_of_its_last_three_lines_it_gives_every_whole_line(long_form: bool) -> None:
    recording = HEADER_LINE + b"".join(FRAME_LINES[:5])
    for end in range(len(recording) - sum(map(len, FRAME_LINES[2:5])), len(recording)):
        if not long_form and end % 4 and b"\n" not in recording[end - 2 : end + 2]:
            continue
        messages, reader = read(recording[:end])
        whole = recording[:end].count(b"\n") - 1
        assert steps(messages) == list(range(whole))
        torn = recording[end - 1 : end] != b"\n"
        assert reader.summary() == f"{whole} frames" + "; the last line is torn and left out" * torn


def test_a_torn_compressed_recording_gives_what_was_flushed() -> None:
    packer, packed, ends = zlib.compressobj(wbits=31), b"", []
    for line in (HEADER_LINE, *FRAME_LINES):
        packed += packer.compress(line) + packer.flush(zlib.Z_SYNC_FLUSH)
        ends.append(len(packed))
    for end in range(ends[0], ends[-1]):
        messages, _ = read(packed[:end])
        flushed = sum(place <= end for place in ends) - 1
        assert steps(messages)[:flushed] == list(range(flushed))
        assert len(steps(messages)) <= flushed + 1


def test_flipped_bytes_leave_out_their_line_at_most(long_form: bool) -> None:
    chance = random.Random(3)
    for _ in range(1500 if long_form else 300):
        data = bytearray(RECORDING)
        place = chance.randrange(len(HEADER_LINE), len(data))
        data[place] ^= 1 << chance.randrange(8)
        messages, reader = read(bytes(data))
        assert FRAMES - 2 <= reader.frames <= FRAMES  # a newline gone joins two lines
        notes = [m.message for m in messages if isinstance(m, Event)]
        assert reader.damaged == 0 or "is damaged and left out" in notes[0]


def test_flipped_bytes_of_the_header_are_one_sentence_or_a_header(long_form: bool) -> None:
    for place in range(len(HEADER_LINE)):
        for bit in range(8) if long_form else (place % 8,):
            data = bytearray(RECORDING)
            data[place] ^= 1 << bit
            try:
                messages, _ = read(bytes(data))
            except UsageError as error:
                assert str(error).startswith("FILE: run.jsonl ")
                assert "\n" not in str(error)
            else:
                assert isinstance(messages[0], Header)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b'{"type":"header"', "ends within its first line"),
        (b"".join(FRAME_LINES), "is not a recording: its first line is not a header"),
        (b"a,b\n1,2\n", "is not a recording"),
        (b"\x00\xff\n" * 9, "is not a recording"),
        (b"[" * 5000 + b"\n", "is not a recording"),
        (HEADER_LINE.replace(b'"version":1', b'"version":3'), "has version 3 of the format, and this"),
        (HEADER_LINE.replace(b'"version":1', b'"version":0'), "has a damaged header: it is of another version"),
        (HEADER_LINE.replace(b'"hidden_layers":3', b'"hidden_layers":4'), "4 layers for 4 hidden layers"),
        (HEADER_LINE.replace(b'"classes":10', b'"classes":0'), "without samples, features or classes"),
        (
            HEADER_LINE.replace(b'm":false', b'm":true').replace(b'"batch_size":128', b'"batch_size":1'),
            "1 with BatchNorm",
        ),
        (HEADER_LINE.replace(b"sigmoid", b"sigmoit"), 'no activation "sigmoit"'),
        (gzip.compress(RECORDING)[:2] + b"xxxxxxxxxxxx", "cannot be unpacked"),
        (gzip.compress(b"", mtime=0), "is empty"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_in_one_sentence(data: bytes, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(data)
    assert words in str(caught.value)


def brief(value: bytes | str) -> str:
    """The name of a case: its beginning."""
    return repr(value)[:40]


def wrong_lines() -> Iterator[bytes]:
    line = FRAME_LINES[0]
    yield b"not json\n"
    yield b"[" * 10_000 + b"\n"
    yield b'{"type":"frame"}\n'
    yield b'{"type":"other"}\n'
    yield line.replace(b'"grad_norm":[0.1,0.2,0.3,1.0]', b'"grad_norm":[0.1,0.2]')
    yield line.replace(b'"grad_norm":[0.1', b'"grad_norm":[-0.1')
    yield line.replace(b'"grad_norm":[0.1', b'"grad_norm":["much"')
    yield line.replace(b'"grad_norm":[0.1', b'"grad_norm":[{}')
    yield line.replace(b'"grad_norm":[0.1', b'"grad_norm":[1e999')
    yield line.replace(b'"step":0', b'"step":-1')
    yield line.replace(b'"kind":"', b'"kind":"very ')
    yield line.replace(b'"setting":"', b'"setting":"un')
    yield HEADER_LINE.replace(b'"version":1', b'"version":7')


@pytest.mark.parametrize("wrong", wrong_lines(), ids=brief)
def test_a_damaged_line_is_left_out_and_said(wrong: bytes) -> None:
    settings = replace(SETTINGS, network=replace(SETTINGS.network, activation="sigmoid"))
    vanished = encode_line(make_frame(settings, [1e-9, 1e-6, 1e-3, 1.0], step=9))
    assert b'"cures":[{"setting"' in vanished
    messages, reader = read(HEADER_LINE + FRAME_LINES[1] + wrong + FRAME_LINES[2])
    if wrong != FRAME_LINES[0]:  # the replacement found its place
        assert steps(messages) == [1, 2]
        assert reader.summary() == "2 frames; 1 damaged line left out, the first is line 3"


def test_cures_that_cannot_be_are_a_damaged_line() -> None:
    line = encode_line(make_frame(SETTINGS, [1e-9, 1e-6, 1e-3, 1.0]))
    for right, wrong in ((b'"setting":"batch_norm"', b'"setting":"bath_norm"'), (b'"value":"relu"', b'"value":"rely"')):
        assert right in line
        _, reader = read(HEADER_LINE + line.replace(right, wrong))
        assert reader.damaged == 1


def test_a_later_header_begins_another_run_and_an_event_is_passed_on() -> None:
    deeper = RunSettings(NetworkConfig(hidden_layers=4, width=8))
    more = encode_line(Event(step=5, kind="change", network=deeper.network, message="4 layers"))
    more += encode_line(make_header(deeper)) + encode_line(make_frame(deeper, [1.0] * 5))
    messages, _ = read(RECORDING + more)
    assert [type(message) for message in messages[-3:]] == [Event, Header, Frame]


def test_an_endless_line_and_a_bomb_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_LIMIT", 2**16)
    bomb = gzip.compress(HEADER_LINE) + gzip.compress(b" " * 2**25) + gzip.compress(b"\n" + FRAME_LINES[0])
    assert len(bomb) < 2**17
    tracemalloc.start()
    messages, reader = read(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert steps(messages) == [0]
    assert reader.damaged == 1
    assert peak < 2**23


@pytest.mark.parametrize("times", slow_but([40, 300], 40))
def test_gigabytes_are_read_in_bounded_memory(times: int) -> None:
    block = b"".join(encode_line(make_frame(SETTINGS, [0.1, 0.2, 0.3, 1.0], step=step)) for step in range(64))
    reader = RecordingReader("run.jsonl")
    assert len(list(reader.feed(HEADER_LINE))) == 1
    tracemalloc.start()
    for _ in range(times):
        for _ in reader.feed(block):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.taken == len(HEADER_LINE) + times * len(block)
    assert peak < 10 * len(block)  # of a piece, and not of all


def test_parts_of_a_compressed_recording_follow_each_other() -> None:
    messages, _ = read(gzip.compress(HEADER_LINE) + gzip.compress(b"".join(FRAME_LINES)))
    assert steps(messages) == list(range(FRAMES))


def test_a_recording_of_somebodys_model_is_read_as_it_was_written() -> None:
    frame = make_model_frame([None, *[0.5] * 6, 1.0], step=3)
    messages, reader = read(encode_line(make_model_header()) + encode_line(frame))
    header, again = messages
    assert header == make_model_header() and isinstance(again, Frame)
    assert again.layers.grad_norm.tolist() == [None, *[0.5] * 6, 1.0]
    assert (again.epoch, again.accuracy, again.loss) == (None, None, 2.5)
    assert reader.damaged == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"model":{', b'"model":null,"was":{'),
        (b'"layers":[{', b'"layers":[],"were":[{'),
        (b'"parameters":12345', b'"parameters":"many"'),
    ],
)
def test_a_header_with_neither_a_network_nor_a_model_is_refused(right: bytes, wrong: bytes) -> None:
    line = encode_line(make_model_header())
    assert right in line
    with pytest.raises(UsageError, match="has a damaged header"):
        read(line.replace(right, wrong))


def test_a_model_has_no_settings_that_a_cure_could_change() -> None:
    frame = encode_line(make_model_frame([1e-9, *[0.5] * 6, 1.0]))
    assert b'"setting":null' in frame
    messages, reader = read(
        encode_line(make_model_header()) + frame + frame.replace(b'"setting":null', b'"setting":"batch_norm"')
    )
    assert reader.damaged == 1 and len(steps(messages)) == 1
