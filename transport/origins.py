"""Who may talk to this server from a browser: pure functions over Host and Origin (semantics, "Origins").

Browsers reach loopback servers, and agents run shells: so a page of another origin is refused, on HTTP and on
upgrades, and on loopback the Host header must name this machine, or a rebound DNS name would pass for same-origin.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

import attrs

__all__ = ["OriginPolicy"]

MUTATIONS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
BODY_TYPES = ("application/json", "multipart/form-data")


@attrs.frozen
class OriginPolicy:
    """`permitted_origins` are whole origins such as `http://localhost:3001`; `permitted_hosts` names without port."""

    on_loopback: bool
    permitted_origins: Sequence[str] = ()
    permitted_hosts: Sequence[str] = ()

    def objection(self, host: str, origin: str | None) -> str | None:
        """Why a request is refused (403), or None."""
        name = _name(host)
        if self.on_loopback and not (_is_loopback(name) or name in self.permitted_hosts):
            return "this Host is not served here"
        if origin is None or origin in self.permitted_origins or urlsplit(origin).netloc == host:
            return None
        return "this Origin is not permitted"

    def is_permitted_cross_origin(self, origin: str | None) -> bool:
        """Whether an answer carries CORS headers."""
        return origin in self.permitted_origins

    @staticmethod
    def wants_other_content_type(method: str, content_type: str, *, has_body: bool) -> bool:
        """Mutations carry JSON or multipart: a form of another site cannot send the former unasked."""
        return method in MUTATIONS and has_body and not content_type.lower().startswith(BODY_TYPES)


def _name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "").rstrip(".")


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
