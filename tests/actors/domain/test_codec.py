"""The one codec: what goes in comes out, what is no event is one error, and what is not known is kept (K19)."""

import tracemalloc
from contextlib import suppress
from typing import get_args

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain import events as e
from actors.domain.codec import DecodeError, decode, decode_client_action, encode, kind_of, kind_of_body, visible

KNOWN = tuple(cls for cls in get_args(e.Body) if cls is not e.UnknownBody)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
TIMES = st.just("2026-11-24T10:00:00.000000Z")
IDS = st.integers(0, 2**53)

EVENTS = st.sampled_from(KNOWN).flatmap(
    lambda cls: st.builds(
        e.Event,
        id=IDS,
        timestamp=TIMES,
        source=st.sampled_from(e.Source),
        body=_bodies(cls),
        cause=st.none() | IDS,
    )
)


def _bodies(cls: type) -> st.SearchStrategy[object]:
    """Every field drawn, those with a default too."""
    drawn: dict[str, st.SearchStrategy[object]] = {}
    for field in attrs.fields(attrs.resolve_types(cls)):
        if field.name == "outputs":
            drawn[field.name] = OBJECTS
        elif field.name == "metadata":
            drawn[field.name] = _bodies(e.RunMetadata)
        elif field.type == tuple[int, ...]:
            drawn[field.name] = st.lists(IDS, max_size=3).map(tuple)
        elif field.type == tuple[str, ...] | None:
            drawn[field.name] = st.none() | st.lists(st.text(max_size=10), max_size=3).map(tuple)
        elif field.type is int:
            drawn[field.name] = st.integers(-(2**53), 2**53)
        else:
            drawn[field.name] = st.from_type(field.type)
    return st.builds(cls, **drawn)


@given(EVENTS)
def test_what_is_encoded_is_decoded_as_it_was(event: e.Event) -> None:
    try:
        payload = encode(event)
    except DecodeError:
        return  # half a surrogate pair: no JSON can carry it
    assert decode(payload) == event
    assert kind_of(payload) == kind_of_body(event.body)


@given(st.binary(max_size=200) | JSON.map(orjson.dumps))
def test_bytes_that_are_no_event_are_one_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(payload)


def wire(**fields: object) -> bytes:
    return orjson.dumps({"id": 3, "timestamp": "2026-11-24T10:00:00.000000Z", "source": "agent", **fields})


@given(
    st.sampled_from(["message", "run", "finish", "change_agent_state", "teleport"]),
    JSON,
    st.sampled_from(["args", "x"]),
)
def test_k19_any_args_of_any_action_are_an_event(kind: str, args: object, name: str) -> None:
    assert decode(wire(action=kind, **{name: args})).id == 3


@given(st.sampled_from(["run", "error", "greenroom.run_ended", "greenroom.teleported"]), JSON, JSON)
def test_k19_any_extras_of_any_observation_are_an_event(kind: str, content: object, extras: object) -> None:
    assert decode(wire(observation=kind, content=content, extras=extras)).id == 3


ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 9) | JSON,
        "timestamp": TIMES | JSON,
        "source": st.sampled_from(e.Source) | JSON,
        "cause": st.integers(0, 9) | JSON,
        "revision": st.integers(0, 4) | JSON,
        "action": st.sampled_from(["message", "run", "finish"]) | JSON,
        "observation": st.sampled_from(["run", "greenroom.log_repaired", "greenroom.run_started"]) | JSON,
        "args": OBJECTS | JSON,
        "content": JSON,
        "extras": st.fixed_dictionaries({}, optional={"metadata": JSON, "command": JSON, "messages": JSON}) | JSON,
    },
)


@given(OBJECTS | ENVELOPE)
def test_k19_any_json_object_is_an_event_or_one_error(wire: dict[str, object]) -> None:
    payload = orjson.dumps(wire)
    family, kind = kind_of(payload)
    with suppress(DecodeError):
        body = decode(payload).body
        assert (family, kind) == kind_of_body(body) if type(body) in KNOWN else body == e.UnknownBody(kind)


@pytest.mark.parametrize(
    "place",
    [
        '"source":{},"action":"finish"',
        '"source":"agent","action":{}',
        '"source":"agent","revision":{},"action":"finish"',
        '"source":"agent","action":"change_agent_state","args":{{"agent_state":{}}}',
        '"source":"agent","action":"message","args":{{"content":{}}}',
        '"source":"agent","observation":"run","content":"","extras":{{"command":"ls","metadata":{}}}',
    ],
)
def test_k19_what_is_nested_deeper_than_python_can_print_is_no_other_error(place: str) -> None:
    text = '{"id":3,"timestamp":"t",' + place.format("[" * 1000 + "]" * 1000) + "}"
    with suppress(DecodeError):
        assert isinstance(decode(text.encode()).body, e.UnknownBody)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "teleport", "args": {}},
        {"action": "message", "args": {"content": "hi", "from_the_future": 1}},
        {"action": "message", "args": {"content": 5}},
        {"action": "message", "args": {"content": "hi", "image_urls": "http"}},
        {"action": "message", "args": {"content": "hi", "wait_for_response": 1}},
        {"action": "message", "args": {"content": "hi", "security_risk": True}},
        {"action": "message"},
        {"observation": "agent_state_changed", "content": "", "extras": {"agent_state": "dancing", "reason": ""}},
        {"observation": "run", "extras": {"command": "ls"}},
        {"observation": "run", "content": "", "extras": {"command": "ls", "metadata": []}},
    ],
)
def test_k19_what_this_version_does_not_know_is_kept_as_unknown(fields: dict[str, object]) -> None:
    assert isinstance(decode(wire(**fields)).body, e.UnknownBody)


@pytest.mark.parametrize(
    "damage", [{"id": "3"}, {"id": True}, {"timestamp": 5}, {"source": "moon"}, {"cause": "2"}, {"cause": 2.5}]
)
def test_a_bad_envelope_is_an_error(damage: dict[str, object]) -> None:
    whole = orjson.loads(wire(action="message", args={"content": "hi"}))
    with pytest.raises(DecodeError):
        decode(orjson.dumps(whole | damage))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (e.MessageAction("hi"), True),
        (e.RunObservation("out", "ls"), True),
        (e.AgentStateChanged(e.AgentState.RUNNING), True),
        (e.RunStarted((1,)), False),
        (e.ConversationCreated(), False),
        (e.LogRepaired(1, 2, "quarantine/x"), False),
    ],
)
def test_k32_sockets_are_shown_everything_but_house_facts(body: e.Body, *, shown: bool) -> None:
    assert visible(*kind_of_body(body)) is shown


@pytest.mark.parametrize(("family", "kind"), [("action", "null"), ("observation", "null"), ("action", "recall")])
def test_k32_null_events_and_recall_actions_are_hidden(family: str, kind: str) -> None:
    assert not visible(family, kind)


# --- what clients may send -----------------------------------------------------------------------------------------


def test_a_client_may_send_a_message_with_the_fields_of_the_stock_ui() -> None:
    sent = {"content": "hi", "image_urls": ["data:x"], "file_urls": [], "timestamp": "2026-11-24T10:00:00Z"}
    assert decode_client_action({"action": "message", "args": sent}) == e.MessageAction("hi", (), ("data:x",))


def test_the_older_name_of_image_urls_is_understood() -> None:
    action = decode_client_action({"action": "message", "args": {"content": "hi", "images_urls": ["data:x"]}})
    assert action == e.MessageAction("hi", image_urls=("data:x",))


@pytest.mark.parametrize(
    "forged",
    [
        None,
        [],
        "message",
        {},
        {"action": None},
        {"action": ["message"]},
        {"action": "run", "args": {"command": "rm -rf /"}},
        {"observation": "run", "content": "", "extras": {}},
        {"action": "message"},
        {"action": "message", "args": None},
        {"action": "message", "args": ["hi"]},
        {"action": "message", "args": {"content": None}},
        {"action": "message", "args": {"content": 5}},
        {"action": "message", "args": {"content": "hi", "image_urls": "data:x"}},
        {"action": "message", "args": {"content": "hi", "image_urls": [5]}},
        {"action": "message", "args": {"content": "hi", "image_urls": [""] * 1001}},
        {"action": "message", "args": {"content": "hi", "images_urls": [""] * 1001}},
        {"action": "message", "args": {"content": "hi", "file_urls": [""] * 1001}},
        {"action": "message", "args": {"content": "hi", "file_urls": 5}},
        {"action": "message", "args": {"content": "hi", "id": 7}},
        {"action": "change_agent_state", "args": {"agent_state": "dancing"}},
    ],
)
def test_d21_anything_else_from_a_client_is_refused_with_a_reason(forged: object) -> None:
    with pytest.raises(DecodeError, match=r"\w"):
        decode_client_action(forged)


@given(JSON)
def test_whatever_a_client_sends_is_an_action_or_one_error(sent: object) -> None:
    with suppress(DecodeError):
        assert isinstance(decode_client_action(sent), e.MessageAction | e.ChangeAgentStateAction)


def test_what_is_kept_of_an_event_is_no_larger_than_its_bytes() -> None:
    event = e.Event(0, "2026-01-01T00:00:00.000000Z", e.Source.USER, e.MessageAction("hello"))
    encode(event)
    tracemalloc.start()
    try:
        kept = [encode(event) for _ in range(100)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * sum(map(len, kept))
