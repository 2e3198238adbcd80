"""What was printed is shown whole up to the limit, and head and tail beyond it, in bounded memory."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sandbox.output import OUTPUT_CHARACTERS_MAX, Output


def fed(data: bytes, *, chunk_bytes: int = 65_536) -> Output:
    output = Output()
    for start in range(0, len(data), chunk_bytes):
        output.feed(data[start : start + chunk_bytes])
    return output


def test_output_within_the_limit_is_whole() -> None:
    text = "ä" * OUTPUT_CHARACTERS_MAX
    output = fed(text.encode(), chunk_bytes=7)
    assert output.text() == text
    assert output.characters_left_out == 0


def test_one_character_beyond_the_limit_is_said_to_be_left_out() -> None:
    half = OUTPUT_CHARACTERS_MAX // 2
    output = fed(b"a" * half + b"X" + b"b" * half)
    assert output.text() == "a" * half + "\n[... 1 characters left out here ...]\n" + "b" * half


def test_memory_is_bounded_however_much_is_printed() -> None:
    output = Output()
    for _ in range(500):
        output.feed(b"y\n" * 32_768)
    assert output.characters == 500 * 65_536
    assert len(output.text()) < OUTPUT_CHARACTERS_MAX + 100
    assert repr(output) == f"<Output characters=32768000 left_out={32_768_000 - OUTPUT_CHARACTERS_MAX}>"


def test_a_character_of_which_half_has_come_does_not_hide() -> None:
    output = Output()
    output.feed("ä".encode()[:1])
    assert output.text() == "\ufffd"
    output.feed("ä".encode()[1:])
    assert output.text() == "ä"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"ok\x80ok", b"\xf0\x9f"])
def test_bytes_that_are_no_text_are_replaced(data: bytes) -> None:
    assert fed(data).text() == data.decode(errors="replace")


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_how_the_bytes_were_cut_makes_no_difference(chunks: list[bytes]) -> None:
    output = Output()
    for chunk in chunks:
        output.feed(chunk)
    whole = bytes(itertools.chain.from_iterable(chunks))
    # A cut character's bytes may count as one replacement or as several, depending on where the text ends.
    assert output.text().rstrip("\ufffd") == whole.decode(errors="replace").rstrip("\ufffd")
