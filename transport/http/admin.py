"""`/api/admin/…`: what only an operator does. V0 has no such routes; they want the session key as all others do.

What lives here: the repair of a damaged log, as a plan to look at and as an order. What must not: what a repair is, or
a way to do one unseen: the order names what the plan said would stay.
"""

from quart import Blueprint, Response

from actors.conversation.service import Conversations
from transport.http.bodies import Invalid, Problem, answer, json_body

__all__ = ["blueprint"]

REPAIR = "/api/admin/conversations/<conversation_id>/repair"


def blueprint(conversations: Conversations) -> Blueprint:
    """The routes of this resource."""
    routes = Blueprint("admin", __name__)

    @routes.get(REPAIR)
    async def plan(conversation_id: str) -> Response:
        return answer((await conversations.repair_plan(conversation_id)).told())

    @routes.post(REPAIR)
    async def repair(conversation_id: str) -> Response:
        body = await json_body()
        keep_events = body.get("keep_events")
        if type(keep_events) is not int or set(body) != {"keep_events"}:
            expected = "Input should be the plan's keep_events, and nothing else"
            raise Invalid(Problem("repair_plan", ("body", "keep_events"), expected, keep_events))
        return answer((await conversations.repair(conversation_id, keep_events)).told())

    return routes
