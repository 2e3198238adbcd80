"""The REST application as a whole: resources, health, and what holds for every request and answer.

What lives here: the checks before every route (Host, Origin, rate, key, content type, id), the headers after it, and
the one place where errors become answers. What must not: a route of a resource, or the table of errors, which the
socket shares.
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from quart import Blueprint, Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors.conversation.service import Conversations
from transport.admission import Admission
from transport.guard import log_failure
from transport.heads import folded
from transport.http import admin as admin_routes
from transport.http import conversations as conversation_routes
from transport.http import events as event_routes
from transport.http import lifecycle as lifecycle_routes
from transport.http import login as login_routes
from transport.http import static as page_routes
from transport.http import trajectory as trajectory_routes
from transport.http import workspaces as workspace_routes
from transport.http.bodies import Invalid, answer, conversation_id_problem, unintelligible
from transport.http.terms import refuse_where_not_kept
from transport.origins import OriginPolicy
from transport.refusals import INTERNAL_ERROR, Refusals

__all__ = ["make_app"]

NO_CACHE = {
    "cache-control": "no-cache, no-store, must-revalidate, max-age=0",
    "pragma": "no-cache",
    "expires": "0",
}

REASONS = {403: "foreign_origin", 422: "invalid", 429: "rate_limited"}
"""For the count of refusals, where no error of ours has a code; else HTTP's own phrase."""

BODY_BYTES_MAX = 4 * 1024 * 1024
"""As the largest message by socket (contract §2.1)."""


def make_app(
    conversations: Conversations,
    policy: OriginPolicy,
    admission: Admission,
    readiness: Callable[[], Mapping[str, Any]],
    *,
    places: workspace_routes.Places | None = None,
    resources: Iterable[Blueprint] = (),
    serves_page: bool = True,
    refusals: Refusals | None = None,
    metrics: Callable[[], tuple[str, bytes]] | None = None,
) -> QuartTrio:
    """The ASGI application. `readiness` tells what `/readyz` shows; its `ready` decides the status. `resources` are
    those that are no conversation's. `metrics` gives content type and text of one scrape."""
    refusals = refusals or Refusals()
    app = QuartTrio("greenroom", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.url_map.merge_slashes = False  # `/api//conversations` is another path, not a redirect
    app.register_blueprint(conversation_routes.blueprint(conversations))
    app.register_blueprint(lifecycle_routes.blueprint(conversations))
    app.register_blueprint(event_routes.blueprint(conversations))
    app.register_blueprint(admin_routes.blueprint(conversations))
    for resource in resources:
        app.register_blueprint(resource)
    app.register_blueprint(trajectory_routes.blueprint(conversations))
    app.register_blueprint(workspace_routes.blueprint(conversations, places or workspace_routes.Places()))
    if serves_page:
        app.register_blueprint(page_routes.blueprint(admission.path_prefix))
    app.register_blueprint(login_routes.blueprint(admission))
    _add_health(app, readiness)
    if metrics is not None:
        _add_metrics(app, metrics)
    _add_checks(app, policy, admission, refusals)
    _add_errors(app, refusals)
    return app


def _add_health(app: QuartTrio, readiness: Callable[[], Mapping[str, Any]]) -> None:
    @app.get("/alive")
    async def alive() -> Response:
        return answer({"status": "ok"})

    @app.get("/health")
    async def health() -> Response:
        return answer("OK")

    @app.get("/readyz")
    async def ready() -> Response:
        told = dict(readiness())
        is_ready = told.pop("ready")
        return answer({"status": "ready" if is_ready else "stopping", **told}, 200 if is_ready else 503)


def _add_metrics(app: QuartTrio, metrics: Callable[[], tuple[str, bytes]]) -> None:
    @app.get("/metrics")
    async def show() -> Response:
        content_type, text = metrics()
        return Response(text, content_type=content_type)


def _add_checks(app: QuartTrio, policy: OriginPolicy, admission: Admission, refusals: Refusals) -> None:
    @app.before_request
    async def check() -> Response | None:
        headers, peer = folded(request.headers.items()), request.remote_addr or ""
        origin = headers.get("origin")
        objection = policy.objection(admission.hosts(headers, peer), origin)
        if objection is not None:
            return answer({"detail": objection}, 403)
        if request.method == "OPTIONS" and policy.is_permitted_cross_origin(origin):
            return Response(b"", 204)
        target = f"{request.path}?{request.query_string.decode('latin-1')}".removesuffix("?")
        denied = admission.request(request.method, target, headers, peer)
        if denied is not None:
            return answer(denied.body, denied.status, denied.headers)
        content_type = headers.get("content-type", "")
        # No header tells of a body in HTTP/2, so a type that may not carry one has it read.
        if policy.wants_other_content_type(request.method, content_type, has_body=True) and await request.get_data():
            return answer({"detail": "The body must be JSON (Content-Type: application/json)"}, 415)
        refuse_where_not_kept()
        problem = conversation_id_problem((request.view_args or {}).get("conversation_id", ""))
        return answer({"detail": problem}, 400) if problem is not None else None

    @app.after_request
    async def finish(response: Response) -> Response:
        if "cache-control" not in response.headers:
            response.headers.update(NO_CACHE)
        if response.status_code >= 400 and not g.get("told"):
            phrase = HTTPStatus(response.status_code).phrase.lower().replace(" ", "_")
            refusals.count(REASONS.get(response.status_code, phrase))
        asked = request.headers.get("Access-Control-Request-Headers", "")
        response.headers.update(policy.cors_headers(request.headers.get("Origin"), asked))
        return response


def _add_errors(app: QuartTrio, refusals: Refusals) -> None:
    @app.errorhandler(Invalid)
    async def invalid(failure: Invalid) -> Response:
        return unintelligible(failure)

    @app.errorhandler(HTTPException)
    async def http(failure: HTTPException) -> Response:
        allow = getattr(failure, "valid_methods", None)  # of a 405, which must name them
        headers = {"allow": ", ".join(sorted(allow))} if allow else {}
        return answer({"detail": failure.name}, failure.code or 500, headers)

    @app.errorhandler(Exception)
    async def other(failure: Exception) -> Response:
        told = refusals.tell(failure)
        g.told = True
        if told is None:
            named = {name: value for name, value in (request.view_args or {}).items() if name == "conversation_id"}
            error_id = log_failure("request_failed", failure, path=request.path, **named)
            return answer(INTERNAL_ERROR.body() | {"error_id": error_id}, INTERNAL_ERROR.status)
        headers = {"retry-after": str(told.retry_after_seconds)} if told.retry_after_seconds is not None else {}
        return answer(told.body(), told.status, headers)
