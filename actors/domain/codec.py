"""Events <-> the bytes that lie on disk and go over the wire, and client input -> actions. Pure; one error.

Key order and names are those of contract §3.1. What this version does not know becomes an `UnknownBody`: kept,
served unchanged, never applied (K19). What an older version wrote is read through `revisions`.
"""

import zlib
from collections.abc import Mapping
from typing import Any, TypeVar

import cattrs
import orjson
from cattrs.gen import make_dict_structure_fn

from actors.domain import events as e
from actors.domain.revisions import revision_of, upcast

__all__ = [
    "URLS_MAX",
    "VOCABULARY",
    "DecodeError",
    "decode",
    "decode_client_action",
    "encode",
    "kind_of",
    "kind_of_body",
    "visible",
]

T = TypeVar("T")

_ACTIONS: dict[type, str] = {
    e.MessageAction: "message",
    e.RunAction: "run",
    e.ThinkAction: "think",
    e.FinishAction: "finish",
    e.ChangeAgentStateAction: "change_agent_state",
}
_OBSERVATIONS: dict[type, str] = {
    e.RunObservation: "run",
    e.ThinkObservation: "think",
    e.ErrorObservation: "error",
    e.UserRejectObservation: "user_rejected",
    e.AgentStateChanged: "agent_state_changed",
    e.ConversationCreated: "greenroom.created",
    e.TitleChanged: "greenroom.title_changed",
    e.Archived: "greenroom.archived",
    e.Unarchived: "greenroom.unarchived",
    e.KeyUsed: "greenroom.key_used",
    e.RunStarted: "greenroom.run_started",
    e.RunEnded: "greenroom.run_ended",
    e.LogRepaired: "greenroom.log_repaired",
}
_KINDS = {cls: ("action", name) for cls, name in _ACTIONS.items()} | {
    cls: ("observation", name) for cls, name in _OBSERVATIONS.items()
}
_CLASSES = {kind: cls for cls, kind in _KINDS.items()}

VOCABULARY = zlib.crc32(orjson.dumps(sorted((*kind, revision_of(kind)) for kind in _CLASSES)))
"""Stands for all that this version understands: another number, another view of the same log (K18, K19)."""

_CLIENTS_ACTIONS: dict[str, type] = {_ACTIONS[cls]: cls for cls in (e.MessageAction, e.ChangeAgentStateAction)}
_DROPPED = frozenset({"timestamp", "images_urls"})

_HIDDEN = frozenset({("action", "null"), ("observation", "null"), ("action", "recall")})
_HOUSE = "greenroom."


URLS_MAX = 1000
"""Images, and files, of one message: each is looked at on the way into the log, while everybody else waits."""


class DecodeError(Exception):
    """These bytes, or this client's object, are not an event; the text says why in one sentence."""


def _strict(cls: type) -> Any:
    def check(value: Any, _: type) -> Any:
        # bool is an int to Python, and never to us.
        if type(value) is not cls:
            raise ValueError(f"expected {cls.__name__}, got {type(value).__name__}")
        return value

    return check


def _texts(value: Any, _: type) -> tuple[str, ...]:
    # A text is a sequence of texts to Python, and never to us.
    if not isinstance(value, list) or not all(type(part) is str for part in value):
        raise ValueError("expected a list of texts")
    return tuple(value)


_text = _strict(str)

_converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
_converter.register_structure_hook_func(lambda cls: cls == tuple[str, ...], _texts)
for _primitive in (str, int, bool, dict):
    _converter.register_structure_hook(_primitive, _strict(_primitive))
for _enum in (e.AgentState, e.RunOutcome, e.ConfirmationState):
    # Whoever looks a list up is told its whole text, which may be nested deeper than Python can print.
    _converter.register_structure_hook(_enum, lambda value, cls: cls(_text(value, str)))
for _class in _KINDS:
    _converter.register_structure_hook(
        _class, make_dict_structure_fn(_class, _converter, _cattrs_forbid_extra_keys=True)
    )


def encode(event: e.Event) -> bytes:
    """The one encoding of an event. Raises `DecodeError` when its text is not valid Unicode."""
    family, kind = _KINDS[type(event.body)]
    fields = _converter.unstructure(event.body)
    wire: dict[str, Any] = {
        "id": event.id,
        "timestamp": event.timestamp,
        "source": event.source.value,
        "message": _display(event.body),
    }
    if event.cause is not None:
        wire["cause"] = event.cause
    if (revision := revision_of((family, kind))) > 1:
        wire["revision"] = revision
    wire[family] = kind
    if family == "action":
        wire["args"] = fields
    else:
        wire["content"] = fields.pop("content")
        wire["extras"] = fields
    if isinstance(event.body, e.RunObservation):
        wire["success"] = event.body.metadata.exit_code == 0
    try:
        written = orjson.dumps(wire)
    except TypeError as failure:
        raise DecodeError(f"cannot be written as JSON: {failure}") from failure
    # Copied: orjson (3.13) leaves all that it had reserved, 4 KiB at the least, to the bytes that it returns, and these
    # are kept, by the hundred for each busy conversation.
    return bytes(memoryview(written))


def decode(payload: bytes) -> e.Event:
    """The event in these bytes. Raises `DecodeError`, and nothing else, on bytes that are no event."""
    wire = _load(payload)
    try:
        event_id, timestamp, source = wire["id"], wire["timestamp"], e.Source(_text(wire["source"], str))
    except (KeyError, ValueError) as failure:
        raise DecodeError(f"not an event: {failure}") from failure
    cause = wire.get("cause")
    if type(event_id) is not int or type(timestamp) is not str or type(cause) not in (int, type(None)):
        raise DecodeError("not an event: id and cause must be integers, and timestamp a text")
    return e.Event(event_id, timestamp, source, _body(wire), cause)


def kind_of(payload: bytes) -> tuple[str, str]:
    """("action" | "observation", kind) of an event's bytes; the kind is empty where it is no text."""
    return _kind_of(_load(payload))


def _kind_of(wire: Mapping[str, Any]) -> tuple[str, str]:
    family = "action" if "action" in wire else "observation"
    kind = wire.get(family)
    return family, kind if isinstance(kind, str) else ""


def visible(family: str, kind: str) -> bool:
    """What V0 sockets show (K32): no house facts, no null events, no recall actions."""
    return (family, kind) not in _HIDDEN and not kind.startswith(_HOUSE)


def kind_of_body(body: e.Body) -> tuple[str, str]:
    """As `kind_of`, for a body of a known kind."""
    return _KINDS[type(body)]


def decode_client_action(wire: object) -> e.MessageAction | e.ChangeAgentStateAction:
    """What a client may do: send a message, ask for another agent state. Anything else is a forgery (D21).

    Raises `DecodeError`. The client's `args.timestamp` is dropped and the alias `images_urls` accepted (contract
    §2.5, §3.2).
    """
    if not isinstance(wire, dict):
        raise DecodeError("an action must be a JSON object")
    kind = wire.get("action")
    cls = _CLIENTS_ACTIONS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise DecodeError("clients may send the actions `message` and `change_agent_state`")
    args = wire.get("args", {})
    if not isinstance(args, dict):
        raise DecodeError("`args` must be a JSON object")
    if not _DROPPED.isdisjoint(args):
        fields = {name: value for name, value in args.items() if name not in _DROPPED}
        if args.get("images_urls") is not None:
            fields.setdefault("image_urls", args["images_urls"])
        args = fields
    for name in ("image_urls", "file_urls"):
        if isinstance(urls := args.get(name), list) and len(urls) > URLS_MAX:
            raise DecodeError(f"`{name}` may hold {URLS_MAX} texts")
    body: e.Body = _structure(args, cls)
    assert isinstance(body, e.MessageAction | e.ChangeAgentStateAction)  # noqa: S101 - just checked; tells mypy
    return body


def _body(wire: Mapping[str, Any]) -> e.Body:
    family, kind = _kind_of(wire)
    cls, newest = _CLASSES.get((family, kind)), revision_of((family, kind))
    revision = wire.get("revision", 1)
    fields = wire.get("args" if family == "action" else "extras", {})
    if cls is None or type(revision) is not int or not 1 <= revision <= newest or not isinstance(fields, dict):
        return e.UnknownBody(kind)
    if family == "observation":
        fields = {"content": wire.get("content"), **fields}
    try:
        body: e.Body = _structure(upcast((family, kind), revision, fields), cls)
    except (DecodeError, KeyError, TypeError, ValueError):
        return e.UnknownBody(kind)
    return body


_MISFITS = (
    cattrs.BaseValidationError,
    cattrs.ForbiddenExtraKeysError,
    AttributeError,  # a list where an object belongs
    KeyError,
    TypeError,
    ValueError,
)


def _structure(fields: object, cls: type[T]) -> T:
    try:
        return _converter.structure(fields, cls)
    except _MISFITS as failure:
        raise DecodeError(f"not a valid {cls.__name__}: {failure}") from failure


def _load(payload: bytes) -> dict[str, Any]:
    try:
        wire = orjson.loads(payload)
    except orjson.JSONDecodeError as failure:
        raise DecodeError(f"not JSON: {failure}") from failure
    if not isinstance(wire, dict):
        raise DecodeError("not a JSON object")
    return wire


def _display(body: e.Body) -> str:
    """The text that V0 clients show or ignore, but insist on (contract §3.1)."""
    match body:
        case e.MessageAction() | e.ErrorObservation() | e.ThinkObservation() | e.UserRejectObservation():
            return body.content
        case e.RunAction():
            return f"Runs: {body.command}"
        case e.RunObservation():
            return f"The command ended with exit code {body.metadata.exit_code}."
        case e.ThinkAction():
            return f"Thinks: {body.thought}"
        case e.FinishAction():
            return body.final_thought
        case _:
            return ""
