"""Logging in: `POST /api/login` and `/api/logout`, and the small page at `/login` that asks for the key.

What lives here: the routes, which work without a key. What must not: what a right key is, or how often one may guess.
The page is three files of its own, read once, so that it works whatever else is served.
"""

from importlib.resources import files

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from transport.admission import Admission, Denial
from transport.heads import folded
from transport.http.bodies import Invalid, Problem, answer, fields, json_body, keep_confidential
from transport.http.static import rooted

__all__ = ["blueprint"]

FOLDER = files("transport").joinpath("static", "login")

PAGE = "index.html"

TYPES = {
    PAGE: "text/html; charset=utf-8",
    "login.css": "text/css; charset=utf-8",
    "login.js": "text/javascript; charset=utf-8",
}

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def blueprint(admission: Admission) -> Blueprint:
    """The routes."""
    routes = Blueprint("login", __name__)
    keep_confidential(routes)
    data = {name: FOLDER.joinpath(name).read_bytes() for name in TYPES}
    data[PAGE] = rooted(data[PAGE], admission.path_prefix)

    def file(name: str) -> Response:
        return Response(data[name], 200, headers=HEADERS, content_type=TYPES[name])

    @routes.get("/login")
    async def page() -> Response | AnyResponse:
        return redirect(f"{admission.path_prefix}/", 303) if admission.key is None else file(PAGE)

    @routes.get("/login/login.css")
    async def style() -> Response:
        return file("login.css")

    @routes.get("/login/login.js")
    async def script() -> Response:
        return file("login.js")

    @routes.post("/api/login")
    async def log_in() -> Response:
        shown = fields(await json_body(), {"key": str}, strict=False).get("key")
        if shown is None:
            raise Invalid(Problem("missing", ("body", "key"), "Field required"))
        told = admission.login(shown, folded(request.headers.items()), request.remote_addr or "")
        if isinstance(told, Denial):
            return answer(told.body, told.status, told.headers)
        return answer({"status": "ok"}, 200, told)

    @routes.post("/api/logout")
    async def log_out() -> Response:
        headers = admission.logout(folded(request.headers.items()), request.remote_addr or "")
        return answer({"status": "ok"}, 200, headers)

    return routes
