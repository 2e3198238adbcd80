"""Which request heads are not read at all, and how the headers of the others are looked at: pure.

What lives here: what h11 takes although somebody in between may see another request in it, and what costs more to read
than any honest head (RFC 9112, 2.2 and 5.2 let a server refuse the former). What must not: parsing, which is h11's.
"""

from collections.abc import Iterable, Mapping

__all__ = ["HEAD_BYTES_MAX", "asgi_headers", "folded", "head_objection", "request_objection"]

HEAD_BYTES_MAX = 32 * 1024
"""Twice what the reference takes."""

LINES_MAX = 256
"""Browsers send some twenty, proxies add ten. Each costs some microseconds, in which nobody else is served."""


def head_objection(begun: bytes) -> int | None:
    """The status for what has come of a head, or None when nothing is wrong so far."""
    end = begun.find(b"\r\n\r\n")
    head = begun if end < 0 else begun[: end + 2]
    lines = head.count(b"\n")
    if len(head) > HEAD_BYTES_MAX or lines > LINES_MAX:
        return 431
    # A bare line feed, and a line that goes on the one before, end other lines for others than for us.
    if lines != head.count(b"\r\n") or b"\n " in head or b"\n\t" in head:
        return 400
    return None


def request_objection(version: bytes, headers: Mapping[bytes, bytes]) -> int | None:
    """The status for another HTTP than 1.0 and 1.1, for a request with two lengths, of which h11 drops one (RFC 9112,
    6.1), or for an upgrade by HTTP/1.0, which has none (RFC 9110, 7.8), or with a body, which would be read as frames.
    Headers by their lower-case names."""
    if version not in (b"1.0", b"1.1"):
        return 505
    has_length = headers.get(b"content-length", b"0") != b"0"
    is_chunked = b"transfer-encoding" in headers
    is_twofold = is_chunked and b"content-length" in headers
    is_odd_upgrade = b"upgrade" in headers and (version == b"1.0" or has_length or is_chunked)
    return 400 if is_twofold or is_odd_upgrade else None


def folded(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their lower-case names; what came several times is one list, as HTTP has it."""
    found: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        separator = "; " if lowered == "cookie" else ", "
        found[lowered] = found[lowered] + separator + value if lowered in found else value
    return found


def asgi_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The same of what stands in an ASGI scope."""
    return folded((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
