"""`/api/conversations`: create, list, look, rename, delete (contract §1.1).

What lives here: the routes of the resource and its JSON. What must not: what a conversation is or does; every route
asks the service one question and renders the answer.
"""

from collections.abc import Sequence
from typing import Any

import attrs
from quart import Blueprint, Response, request

from actors.conversation.service import Conversations
from actors.conversation.summary import Summary
from actors.domain.codec import URLS_MAX
from actors.domain.events import ConversationCreated, MessageAction
from storage.errors import ConversationNotFound
from transport.http.bodies import Invalid, Problem, answer, fields, integer, json_body, one_of, wrong_type
from transport.http.terms import asked_terms, tell

__all__ = ["GIT_PROVIDERS", "blueprint", "told"]

LIST_LIMIT_MAX = 100
"""Each entry may be a replay of a short tail."""

TITLE_CHARACTERS_MAX = 200

TRIGGERS = (
    "resolver", "gui", "suggested_task", "openhands_api", "slack", "microagent_management", "jira", "jira_dc",
    "linear", "bitbucket",
)  # fmt: skip

CREATE_FIELDS: dict[str, type] = {
    "repository": str, "git_provider": str, "selected_branch": str, "initial_user_msg": str, "image_urls": list,
    "replay_json": str, "suggested_task": dict, "create_microagent": dict, "conversation_instructions": str,
    "mcp_config": dict,
}  # fmt: skip

GIT_PROVIDERS = ("github", "gitlab", "bitbucket", "enterprise_sso")

UNSUPPORTED = ("replay_json", "suggested_task", "create_microagent", "mcp_config")


def render(summary: Summary) -> dict[str, Any]:
    """ConversationInfo (contract §1.1) in V0's order, and our `lifecycle` after it. For the request that is being
    answered: the way to it may lead through a prefix."""
    body = attrs.asdict(summary)
    created_at, lifecycle = body.pop("created_at"), body.pop("lifecycle")
    running = summary.status in ("STARTING", "RUNNING")
    return body | {
        "url": f"{request.root_path}/api/conversations/{summary.conversation_id}" if running else None,
        "session_api_key": None,
        "created_at": created_at,
        "pr_number": [],
        "conversation_version": "V0",
        "lifecycle": lifecycle,
    }


def told(conversation_id: str, status: str, message: str | None = None) -> dict[str, Any]:
    """What creating, starting and the like are answered with (contract §1.1)."""
    return {
        "status": "ok",
        "conversation_id": conversation_id,
        "message": message,
        "conversation_status": status,
    }


def blueprint(conversations: Conversations) -> Blueprint:  # noqa: C901 - a list of routes
    """The routes of this resource."""
    routes = Blueprint("conversations", __name__)

    @routes.post("/api/conversations")
    async def create() -> Response:
        body = fields(await json_body(required=False), CREATE_FIELDS)
        for name in UNSUPPORTED:
            if name in body:
                raise Invalid(Problem("unsupported", ("body", name), "This server does not support it yet", body[name]))
        if "git_provider" in body:
            one_of(GIT_PROVIDERS, body["git_provider"], "body", "git_provider")
        created = ConversationCreated(
            selected_repository=body.get("repository"),
            selected_branch=body.get("selected_branch"),
            git_provider=body.get("git_provider"),
            conversation_instructions=body.get("conversation_instructions"),
        )
        images = _texts(body.get("image_urls", ()), "image_urls") or None
        text = body.get("initial_user_msg")
        message = MessageAction(text or "", image_urls=images) if text or images else None
        terms = asked_terms()
        made = await conversations.create(created, message, terms.key if terms is not None else None)
        return tell(told(made.conversation_id, made.receipt.status), made.receipt, terms)

    @routes.get("/api/conversations")
    async def listing() -> Response:
        limit = min(max(integer("limit", 20), 1), LIST_LIMIT_MAX)
        where = {}
        if "conversation_trigger" in request.args:
            where["trigger"] = request.args["conversation_trigger"]
            one_of(TRIGGERS, where["trigger"], "query", "conversation_trigger")
        if "selected_repository" in request.args:
            where["selected_repository"] = request.args["selected_repository"]
        found, following = await conversations.page(limit=limit, cursor=request.args.get("page_id"), where=where)
        return answer({"results": [render(summary) for summary in found], "next_page_id": following})

    @routes.get("/api/conversations/<conversation_id>")
    async def one(conversation_id: str) -> Response:
        summary = await conversations.summary(conversation_id)
        return answer(render(summary) if summary is not None else None)

    @routes.patch("/api/conversations/<conversation_id>")
    async def rename(conversation_id: str) -> Response:
        body, terms = fields(await json_body(), {"title": str}), asked_terms()
        title = body.get("title")
        if title is None:
            raise Invalid(Problem("missing", ("body", "title"), "Field required", body))
        if not 1 <= len(title) <= TITLE_CHARACTERS_MAX:
            raise Invalid(Problem("string_length", ("body", "title"), "Input should have 1 to 200 characters", title))
        try:
            receipt = await conversations.rename(conversation_id, title.strip(), terms)
        except ConversationNotFound:
            body = {"status": "error", "message": "Conversation not found", "msg_id": "CONVERSATION$NOT_FOUND"}
            return answer(body, 404)
        return tell(True, receipt, terms)  # noqa: FBT003 - the whole body

    @routes.delete("/api/conversations/<conversation_id>")
    async def delete(conversation_id: str) -> Response:
        return answer(await conversations.delete(conversation_id))

    return routes


def _texts(values: Sequence[Any], name: str) -> tuple[str, ...]:
    if len(values) > URLS_MAX:
        told = f"List should have at most {URLS_MAX} items, not {len(values)}"
        raise Invalid(Problem("too_long", ("body", name), told, ctx={"max_length": URLS_MAX}))
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise Invalid(wrong_type(str, value, "body", name, index))
    return tuple(values)
