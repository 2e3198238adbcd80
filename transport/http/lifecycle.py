"""`…/start`, `…/stop` (contract §1.1), and what V0 has no route for: pause, resume, archive, unarchive, keepalive.

What lives here: one route a transition. What must not: which transition is legal; an illegal one is the table's
refusal and becomes a 409.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from quart import Blueprint, Response

from actors.conversation.keys import Receipt
from actors.conversation.service import Conversations
from actors.domain.terms import Terms
from storage.errors import ConversationNotFound
from transport.http.bodies import Invalid, Problem, answer, fields, json_body, one_of
from transport.http.conversations import GIT_PROVIDERS, told
from transport.http.terms import asked_terms, tell

__all__ = ["blueprint"]

KEEP_ALIVE_SECONDS = 3600
"""Unless the request says otherwise: as long as a conversation lives without being kept alive."""

KEEP_ALIVE_SECONDS_MAX = 7 * 24 * 3600
"""A week: whoever needs more comes back."""


def blueprint(conversations: Conversations) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("lifecycle", __name__)

    def add(verb: str, transition: Callable[[str, Terms | None], Awaitable[Receipt]]) -> None:
        @routes.post(f"/api/conversations/<conversation_id>/{verb}", endpoint=verb)
        async def route(conversation_id: str) -> Response:
            terms = asked_terms()
            receipt = await transition(conversation_id, terms)
            return tell(told(conversation_id, receipt.status), receipt, terms)

    add("pause", conversations.pause)
    add("resume", conversations.resume)
    add("archive", conversations.archive)
    add("unarchive", conversations.unarchive)

    @routes.post("/api/conversations/<conversation_id>/start")
    async def start(conversation_id: str) -> Response:
        raw = await json_body()
        terms, body = asked_terms(raw), fields(raw, {"providers_set": list}, strict=False)
        for provider in body.get("providers_set", ()):
            one_of(GIT_PROVIDERS, provider, "body", "providers_set")
        receipt = await conversations.start(conversation_id, terms)
        return tell(told(conversation_id, receipt.status), receipt, terms)

    @routes.post("/api/conversations/<conversation_id>/stop")
    async def stop(conversation_id: str) -> Response:
        terms = asked_terms()
        before = await conversations.stop(conversation_id, terms)
        was_running = before.status != "STOPPED"
        message = "Conversation stopped successfully" if was_running else "Conversation was not running"
        return tell(told(conversation_id, before.status, message), before, terms)

    @routes.post("/api/conversations/<conversation_id>/keepalive")
    async def keep_alive(conversation_id: str) -> Response:
        seconds, terms = _seconds(await json_body(required=False)), asked_terms()
        receipt = await conversations.keep_alive(conversation_id, seconds, terms)
        until = datetime.fromisoformat(receipt.at) + timedelta(seconds=seconds)
        expires_at = until.isoformat(timespec="seconds").replace("+00:00", "Z")
        return tell(told(conversation_id, receipt.status) | {"expires_at": expires_at}, receipt, terms)

    @routes.errorhandler(ConversationNotFound)
    async def unknown(failure: ConversationNotFound) -> Response:
        return answer({"status": "error", "conversation_id": str(failure)}, 404)

    return routes


def _seconds(body: dict[str, Any]) -> int:
    """Raises `Invalid`."""
    fields({name: value for name, value in body.items() if name != "seconds"}, {})  # there are no others
    seconds = body.get("seconds", KEEP_ALIVE_SECONDS)
    if type(seconds) is not int or not 1 <= seconds <= KEEP_ALIVE_SECONDS_MAX:
        expected = f"Input should be a whole number from 1 to {KEEP_ALIVE_SECONDS_MAX}"
        raise Invalid(Problem("int_range", ("body", "seconds"), expected, seconds))
    return seconds
