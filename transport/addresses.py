"""Addresses of the web, as they are typed and told. Pure.

What lives here: what an address must be to be used, and how one is written. What must not: who may come from where
(`origins`).
"""

from urllib.parse import urlsplit

__all__ = ["http_address", "is_http_address"]


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
