"""The keys in a list of MCP servers (`mcp_config`): shown as masks, and found again when the masks come back. Pure.

The user edits the list as a whole and sends it back, so a server is known by its place: kind, and url or name.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from actors.domain.masks import MASK
from actors.settings.errors import HiddenValueUnknown

__all__ = ["conceal", "reveal", "secrets_in"]

_IDENTITY = {"sse_servers": "url", "shttp_servers": "url", "stdio_servers": "name"}

_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
"""Of an environment variable; the others are switches and paths, which must stay readable and be masked nowhere."""

_Place = tuple[str | int, ...]


def conceal(config: Mapping[str, Any]) -> dict[str, Any]:
    """The list with masks in place of keys."""
    return _mapped(config, lambda _place, _server, _value: MASK)


def secrets_in(config: Mapping[str, Any]) -> Iterator[str]:
    """The keys in the list."""
    found: list[str] = []

    def take(_place: _Place, _server: Mapping[str, Any], value: str) -> str:
        found.append(value)
        return value

    _mapped(config, take)
    yield from found


def reveal(config: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The list with the stored keys in place of masks. Raises `HiddenValueUnknown`."""

    def restore(place: _Place, server: Mapping[str, Any], value: str) -> str:
        return _stored_value(place, server, stored) if value == MASK else value

    return _mapped(config, restore)


def _stored_value(place: _Place, server: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    kind, _, *path = place
    identity = _IDENTITY.get(str(kind), "name")
    for candidate in _servers(stored, str(kind)):
        if candidate.get(identity) == server.get(identity):
            found: Any = candidate
            for name in path:
                found = found.get(name) if isinstance(found, Mapping) else None
            if isinstance(found, str):
                return found
    raise HiddenValueUnknown(place)


def _servers(config: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    servers = config.get(kind)
    return [server for server in servers if isinstance(server, Mapping)] if isinstance(servers, list) else []


def _mapped(config: Mapping[str, Any], change: Callable[[_Place, Mapping[str, Any], str], str]) -> dict[str, Any]:
    return {
        kind: [_server(server, (kind, place), change) for place, server in enumerate(servers)]
        if isinstance(servers, list)
        else servers
        for kind, servers in config.items()
    }


def _server(server: Any, place: _Place, change: Callable[[_Place, Mapping[str, Any], str], str]) -> Any:
    if not isinstance(server, Mapping):
        return server
    changed = dict(server)
    if isinstance(server.get("api_key"), str) and server["api_key"]:
        changed["api_key"] = change((*place, "api_key"), server, server["api_key"])
    if isinstance(server.get("env"), Mapping):
        changed["env"] = {
            name: change((*place, "env", name), server, value)
            if isinstance(value, str) and value and _SECRET_NAME.search(name)
            else value
            for name, value in server["env"].items()
        }
    return changed
