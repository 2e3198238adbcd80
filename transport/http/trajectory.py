"""`…/trajectory` (contract §1.2): all that was said and done, as one document that other tools read.

What lives here: the route and the cut of its events. What must not: the whole document in memory; it goes out as it
is read, at the client's pace. House facts are left out: no tool for V0's trajectories knows them, `…/events` has them.
"""

from collections.abc import AsyncGenerator

import orjson
from quart import Blueprint, Response, request

from actors.conversation.service import Conversations
from actors.domain.codec import visible
from storage.errors import ConversationNotFound, CorruptLog
from transport.http.bodies import answer

__all__ = ["TRIMMED_EXTRAS", "blueprint"]

TRIMMED_EXTRAS = frozenset({
    "dom_object", "axtree_object", "active_page_index", "last_browser_action", "last_browser_action_error",
    "focused_element_bid", "extra_element_properties", "screenshot", "set_of_marks",
})  # fmt: skip
"""What browsing leaves behind, by the megabyte (contract §3.4)."""


def blueprint(conversations: Conversations) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("trajectory", __name__)

    @routes.get("/api/conversations/<conversation_id>/trajectory")
    async def trajectory(conversation_id: str) -> Response:
        history = await conversations.history(conversation_id)
        response = Response(_document(history), content_type="application/json")
        response.timeout = None  # a slow reader is the stream's business (K33)
        return response

    @routes.errorhandler(ConversationNotFound)
    async def unknown(_: ConversationNotFound) -> Response:
        return answer({"detail": f"Conversation {(request.view_args or {})['conversation_id']} not found"}, 404)

    return routes


async def _document(history: AsyncGenerator[list[bytes]]) -> AsyncGenerator[bytes]:
    end = b"]}"
    try:
        separator = b'{"trajectory":['
        try:
            async for piece in history:
                told = b",".join(filter(None, map(_told, piece)))
                if told:
                    yield separator + told
                    separator = b","
        except CorruptLog as damage:
            end = b'],"damaged_at":%d}' % damage.event_id  # K16: what precedes the damage, and then the truth
        yield end if separator == b"," else separator + end
    finally:
        await history.aclose()


def _told(payload: bytes) -> bytes | None:
    """The event as it is told, None when it is not."""
    event = orjson.loads(payload)
    family = "action" if "action" in event else "observation"
    details = event.get("args") or event.get("extras") or {}
    if details.get("hidden") or not visible(family, str(event.get(family))):
        return None
    extras = event.get("extras") or {}
    if TRIMMED_EXTRAS.isdisjoint(extras):
        return payload  # as it lies on disk (K10)
    event["extras"] = {name: value for name, value in extras.items() if name not in TRIMMED_EXTRAS}
    return orjson.dumps(event)
