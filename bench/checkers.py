"""What must hold of a log, of acknowledgements and of a client's view, whatever happened meanwhile. Pure.

Written from the promises (K10, K13, K32) and not from the server's code, so that both cannot be wrong in the same way.
Each checker raises `Violation` with the first thing that is not as promised.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

__all__ = ["Violation", "check_acknowledged", "check_creations", "check_keys", "check_log", "check_view", "is_visible"]

Event = dict[str, Any]

_CHECKSUM_KEY = b'"crc":"'


class Violation(Exception):
    """A promise that was not kept."""


def check_log(data: bytes) -> list[Event]:
    """The events of a whole `events.jsonl`: every line one JSON object with a right checksum, ids dense from 0."""
    if data and not data.endswith(b"\n"):
        raise Violation("the log does not end with a newline")
    return [_checked(line, place) for place, line in enumerate(data.split(b"\n")[:-1])]


def _checked(line: bytes, expected_id: int) -> Event:
    try:
        record = orjson.loads(line)
        event_id, checksum, event = record["id"], record["crc"], record["event"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as failure:
        raise Violation(f"line {expected_id} is no record: {failure!r}") from failure
    if not event_id == event["id"] == expected_id:
        raise Violation(f"line {expected_id} has the ids {event_id} and {event['id']}")
    head, _, rest = line.partition(_CHECKSUM_KEY)
    covered = head + rest[len(b'00000000","event":') : -1]
    if zlib.crc32(covered) != int(checksum, 16):
        raise Violation(f"line {expected_id} has a wrong checksum")
    return dict(event)


def check_acknowledged(texts: Sequence[str], acknowledged: Sequence[str]) -> None:
    """Of the stored texts, each acknowledged one is there once, and one sender's are in the order of its sending."""
    counts = Counter(texts)
    for text in acknowledged:
        if counts[text] != 1:
            raise Violation(f"acknowledged and {'lost' if counts[text] == 0 else 'stored twice'}: {text!r}")
    wanted = set(acknowledged)
    if [text for text in texts if text in wanted] != list(acknowledged):
        raise Violation("acknowledged messages of one sender are in another order")


def check_keys(log: Sequence[Event], sent: Mapping[str, str], acknowledged: Mapping[str, int]) -> None:
    """K13: what was sent under a key is in the log at most once; once exactly, as the event that was named, if it was
    acknowledged.

    `sent` are texts of messages by key, `acknowledged` ids of events by key.
    """
    used = Counter(key for event in log if (key := _key_of(event)) is not None)
    texts = Counter(event["args"]["content"] for event in log if event.get("action") == "message")
    for key, text in sent.items():
        if used[key] > 1 or texts[text] != used[key]:
            raise Violation(f"{text!r} is there {texts[text]} times, and its key {key} {used[key]} times")
    for key, event_id in acknowledged.items():
        event = log[event_id] if event_id < len(log) else {}
        if used[key] != 1 or event.get("args", {}).get("content") != sent[key]:
            raise Violation(f"acknowledged as event {event_id} and not there: {sent[key]!r}, key {key}")


def check_creations(firsts: Mapping[str, Event], acknowledged: Mapping[str, str]) -> None:
    """K11: no two conversations were created under one key, and each that was acknowledged is there as it was named.

    `firsts` are the first events by conversation, `acknowledged` conversations by key.
    """
    made: dict[str, str] = {}
    for conversation_id, first in firsts.items():
        key = first["extras"]["key"]
        if key is not None and made.setdefault(key, conversation_id) != conversation_id:
            raise Violation(f"created twice under the key {key}: {made[key]} and {conversation_id}")
    for key, conversation_id in acknowledged.items():
        if made.get(key) != conversation_id:
            raise Violation(f"acknowledged under the key {key}: {conversation_id}, and there is {made.get(key)}")


def _key_of(event: Event) -> str | None:
    is_key = event.get("observation") == "greenroom.key_used"
    return str(event["extras"]["key"]) if is_key else None


def is_visible(event: Event) -> bool:
    """Whether a V0 socket is shown the event: neither house facts, nor null events, nor recalls."""
    kind = str(event.get("observation", ""))
    return not kind.startswith("greenroom.") and kind != "null" and event.get("action") not in ("null", "recall")


def check_view(view: Sequence[Event], log: Sequence[Event], after: int) -> None:
    """The view is what the visible log has behind `after`, from its first event on, without gap, repeat or change."""
    wanted = [event for event in log if is_visible(event) and event["id"] > after]
    for place, event in enumerate(view):
        if place >= len(wanted):
            raise Violation(f"shown and not in the log: event {event.get('id')}")
        if event != wanted[place]:
            raise Violation(f"event {wanted[place]['id']} was due, and {event.get('id')} was shown")
