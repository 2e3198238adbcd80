"""An oracle that cannot say no proves nothing: each checker is shown what it must not accept."""

from typing import Any

import orjson
import pytest

from bench.checkers import (
    Event,
    Violation,
    check_acknowledged,
    check_creations,
    check_keys,
    check_log,
    check_view,
    is_visible,
)
from storage.record import encode_batch

EVENTS: list[Event] = [
    {"id": 0, "observation": "greenroom.created", "content": "", "extras": {}},
    {"id": 1, "action": "message", "args": {"content": "/note a"}},
    {"id": 2, "action": "message", "args": {"content": 'with "crc":" in it'}},
    {"id": 3, "observation": "agent_state_changed", "content": "", "extras": {}},
]
LINES = encode_batch(0, 1, [orjson.dumps(event) for event in EVENTS])
LOG = b"".join(LINES)


def test_a_log_as_the_store_writes_it_is_accepted() -> None:
    assert check_log(LOG) == EVENTS


@pytest.mark.parametrize(
    "damaged",
    [
        LOG[:-1],
        LOG + b"{}\n",
        LOG + b"\n",
        LOG.replace(b"/note a", b"/note b"),
        LOG.replace(b'"epoch":1', b'"epoch":2', 1),
        LINES[0] + LINES[2],
        LINES[0] + LINES[0],
        LOG.replace(b'"event":{"id":1', b'"event":{"id":7'),
    ],
)
def test_a_log_that_is_torn_changed_or_incomplete_is_not(damaged: bytes) -> None:
    with pytest.raises(Violation):
        check_log(damaged)


@pytest.mark.parametrize("texts", [["b"], ["a", "b", "a"], ["b", "a"], []])
def test_acknowledged_and_lost_doubled_or_in_another_order_is_found(texts: list[str]) -> None:
    with pytest.raises(Violation):
        check_acknowledged(texts, ["a", "b"])


def test_what_was_not_acknowledged_may_be_there_or_not() -> None:
    check_acknowledged(["x", "a", "y", "b"], ["a", "b"])


@pytest.mark.parametrize("ids", [[], [1], [1, 2], [1, 2, 3]])
def test_a_view_may_end_anywhere(ids: list[int]) -> None:
    check_view([EVENTS[place] for place in ids], EVENTS, -1)


@pytest.mark.parametrize("ids", [[2], [1, 3], [1, 1], [2, 1], [0, 1], [1, 2, 3, 3]])
def test_a_gap_a_repeat_another_order_or_a_house_fact_in_a_view_is_found(ids: list[int]) -> None:
    with pytest.raises(Violation):
        check_view([EVENTS[place] for place in ids], EVENTS, -1)


def test_a_changed_event_and_one_that_is_nowhere_are_found() -> None:
    changed: Any = EVENTS[1] | {"args": {"content": "/note A"}}
    for view in ([changed], [*EVENTS[1:], {"id": 4, "action": "message"}]):
        with pytest.raises(Violation):
            check_view(view, EVENTS, -1)


def test_a_view_that_goes_on_begins_behind_its_position() -> None:
    check_view(EVENTS[2:], EVENTS, 1)
    with pytest.raises(Violation):
        check_view(EVENTS[1:], EVENTS, 1)


@pytest.mark.parametrize("event", [{"observation": "null"}, {"action": "null"}, {"action": "recall"}, EVENTS[0]])
def test_what_sockets_are_not_shown(event: Event) -> None:
    assert not is_visible(event)


def note(event_id: int, text: str) -> Event:
    return {"id": event_id, "action": "message", "args": {"content": text}}


def used(event_id: int, key: str) -> Event:
    return {"id": event_id, "observation": "greenroom.key_used", "content": "", "extras": {"key": key}}


KEYED = [EVENTS[0], note(1, "a"), used(2, "ka"), note(3, "x"), note(4, "b"), used(5, "kb")]
SENT = {"ka": "a", "kb": "b", "kc": "c"}


def test_k13_what_was_sent_under_a_key_is_there_once_or_not_at_all() -> None:
    check_keys(KEYED, SENT, {"ka": 1, "kb": 4})
    check_keys(KEYED, SENT, {})


@pytest.mark.parametrize(
    ("log", "acknowledged"),
    [
        (KEYED, {"kc": 1}),  # lost
        (KEYED, {"ka": 4}),  # named another event
        (KEYED, {"ka": 99}),
        ([*KEYED, note(6, "b")], {}),  # done twice under one key
        ([*KEYED, note(6, "b"), used(7, "kb")], {}),  # and the key with it
        (KEYED[:-1], {}),  # done, and its key is gone
        ([*KEYED, used(6, "kc")], {}),  # a key without its command
    ],
)
def test_k13_lost_doubled_or_torn_from_its_key_is_found(log: list[Event], acknowledged: dict[str, int]) -> None:
    with pytest.raises(Violation):
        check_keys(log, SENT, acknowledged)


def created(key: str | None) -> Event:
    return {"id": 0, "observation": "greenroom.created", "content": "", "extras": {"key": key}}


def test_k11_one_conversation_for_a_key() -> None:
    firsts = {"one": created("k"), "two": created(None), "three": created(None), "four": created("l")}
    check_creations(firsts, {"k": "one"})
    for broken, acknowledged in (
        ({**firsts, "five": created("k")}, {}),
        (firsts, {"k": "two"}),
        (firsts, {"m": "one"}),
    ):
        with pytest.raises(Violation):
            check_creations(broken, acknowledged)
