"""`…/events` and `…/message` (contract §1.2). Events go out as the bytes that lie on disk (K10).

What lives here: the routes of the log, and the filter over it. What must not: an event that is built here; what a
client may add is decided by the codec, and the rest of the log is the server's alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from quart import Blueprint, Response, request

from actors.conversation.reader import Page
from actors.conversation.service import Conversations
from actors.domain.codec import decode_client_action
from actors.domain.events import MessageAction
from storage.errors import ConversationNotFound
from transport.http.bodies import Invalid, Problem, answer, fields, flag, integer, json_body, wrong_type
from transport.http.terms import asked_terms, tell

__all__ = ["blueprint"]

LIMIT_MAX = 100

FILTER_FIELDS: dict[str, type] = {
    "exclude_hidden": bool, "query": str, "source": str, "start_date": str, "end_date": str,
}  # fmt: skip


def blueprint(conversations: Conversations) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("events", __name__)

    @routes.get("/api/conversations/<conversation_id>/events")
    async def listing(conversation_id: str) -> Response:
        limit, stop = integer("limit", 20), integer("end_id", None)
        if not 0 <= limit <= LIMIT_MAX:
            return answer({"detail": "Invalid limit"}, 400)
        page = await conversations.events(
            conversation_id,
            start=integer("start_id", 0),
            stop=stop + 1 if stop is not None else None,
            reverse=flag("reverse"),
            limit=limit,
            accepts=await _filter(),
        )
        return answer(_written(page))

    @routes.post("/api/conversations/<conversation_id>/events")
    async def add(conversation_id: str) -> Response:
        body = await json_body()
        terms = asked_terms(body)
        action, size_bytes = decode_client_action(body), len(orjson.dumps(body))
        receipt = await conversations.submit(conversation_id, action, size_bytes=size_bytes, terms=terms)
        return tell({"success": True}, receipt, terms)

    @routes.post("/api/conversations/<conversation_id>/message")
    async def message(conversation_id: str) -> Response:
        raw = await json_body()
        terms = asked_terms(raw)
        body = fields(raw, {"message": str}, strict=False)
        if "message" not in body:
            raise Invalid(Problem("missing", ("body", "message"), "Field required", raw))
        text = body["message"]
        size_bytes = len(text.encode())
        receipt = await conversations.submit(conversation_id, MessageAction(text), size_bytes=size_bytes, terms=terms)
        return tell({"success": True}, receipt, terms)

    @routes.errorhandler(ConversationNotFound)
    async def unknown(_: ConversationNotFound) -> Response:
        return answer({"detail": f"Conversation {(request.view_args or {})['conversation_id']} not found"}, 404)

    return routes


def _written(page: Page) -> bytes:
    """V0's shape; a damaged log adds where the damage is (K16)."""
    damaged_at = b"" if page.damaged_at is None else b',"damaged_at":%d' % page.damaged_at
    return b'{"events":[%b],"has_more":%b%b}' % (b",".join(page.events), b"true" if page.more else b"false", damaged_at)


async def _filter() -> Callable[[bytes], bool] | None:
    """From the query parameter `filter` (the seed's) or the body (V0's); None when there is neither."""
    if "filter" in request.args:
        try:
            wanted = orjson.loads(request.args["filter"])
        except orjson.JSONDecodeError as failure:
            raise Invalid(Problem("json_invalid", ("query", "filter"), "JSON decode error")) from failure
        if not isinstance(wanted, dict):
            raise Invalid(wrong_type(dict, wanted, "query", "filter"))
    else:
        wanted = await json_body(required=False)
    checked = fields(wanted, FILTER_FIELDS)
    return (lambda payload: _accepts(checked, payload)) if checked else None


def _accepts(wanted: Mapping[str, Any], payload: bytes) -> bool:
    event = orjson.loads(payload)
    details = event.get("args") or event.get("extras") or {}
    timestamp = event["timestamp"]
    return (
        (not wanted.get("exclude_hidden") or not details.get("hidden"))
        and str(wanted.get("query", "")).lower() in payload.decode().lower()
        and wanted.get("source", event["source"]) == event["source"]
        and wanted.get("start_date", timestamp) <= timestamp <= wanted.get("end_date", timestamp)
    )
