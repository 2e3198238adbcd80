"""Microagents: texts with which a workspace instructs its agents. Pure.

What lives here: what one is, and how it is read from a Markdown file with YAML front matter. What must not: a file, or
when one applies. A file is what anybody may have written, so any bytes are either a microagent or one typed error.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs
import yaml

__all__ = ["BadMicroagent", "Input", "Kind", "Microagent", "parse"]

FRONT_MATTER_BYTES_MAX = 16 * 1024
"""A reader of YAML may take long over much of it."""

_FRONT = re.compile(r"---[ \t]*\n(?:(.*?)\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)


class Kind(StrEnum):
    """When it applies: always, or when one of its triggers is in a message."""

    REPO = "repo"
    KNOWLEDGE = "knowledge"


_KINDS = {"repo": Kind.REPO, "knowledge": Kind.KNOWLEDGE, "task": Kind.KNOWLEDGE}
"""What V0 calls a task is told as knowledge by it as well."""


@attrs.frozen
class Input:
    """What the user is asked for."""

    name: str
    description: str = ""


@attrs.frozen
class Microagent:
    """`tools` are the names of the MCP servers that it brings."""

    name: str
    type: Kind
    content: str
    triggers: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    tools: tuple[str, ...] = ()


class BadMicroagent(Exception):
    """The file cannot be read as one; the text says why in one sentence."""


def parse(stem: str, data: bytes) -> Microagent:
    """The microagent of a file; `stem` is its name without `.md`, and its own where it says no other.

    Without front matter the whole file instructs, always. Raises `BadMicroagent`.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as failure:
        raise BadMicroagent(f"not UTF-8: {failure}") from failure
    matter, content = _split(text)
    inputs = _inputs(matter.get("inputs"))
    triggers = _texts(matter.get("triggers"), "triggers")
    name = _text(matter.get("name"), "name") or _text(stem, "the name of the file")
    if inputs and f"/{name}" not in triggers:
        triggers = (*triggers, f"/{name}")
    kind = _kind(_text(matter.get("type"), "type"), is_triggered=bool(triggers))
    return Microagent(name, kind, content.strip(), triggers, inputs, _tools(matter.get("mcp_tools")))


def _split(text: str) -> tuple[Mapping[str, Any], str]:
    found = _FRONT.match(text)
    if found is None:
        if text.startswith("---\n"):
            raise BadMicroagent("the front matter has no end")
        return {}, text
    front = found[1] or ""
    if len(front.encode()) > FRONT_MATTER_BYTES_MAX:
        raise BadMicroagent(f"the front matter is larger than {FRONT_MATTER_BYTES_MAX} bytes")
    return _load(front), text[found.end() :]


def _load(front: str) -> Mapping[str, Any]:
    try:
        # The loader that makes nothing but texts, lists and mappings: even less than the safe one.
        matter = yaml.load(front, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as failure:
        raise BadMicroagent(f"the front matter is not YAML: {failure}") from failure
    if matter in (None, ""):
        return {}
    if not isinstance(matter, dict):
        raise BadMicroagent("the front matter must be a mapping")
    return matter


def _kind(said: str, *, is_triggered: bool) -> Kind:
    if not said:
        return Kind.KNOWLEDGE if is_triggered else Kind.REPO
    if said not in _KINDS:
        raise BadMicroagent(f"type must be one of {', '.join(_KINDS)}")
    return _KINDS[said]


def _text(value: Any, name: str) -> str:
    if value is not None and not isinstance(value, str):
        raise BadMicroagent(f"{name} must be a text")
    text = (value or "").strip()
    if not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise BadMicroagent(f"{name} is not valid Unicode")
    return text


def _list(value: Any, name: str) -> list[Any]:
    """Absent and empty are the same."""
    if value in (None, ""):
        return []
    if not isinstance(value, list):
        raise BadMicroagent(f"{name} must be a list")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    return tuple(filter(None, (_text(part, f"each of {name}") for part in _list(value, name))))


def _inputs(value: Any) -> tuple[Input, ...]:
    found = []
    for part in _list(value, "inputs"):
        if not isinstance(part, dict) or not _text(part.get("name"), "the name of an input"):
            raise BadMicroagent("each of inputs must be a mapping with a name")
        found.append(Input(part["name"].strip(), _text(part.get("description"), "the description of an input")))
    return tuple(found)


def _tools(value: Any) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    if not isinstance(value, dict):
        raise BadMicroagent("mcp_tools must be a mapping")
    servers = _list(value.get("stdio_servers"), "mcp_tools.stdio_servers")
    if not all(isinstance(server, dict) for server in servers):
        raise BadMicroagent("each of mcp_tools.stdio_servers must be a mapping")
    return tuple(_text(server.get("name"), "the name of an MCP server") for server in servers)
