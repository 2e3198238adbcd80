"""The page at `/`: its document under every address of its own, its modules under `/static/`.

What lives here: which files there are, their types, and how browsers may keep them. What must not: what the page
shows. All files are read once and found by their whole name, so no path of a request ever reaches the disk.
"""

from hashlib import sha256
from importlib.resources import files

import attrs
import orjson
from quart import Blueprint, Response, abort, request

from transport.messages import MESSAGES
from transport.phrases import PHRASES

__all__ = ["blueprint", "rooted"]

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

DOCUMENT = "index.html"

HEADERS = {
    # Asked for each time and usually answered 304: a new version of the server is a new page at once.
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@attrs.frozen
class _File:
    """`tag` names these bytes, for as long as they are the same."""

    data: bytes
    type: str
    tag: str


def _file(data: bytes, kind: str) -> _File:
    return _File(data, TYPES[kind], sha256(data).hexdigest()[:16])


def rooted(document: bytes, path_prefix: str) -> bytes:
    """A document of ours whose addresses stand below this path. Its scripts find their own way from where they are."""
    return document.replace(b'="/', b'="%b/' % path_prefix.encode())


def blueprint(path_prefix: str = "") -> Blueprint:
    """The routes of the page. What is no file of it is 404, unlike V0's, which answers with the document (D46)."""
    routes = Blueprint("page", __name__)
    known = _files(path_prefix)

    async def document(conversation_id: str = "") -> Response:  # noqa: ARG001 - the page reads its own address
        return _answer(known[DOCUMENT])

    routes.add_url_rule("/", "home", document)
    routes.add_url_rule("/conversations/<conversation_id>", "conversation", document)

    @routes.get("/static/<name>")
    async def file(name: str) -> Response:
        if name not in known or name == DOCUMENT:
            abort(404)
        return _answer(known[name])

    return routes


def _files(path_prefix: str) -> dict[str, _File]:
    entries = files("transport").joinpath("static").iterdir()
    found = {entry.name: (entry, entry.name.rpartition(".")[2]) for entry in entries}
    read = {name: _file(entry.read_bytes(), kind) for name, (entry, kind) in found.items() if kind in TYPES}
    document = _file(rooted(read[DOCUMENT].data, path_prefix), "html")
    return read | {DOCUMENT: document, "messages.js": _messages()}


def _messages() -> _File:
    catalogue = {name: attrs.asdict(text) for name, text in MESSAGES.items()}
    phrases = [(english, {"zh": chinese}) for english, chinese in PHRASES.items()]
    module = b"export const messages = %b;\nexport const phrases = %b;\n"
    return _file(module % (orjson.dumps(catalogue), orjson.dumps(phrases)), "js")


def _answer(file: _File) -> Response:
    headers = {**HEADERS, "etag": f'"{file.tag}"'}
    if file.tag in request.if_none_match:
        return Response(b"", 304, headers=headers)
    return Response(file.data, 200, headers=headers, content_type=file.type)
