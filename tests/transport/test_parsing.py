"""Large texts are parsed while the collector rests, and only while they are."""

import gc

import orjson
import pytest

from transport.parsing import LARGE, parse_json

ARRAYS = "[" + "[]," * 200_000 + "0]"


def collections_during(text: str | bytes) -> int:
    before = collections()
    assert parse_json(text)[-1] == 0
    return collections() - before


def collections() -> int:
    return sum(int(generation["collections"]) for generation in gc.get_stats())


@pytest.mark.parametrize("text", [ARRAYS, ARRAYS.encode()], ids=["text", "bytes"])
def test_the_collector_does_not_look_through_what_is_being_built(text: str | bytes) -> None:
    gc.collect()
    assert collections_during(text) <= 1  # where orjson alone has it come hundreds of times
    assert gc.isenabled()


def test_it_works_again_after_a_text_that_is_no_json() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        parse_json("[" * LARGE)
    assert gc.isenabled()


def test_where_it_rests_anyhow_it_goes_on_resting() -> None:
    gc.disable()
    try:
        parse_json(ARRAYS)
        assert not gc.isenabled()
    finally:
        gc.enable()
