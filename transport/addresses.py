"""Addresses of the web, as they are typed and told. Pure.

What lives here: what an address must be to be used, how one is written, and below which path ours are. What must not:
who may come from where (`origins`).
"""

import re
from urllib.parse import urlsplit

__all__ = ["OWN_NAMES", "below", "http_address", "is_http_address", "path_prefix"]

OWN_NAMES = frozenset(
    {"alive", "api", "assets", "conversations", "health", "login", "metrics", "readyz", "socket.io", "static"}
)
"""With what a path of ours begins. A prefix that began so could not be told from one."""

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def http_address(host: str, port: int) -> str:
    """Where a server listens; an IPv6 address stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_http_address(text: str) -> bool:
    """Whether it names a host by http or https, and a port that there can be, if any."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def path_prefix(text: str) -> str:
    """The path below which a proxy shows this server, without a slash at its end; empty for none.

    Raises `ValueError`.
    """
    prefix = text.rstrip("/")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("must be a path such as /greenroom, of ASCII letters, digits and . _ ~ -")
    name = prefix.split("/")[1] if prefix else ""
    if name in OWN_NAMES:
        raise ValueError(f"cannot be told from the server's own /{name}")
    return prefix


def below(prefix: str, path: str) -> str:
    """The path without the prefix. A proxy may have taken it away already, so one without it stays as it is."""
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
