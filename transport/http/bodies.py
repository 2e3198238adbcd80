"""Request bodies and parameters: parsed into values, or a 422 of the contract's shape (§0).

What lives here: what every resource needs to read a request and to write an answer. What must not: a route, or a
word about conversations beyond what their ids look like; the resources say which fields they know.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import orjson
from quart import Blueprint, Response, request

from transport.parsing import parse_json

__all__ = [
    "Invalid",
    "Problem",
    "answer",
    "conversation_id_problem",
    "fields",
    "flag",
    "integer",
    "json_body",
    "keep_confidential",
    "number",
    "one_of",
    "unintelligible",
    "wrong_type",
]


@attrs.frozen
class Problem:
    """One entry of `detail`."""

    type: str
    loc: tuple[str | int, ...]
    msg: str
    input: Any = None
    ctx: Mapping[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """As JSON; `ctx` only where there is one."""
        return attrs.asdict(self, filter=lambda field, value: field.name != "ctx" or value is not None)


class Invalid(Exception):
    """The request cannot be understood (422)."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


def unintelligible(failure: Invalid) -> Response:
    """The 422 that names what is amiss."""
    return answer({"detail": [problem.body() for problem in failure.problems]}, 422)


def keep_confidential(routes: Blueprint) -> None:
    """Have these routes tell what is amiss without what was sent: keys stand in their bodies, also in wrong places."""

    @routes.errorhandler(Invalid)
    async def tell_without_input(failure: Invalid) -> Response:
        return unintelligible(Invalid(*(attrs.evolve(problem, input=None) for problem in failure.problems)))


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; `bytes` are JSON already."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(data, status, headers=dict(headers or {}), content_type="application/json")


async def json_body(*, required: bool = True, confidential: bool = False) -> dict[str, Any]:
    """The request's JSON object. Raises `Invalid`, without a confidential body in it."""
    data = await request.get_data(as_text=False)
    if not data.strip():
        if required:
            raise Invalid(Problem("missing", ("body",), "Field required"))
        return {}
    try:
        body = parse_json(data)
    except orjson.JSONDecodeError as failure:
        told = {"error": failure.msg}
        raise Invalid(Problem("json_invalid", ("body", failure.pos), "JSON decode error", {}, told)) from failure
    if not isinstance(body, dict):
        raise Invalid(wrong_type(dict, None if confidential else body, "body"))
    return body


_TYPES = {
    str: ("string", "string"),
    list: ("list", "list"),
    dict: ("dict", "dictionary"),
    bool: ("bool", "boolean"),
    int: ("int", "integer"),
}


def wrong_type(kind: type, value: Any, *loc: str | int) -> Problem:
    """The value at `loc` is not of this kind: str, list, dict, bool or int."""
    name, called = _TYPES[kind]
    return Problem(f"{name}_type", loc, f"Input should be a valid {called}", value)


def fields(body: Mapping[str, Any], known: Mapping[str, type], *, strict: bool = True) -> dict[str, Any]:
    """The known fields, each of its type or null. Raises `Invalid` for wrong types, and for extras when strict."""
    problems = [
        Problem("extra_forbidden", ("body", name), "Extra inputs are not permitted", value)
        for name, value in body.items()
        if strict and name not in known
    ]
    for name, kind in known.items():
        value = body.get(name)
        if value is not None and type(value) is not kind:
            problems.append(wrong_type(kind, value, "body", name))
    if problems:
        raise Invalid(*problems)
    return {name: body[name] for name in known if body.get(name) is not None}


def one_of(allowed: Sequence[str], value: Any, *loc: str) -> None:
    """Raises `Invalid` unless the value is one of these; `loc` is where it stands."""
    if value not in allowed:
        expected = " or ".join((", ".join(f"'{choice}'" for choice in allowed[:-1]), f"'{allowed[-1]}'"))
        raise Invalid(Problem("enum", loc, f"Input should be {expected}", value, {"expected": expected}))


NUMBER_MAX = 2**53
"""Beyond this JSON's readers disagree about whole numbers."""


def number(kind: type[int] | type[float], value: Any, *loc: str) -> int | float:
    """A number of this kind, which a text may hold as well, as V0 takes it. Raises `Invalid`."""
    name, called = ("int", "integer") if kind is int else ("float", "number")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Invalid(Problem(f"{name}_type", loc, f"Input should be a valid {called}", value))
    try:
        found = kind(value)
    except (ValueError, OverflowError):
        raise Invalid(Problem(f"{name}_parsing", loc, f"Input should be a valid {called}", value)) from None
    if not isinstance(value, str) and found != value:
        raise Invalid(Problem("int_from_float", loc, "Input should be a valid integer", value))
    if not -NUMBER_MAX <= found <= NUMBER_MAX:
        raise Invalid(Problem("number_range", loc, "Input should be a number that JSON can carry", value))
    return found


_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
"""Beyond any id, and well below the digits at which Python refuses; its own reading would take underscores and the
digits of every script."""


def integer(name: str, default: int | None) -> Any:
    """An integer query parameter. Raises `Invalid`."""
    text = request.args.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        raise Invalid(Problem("int_parsing", ("query", name), "Input should be a valid integer", text))
    return int(text)


def flag(name: str) -> bool:
    """A query parameter that is true or false, and false where it is absent. Raises `Invalid`."""
    text = request.args.get(name, "false")
    if text.lower() not in ("true", "1", "false", "0"):
        raise Invalid(Problem("bool_parsing", ("query", name), "Input should be a valid boolean", text))
    return text.lower() in ("true", "1")


def conversation_id_problem(conversation_id: str) -> str | None:
    """Why this can be no id (contract §1, "vid")."""
    if len(conversation_id) > 100:
        return "Conversation ID is too long"
    if ".." in conversation_id or any(sign in conversation_id for sign in "/\\"):
        return "Conversation ID contains invalid path characters"
    if any(ord(sign) < 32 for sign in conversation_id):
        return "Conversation ID contains control characters"
    return None
