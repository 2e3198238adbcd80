"""Which keys and which expected ids there are, and how they are read off an action."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.codec import DecodeError
from actors.domain.terms import KEY_CHARACTERS_MAX, Terms, decode_terms, is_event_id, is_key

ACTION = {"action": "message", "args": {"content": "hi"}}


@pytest.mark.parametrize("key", ["a", "~", "!", "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "k" * 255])
def test_k11_what_is_printable_and_not_too_long_is_a_key(key: str) -> None:
    assert decode_terms(ACTION | {"idempotency_key": key}) == Terms(key)


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\x00", "\x7f", "é", "\ud800", "k" * 256, 1, True, ["a"], {}])
def test_k11_anything_else_is_refused_and_never_ignored(key: object) -> None:
    assert not is_key(key)
    with pytest.raises(DecodeError, match="idempotency_key"):
        decode_terms(ACTION | {"idempotency_key": key})


@pytest.mark.parametrize("expected", [-1, 2**53 + 1, 1.0, "1", True, None.__class__, [1], {}])
def test_k12_what_is_no_id_is_refused_and_never_ignored(expected: object) -> None:
    assert not is_event_id(expected)
    with pytest.raises(DecodeError, match="expected_event_id"):
        decode_terms(ACTION | {"expected_event_id": expected})


def test_terms_stand_alone_or_together_and_null_is_none() -> None:
    assert decode_terms(ACTION) is None
    assert decode_terms(ACTION | {"idempotency_key": None, "expected_event_id": None}) is None
    assert decode_terms(ACTION | {"expected_event_id": 0}) == Terms(None, 0)
    assert decode_terms(ACTION | {"idempotency_key": "k", "expected_event_id": 7}) == Terms("k", 7)


@given(st.dictionaries(st.sampled_from(["idempotency_key", "expected_event_id", "action"]), st.from_type(object)))
def test_any_object_gives_terms_or_one_error(wire: dict[str, Any]) -> None:
    try:
        terms = decode_terms(wire)
    except DecodeError:
        return
    assert terms is None or terms.key is None or len(terms.key) <= KEY_CHARACTERS_MAX
