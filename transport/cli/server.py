"""Asking a server over HTTP, for commands that need one answer.

What lives here: its address, its key, one request, and in a person's words why there is no answer. What must not: what
is asked.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from transport.addresses import is_http_address

__all__ = ["LATER", "NotNow", "ServerError", "WrongKey", "address", "ask_server", "key_headers", "why"]

REQUEST_TIMEOUT_SECONDS = 10.0


LATER = (429, 502, 503, 504)
"""Statuses by which a server says that it can be asked later, or a proxy that it is away."""


class ServerError(OSError):
    """No answer, or a refusal: the text says why in a few words. `code` is the server's, empty where it gave none."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class NotNow(ServerError):
    """It may be there and have heard, or says itself that it can be asked later: what came under a key may be asked
    again."""


class WrongKey(ServerError):
    """It wants a key, and not the one that it was shown."""

    def __init__(self) -> None:
        super().__init__("the server wants another key (SESSION_API_KEY or --key)")


def address(url: str) -> str:
    """The URL, to put paths behind. Raises `ServerError` for what can be none."""
    if not is_http_address(url):
        raise ServerError(f"{url} is not the address of a server; it looks like http://127.0.0.1:3000")
    return url.rstrip("/")


def key_headers(key: str | None) -> dict[str, str]:
    """What shows the key, if there is one. Raises `ServerError`."""
    if key and not all("!" <= sign <= "~" for sign in key):
        raise ServerError("a key is ASCII letters, digits and signs, without spaces")
    return {"X-Session-API-Key": key} if key else {}


def ask_server(
    url: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str],
    timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """The JSON object that the server at this `address` answers; a `body` is sent as JSON. Raises `ServerError`."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url + path, data, sent, method=method)  # noqa: S310 - http or https, as checked
    # No proxy, whatever the environment says: the socket takes none either.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_seconds) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as failure:
        raise _refused(failure) from failure
    except (OSError, HTTPException) as failure:
        raise (NotNow if _may_have_been_heard(failure) else ServerError)(why(failure)) from failure
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ServerError("the answer is not Greenroom's")
    return told


def _refused(failure: urllib.error.HTTPError) -> ServerError:
    if failure.code == 401:
        return WrongKey()
    try:
        told = json.load(failure)
    except ValueError:
        told = None
    error = NotNow if failure.code in LATER else ServerError
    match told:
        case {"code": str(code), "detail": str(detail)}:
            return error(detail, code)
        case {"detail": str(detail)}:
            return error(detail)
    return error(f"HTTP {failure.code}")


def _may_have_been_heard(failure: OSError | HTTPException) -> bool:
    reason = failure.reason if isinstance(failure, urllib.error.URLError) else failure
    return isinstance(reason, (ConnectionResetError, BrokenPipeError, TimeoutError, HTTPException))


def why(failure: BaseException) -> str:
    """In a person's words."""
    match failure:
        case urllib.error.URLError(reason=BaseException() as reason):
            return why(reason)
        case OSError(strerror=str(words)):
            return words
        case _:
            return str(failure) or type(failure).__name__
