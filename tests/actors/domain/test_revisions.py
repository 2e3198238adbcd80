"""K19: an older revision is read as what it meant then; the present one is what the chain says."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.conversation.state import EMPTY, State, apply
from actors.domain import events as e
from actors.domain.codec import decode, encode
from actors.domain.revisions import Fields, revision_of, upcast

KIND = ("observation", "thing")


def _renamed(fields: Fields) -> Fields:
    return {"new": fields["old"]}


def _counted(fields: Fields) -> Fields:
    return {**fields, "count": len(fields["new"])}


CHAIN = {KIND: (_renamed, _counted)}


@pytest.mark.parametrize(
    ("revision", "fields"), [(1, {"old": "abc"}), (2, {"new": "abc"}), (3, {"new": "abc", "count": 3})]
)
def test_k19_every_older_revision_goes_through_what_is_left_of_the_chain(revision: int, fields: Fields) -> None:
    before = dict(fields)
    assert upcast(KIND, revision, fields, CHAIN) == {"new": "abc", "count": 3}
    assert fields == before


def test_k19_a_kind_is_as_many_revisions_old_as_it_has_upcasters() -> None:
    assert (revision_of(KIND, CHAIN), revision_of(("action", "thing"), CHAIN)) == (3, 1)


def log_repaired(**more: object) -> bytes:
    extras = {"first_lost_id": 4, "bytes_cut": 10, "quarantine": "quarantine/x"}
    head = {"id": 4, "timestamp": "2026-11-24T10:00:00.000000Z", "source": "environment", "message": ""}
    wire = head | {"observation": "greenroom.log_repaired", "content": "", "extras": extras} | more
    return orjson.dumps(wire)


def test_k19_a_repair_of_revision_1_raised_the_stream_epoch_and_still_does() -> None:
    event = decode(log_repaired())
    assert event.body == e.LogRepaired(4, 10, "quarantine/x", acknowledged_loss=True)
    assert apply(EMPTY, event).stream_epoch == 2


def repaired(state: State, body: e.LogRepaired) -> int:
    event = e.Event(4, "2026-11-24T10:00:00.000000Z", e.Source.ENVIRONMENT, body)
    assert decode(encode(event)) == event
    return apply(state, event).stream_epoch


def test_k16_the_stream_epoch_rises_with_acknowledged_loss_alone_and_above_all_that_was_counted() -> None:
    state = State(stream_epoch=3)
    assert repaired(state, e.LogRepaired(4, 10, "q", acknowledged_loss=False)) == 3
    assert repaired(state, e.LogRepaired(4, 10, "q", acknowledged_loss=True)) == 4
    assert repaired(state, e.LogRepaired(4, 10, "q", acknowledged_loss=True, stream_epoch_min=9)) == 9
    assert repaired(state, e.LogRepaired(4, 10, "q", acknowledged_loss=True, stream_epoch_min=2)) == 4


def test_k19_a_kind_writes_its_revision_and_one_that_never_changed_writes_none() -> None:
    event = e.Event(4, "2026-11-24T10:00:00.000000Z", e.Source.ENVIRONMENT, e.LogRepaired(4, 10, "q"))
    assert orjson.loads(encode(event))["revision"] == 2
    message = e.Event(4, "2026-11-24T10:00:00.000000Z", e.Source.USER, e.MessageAction("hi"))
    assert list(orjson.loads(encode(message))) == ["id", "timestamp", "source", "message", "action", "args"]


@pytest.mark.parametrize("revision", [3, 999, 0, -1, "2", 1.0, True, None, [2]])
def test_k19_a_newer_revision_or_one_that_is_none_is_kept_as_unknown(revision: object) -> None:
    assert decode(log_repaired(revision=revision)).body == e.UnknownBody("greenroom.log_repaired")


@given(st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=4) | st.integers(0, 9), max_size=4))
def test_k19_what_no_upcaster_can_read_is_unknown_and_no_error(extras: Fields) -> None:
    body = decode(log_repaired(extras=extras)).body
    assert body == e.UnknownBody("greenroom.log_repaired")
