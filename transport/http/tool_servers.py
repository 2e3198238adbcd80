"""The shape of `mcp_config`, a list of MCP servers of three kinds (contract §1.1a). Pure.

What lives here: which fields a server has, and what is amiss with one. What must not: a value in what is told, since
keys stand between the others.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from transport.http.bodies import Problem, wrong_type

__all__ = ["problems_of_tool_servers"]


@attrs.frozen
class _Kind:
    """`fields` by type; `may_be_url`: the address alone stands for a server."""

    required: tuple[str, ...]
    fields: Mapping[str, type]
    may_be_url: bool


_KINDS: Mapping[str, _Kind] = {
    "sse_servers": _Kind(("url",), {"url": str, "api_key": str}, may_be_url=True),
    "stdio_servers": _Kind(
        ("name", "command"), {"name": str, "command": str, "args": list, "env": dict}, may_be_url=False
    ),
    "shttp_servers": _Kind(("url",), {"url": str, "api_key": str, "timeout": int}, may_be_url=True),
}


def problems_of_tool_servers(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is amiss, by its place in the body."""
    for name, servers in config.items():
        place = ("body", "mcp_config", name)
        if name not in _KINDS:
            yield _extra(place)
        elif not isinstance(servers, list):
            yield wrong_type(list, None, *place)
        else:
            for index, server in enumerate(servers):
                yield from _of_server(_KINDS[name], server, (*place, index))


def _of_server(kind: _Kind, server: Any, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if kind.may_be_url and isinstance(server, str):
        return
    if not isinstance(server, dict):
        yield wrong_type(dict, None, *place)
        return
    yield from (_extra((*place, name)) for name in server if name not in kind.fields)
    for name, expected in kind.fields.items():
        value = server.get(name)
        if value is None and name in kind.required:
            yield Problem("missing", (*place, name), "Field required")
        elif value is not None and type(value) is not expected:
            yield wrong_type(expected, None, *place, name)
    yield from _of_texts(server.get("args"), (*place, "args"))
    yield from _of_texts(server.get("env"), (*place, "env"))


def _of_texts(texts: Any, place: tuple[str | int, ...]) -> Iterator[Problem]:
    """The values of a list or an object; what is neither has been told already."""
    named = texts.items() if isinstance(texts, dict) else enumerate(texts) if isinstance(texts, list) else ()
    yield from (wrong_type(str, None, *place, name) for name, text in named if not isinstance(text, str))


def _extra(place: tuple[str | int, ...]) -> Problem:
    return Problem("extra_forbidden", place, "Extra inputs are not permitted")
