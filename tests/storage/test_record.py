"""One line and many (K10): what is written is read, and no damage passes for data (K16)."""

import json
import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.record import Scan, decode, encode_batch, event_at
from tests.storage.scans import scan

EVENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers(0, 9), max_size=3).map(orjson.dumps)
BATCHES = st.lists(st.lists(EVENTS, min_size=1, max_size=4), min_size=1, max_size=5)


def lines_of(batches: list[list[bytes]], epoch: int = 1) -> list[list[bytes]]:
    made: list[list[bytes]] = []
    for batch in batches:
        made.append(encode_batch(sum(map(len, made)), epoch, batch))
    return made


def joined(made: list[list[bytes]]) -> bytes:
    return b"".join(line for lines in made for line in lines)


def test_a_line_is_documented_json_with_five_keys() -> None:
    [line] = encode_batch(12, 3, [b'{"a":1}'])
    head = b'{"id":12,"epoch":3,"batch":[0,1],'
    assert line == head + b'"crc":"%08x","event":{"a":1}}\n' % zlib.crc32(head + b'{"a":1}')


@given(BATCHES)
def test_k10_round_trip(batches: list[list[bytes]]) -> None:
    made = lines_of(batches)
    events = [event for batch in batches for event in batch]
    found = scan(joined(made))
    assert (found.next_id, found.last.end) == (len(events), len(joined(made)))
    assert (found.torn, found.damage) == (False, None)
    for event_id, (line, event) in enumerate(zip([line for lines in made for line in lines], events, strict=True)):
        assert list(json.loads(line)) == ["id", "epoch", "batch", "crc", "event"]
        record = decode(line[:-1])
        assert record is not None
        assert (record.id, record.event, event_at(line[:-1], event_id)) == (event_id, event, event)


@given(BATCHES)
def test_k16_a_last_batch_cut_at_any_byte_is_torn_as_a_whole(batches: list[list[bytes]]) -> None:
    made = lines_of(batches)
    data, good = joined(made), len(joined(made[:-1]))
    for length in range(good + 1, len(data)):
        found = scan(data[:length])
        assert (found.torn, found.last.end, found.damage) == (True, good, None)
        assert found.next_id == sum(map(len, batches[:-1]))
    assert not scan(data[:good]).torn


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
@pytest.mark.parametrize("after", [1, 2])
def test_k16_no_flipped_byte_of_a_middle_record_passes_or_is_cut(bit: int, after: int) -> None:
    made = lines_of([[b'{"a":1}'], [b'{"text":"b","n":[{"id":7}]}'], [b'{"c":3}'], [b'{"d":4}']][: 2 + after])
    data, start = joined(made), len(made[0][0])
    for place in range(start, start + len(made[1][0])):
        bad = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        found = scan(bad)
        assert found.damage is not None, bad
        assert (found.damage.event_id, found.damage.offset) == (1, start)
        assert (found.next_id, found.last.end, found.torn) == (1, start, False)


def test_k16_a_flipped_newline_becoming_another_line_break_is_damage_too() -> None:
    made = lines_of([[b'{"a":1}'], [b'{"b":2}'], [b'{"c":3}']])
    data = joined(made)
    place = data.index(b'"b"')
    assert scan(data[:place] + b"\n" + data[place + 1 :]).damage is not None


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (encode_batch(2, 1, [b"{}"]), "id 2 where 1 belongs"),
        (encode_batch(0, 1, [b"{}"]), "id 0 where 1 belongs"),
        (encode_batch(1, 0, [b"{}"]), "epoch 0 after 1"),
        (encode_batch(1, 1, [b"{}", b"{}"])[:1], ""),
        (encode_batch(0, 1, [b"{}", b"{}"])[1:], "it does not fit its batch"),
        ([b"not a record\n"], "the line is damaged"),
    ],
)
def test_k03_k10_a_record_that_does_not_fit_is_cut_at_the_end_and_damage_in_the_middle(
    last: list[bytes], why: str
) -> None:
    first = encode_batch(0, 1, [b"{}"])
    at_end: Scan = scan(b"".join(first + last))
    assert (at_end.torn, at_end.next_id, at_end.last.end) == (True, 1, len(first[0]))
    middle = scan(b"".join([*first, *last, *encode_batch(2, 1, [b"{}"]), *encode_batch(3, 1, [b"{}"])]))
    assert middle.damage is not None or why.startswith("id 2")
    assert middle.next_id == 1
    if middle.damage is not None and why:
        assert why in middle.damage.why


@given(BATCHES, st.integers(1, 200), st.integers(0, 3), st.data())
def test_a_log_in_pieces_and_behind_an_anchor_is_the_log(
    batches: list[list[bytes]], step: int, flips: int, draw: st.DataObject
) -> None:
    data = bytearray(joined(lines_of(batches)))
    anchor = scan(joined(lines_of(batches[:1]))).last
    for _ in range(flips):
        data[draw.draw(st.integers(anchor.end, len(data)) if len(batches) > 1 else st.just(0)) - 1] ^= 1
    whole = scan(bytes(data))
    assert scan(bytes(data), piece_bytes=step) == whole
    if anchor.holds(bytes(data[anchor.start : anchor.end])):
        found = scan(bytes(data), anchor, piece_bytes=step)
        assert (found.last, found.torn, found.damage) == (whole.last, whole.torn, whole.damage)
        assert whole.index[found.first_point :] == found.index


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_k16_a_record_with_any_byte_flipped_is_never_handed_out(bit: int) -> None:
    [line] = encode_batch(1207, 3, [b'{"text":"b","n":[{"id":7}]}'])
    for place in range(len(line) - 1):
        bad = line[:place] + bytes([line[place] ^ bit]) + line[place + 1 : -1]
        assert event_at(bad, 1207) is None, bad
    assert event_at(line[:-1], 1208) is None
    assert event_at(b"", 0) is None


def test_k16_a_line_full_of_what_looks_like_records_is_looked_through_at_once() -> None:
    [line] = encode_batch(0, 1, [b'{"a":[%s]}' % b",".join([b'{"id":1,"n":2}'] * 200_000)])
    found = scan(line[:-9] + b"\n" + encode_batch(1, 1, [b"{}"])[0])
    assert found.damage is not None


def test_the_epoch_and_checksum_are_those_of_the_last_whole_batch() -> None:
    lines = encode_batch(0, 1, [b"{}"]) + encode_batch(1, 4, [b'{"b":1}'])
    found = scan(b"".join(lines) + encode_batch(2, 9, [b"{}", b"{}"])[0])
    record = decode(lines[1][:-1])
    assert record is not None
    assert (found.last.epoch, found.last.checksum, found.torn) == (4, record.checksum, True)
