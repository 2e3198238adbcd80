"""`…/config`, `…/vscode-url`, `…/web-hosts`, `…/microagents` (contract §1.2): what there is around a conversation.

What lives here: the routes, and the places of which the operator told us. What must not: an answer that depends on a
run-time being open; unlike V0 nothing is attached, and asking wakes nobody.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
from quart import Blueprint, Response, request

from actors.conversation.service import Conversations
from storage.errors import ConversationNotFound
from transport.http.bodies import answer

__all__ = ["Places", "blueprint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Places:
    """Addresses in which `{conversation_id}` stands for the conversation; `vscode_url` is empty where there is none."""

    vscode_url: str = ""
    web_hosts: Sequence[str] = ()


def blueprint(conversations: Conversations, places: Places) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("workspaces", __name__)

    @routes.get("/api/conversations/<conversation_id>/config")
    async def config(conversation_id: str) -> Response:
        conversations.require(conversation_id)
        return answer({"runtime_id": None, "session_id": conversation_id})

    @routes.get("/api/conversations/<conversation_id>/vscode-url")
    async def vscode_url(conversation_id: str) -> Response:
        conversations.require(conversation_id)
        return answer({"vscode_url": _fill(places.vscode_url, conversation_id) or None})

    @routes.get("/api/conversations/<conversation_id>/web-hosts")
    async def web_hosts(conversation_id: str) -> Response:
        conversations.require(conversation_id)
        hosts = [_fill(host, conversation_id) for host in places.web_hosts]
        return answer({"hosts": {host: _port(host) for host in hosts}})

    @routes.get("/api/conversations/<conversation_id>/microagents")
    async def microagents(conversation_id: str) -> Response:
        found: list[dict[str, Any]] = [attrs.asdict(one) for one in await conversations.microagents(conversation_id)]
        return answer({"microagents": found})

    @routes.errorhandler(ConversationNotFound)
    async def unknown(_: ConversationNotFound) -> Response:
        return answer({"detail": f"Conversation {(request.view_args or {})['conversation_id']} not found"}, 404)

    return routes


def _fill(template: str, conversation_id: str) -> str:
    return template.replace("{conversation_id}", quote(conversation_id, safe=""))


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _DEFAULT_PORTS[parts.scheme]
