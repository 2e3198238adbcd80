"""Which request heads are not read at all: pure, over the bytes that have come so far.

What lives here: what h11 takes although somebody in between may see another request in it, and what costs more to read
than any honest head (RFC 9112, 2.2 and 5.2 let a server refuse the former). What must not: parsing, which is h11's.
"""

from collections.abc import Mapping

__all__ = ["HEAD_BYTES_MAX", "body_objection", "objection"]

HEAD_BYTES_MAX = 32 * 1024
"""Twice what the reference takes."""

LINES_MAX = 256
"""Browsers send some twenty, proxies add ten. Each costs some microseconds, in which nobody else is served."""


def objection(begun: bytes) -> int | None:
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


def body_objection(headers: Mapping[bytes, bytes]) -> int | None:
    """The status for a request with two lengths, of which h11 drops one (RFC 9112, 6.1), or for an upgrade with a body,
    which would be read as frames; headers by their lower-case names."""
    has_length = headers.get(b"content-length", b"0") != b"0"
    is_chunked = b"transfer-encoding" in headers
    is_twofold = is_chunked and b"content-length" in headers
    return 400 if is_twofold or (b"upgrade" in headers and (has_length or is_chunked)) else None
