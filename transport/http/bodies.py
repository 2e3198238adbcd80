"""Request bodies and parameters: parsed into values, or a 422 of the contract's shape (§0)."""

from collections.abc import Mapping
from typing import Any

import attrs
import orjson
from quart import Response, request

__all__ = ["Invalid", "Problem", "answer", "conversation_id_problem", "fields", "integer", "json_body"]


@attrs.frozen
class Problem:
    """One entry of `detail`."""

    type: str
    loc: tuple[str | int, ...]
    msg: str
    input: Any = None


class Invalid(Exception):
    """The request cannot be understood (422)."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; `bytes` are JSON already."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(data, status, headers=dict(headers or {}), content_type="application/json")


async def json_body(*, required: bool = True) -> dict[str, Any]:
    """The request's JSON object. Raises `Invalid`."""
    data = await request.get_data(as_text=False)
    if not data.strip():
        if required:
            raise Invalid(Problem("missing", ("body",), "Field required"))
        return {}
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as failure:
        raise Invalid(Problem("json_invalid", ("body", failure.pos), "JSON decode error", {})) from failure
    if not isinstance(body, dict):
        raise Invalid(Problem("dict_type", ("body",), "Input should be an object", body))
    return body


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
            problems.append(
                Problem(f"{kind.__name__}_type", ("body", name), f"Input should be a valid {kind.__name__}", value)
            )
    if problems:
        raise Invalid(*problems)
    return {name: body[name] for name in known if body.get(name) is not None}


def integer(name: str, default: int | None) -> Any:
    """An integer query parameter. Raises `Invalid`."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        problem = Problem("int_parsing", ("query", name), "Input should be a valid integer", text)
        raise Invalid(problem) from None


def conversation_id_problem(conversation_id: str) -> str | None:
    """Why this can be no id (contract §1, "vid")."""
    if len(conversation_id) > 100:
        return "Conversation ID is too long"
    if ".." in conversation_id or any(sign in conversation_id for sign in "/\\"):
        return "Conversation ID contains invalid path characters"
    if any(ord(sign) < 32 for sign in conversation_id):
        return "Conversation ID contains control characters"
    return None
