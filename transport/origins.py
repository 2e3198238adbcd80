"""Who may talk to this server from a browser: pure functions over Host and Origin (semantics, "Origins").

Browsers reach loopback servers, and agents run shells: so a page of another origin is refused, on HTTP and on
upgrades, and on loopback the Host header must name this machine, or a rebound DNS name would pass for same-origin.
"""

import ipaddress
import re
from collections.abc import Sequence

import attrs

__all__ = ["OriginPolicy", "is_loopback"]

MUTATIONS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
BODY_TYPES = ("application/json", "multipart/form-data")

# Not urlsplit: it raises on half a bracket, and finds a host behind an `@` that no Host header has.
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:@/?#\\\s]+)(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@attrs.frozen
class OriginPolicy:
    """`permitted_origins` are whole origins such as `http://localhost:3001`; `permitted_hosts` names without port."""

    on_loopback: bool
    permitted_origins: Sequence[str] = ()
    permitted_hosts: Sequence[str] = ()

    def objection(self, hosts: Sequence[str], origin: str | None) -> str | None:
        """Why a request is refused (403), or None. `hosts` are the names under which it has come here, the browser's
        first: its Host, and before that what a proxy in between says that it was there."""
        if self.on_loopback and not all(map(self._is_served, hosts)):
            return "this Host is not served here"
        if origin is None or origin in self.permitted_origins or _is_same(origin, hosts[0]):
            return None
        return "this Origin is not permitted"

    def _is_served(self, host: str) -> bool:
        name = _name(host)
        return is_loopback(name) or name in self.permitted_hosts

    def is_permitted_cross_origin(self, origin: str | None) -> bool:
        """Whether an answer carries CORS headers."""
        return origin in self.permitted_origins

    def cors_headers(self, origin: str | None, asked_headers: str = "") -> dict[str, str]:
        """What an answer to this Origin carries besides; `asked_headers` are those that its preflight names."""
        if origin is None or not self.is_permitted_cross_origin(origin):
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
            "access-control-expose-headers": "retry-after, idempotency-replayed",
            "access-control-allow-headers": asked_headers or "content-type",
            "access-control-max-age": "600",
            "vary": "Origin",
        }

    @staticmethod
    def wants_other_content_type(method: str, content_type: str, *, has_body: bool) -> bool:
        """Mutations carry JSON or multipart: a form of another site cannot send the former unasked."""
        return method in MUTATIONS and has_body and content_type.partition(";")[0].strip().lower() not in BODY_TYPES


def _name(host: str) -> str:
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").rstrip(".").lower() if match is not None else ""


def _is_same(origin: str, host: str) -> bool:
    """Whether the page came from this Host. A proxy may have ended TLS, so the scheme only tells the default port."""
    scheme, found, authority = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme, "")
    return bool(found and port) and authority.removesuffix(port) == host.lower().removesuffix(port)


def is_loopback(name: str) -> bool:
    """Whether a host name or address, without port or brackets, means this machine alone."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
