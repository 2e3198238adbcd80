"""A head that others may read otherwise is not read, wherever it is cut on its way; what browsers send is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.heads import HEAD_BYTES_MAX, asgi_headers, folded, head_objection, request_objection

LINE = b"GET / HTTP/1.1\r\n"
BROWSERS = LINE + b"Host: localhost\r\n" + b"".join(b"X-%d: \tvalue \r\n" % number for number in range(40)) + b"\r\n"


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"", None),
        (BROWSERS, None),
        (BROWSERS + b"a body\n with\nlines" * 100, None),
        (LINE + b"Host: a\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (LINE + b"Host: a\r\n b\r\n\r\n", 400),
        (LINE + b"Transfer-Encoding:\r\n\tchunked\r\n\r\n", 400),
        (LINE + b"X: 1\r\n" * 254 + b"\r\n", None),
        (LINE + b"X: 1\r\n" * 256 + b"\r\n", 431),
        (LINE + b"X: " + b"a" * HEAD_BYTES_MAX, 431),
    ],
)
def test_what_is_wrong_with_a_head(begun: bytes, status: int | None) -> None:
    assert head_objection(begun) == status


@given(st.integers(0, len(BROWSERS)))
def test_no_part_of_a_good_head_is_wrong(cut: int) -> None:
    assert head_objection(BROWSERS[:cut]) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({b"content-length": b"5"}, None),
        ({b"transfer-encoding": b"chunked"}, None),
        ({b"content-length": b"5", b"transfer-encoding": b"chunked"}, 400),
        ({b"upgrade": b"websocket"}, None),
        ({b"upgrade": b"websocket", b"content-length": b"0"}, None),
        ({b"upgrade": b"websocket", b"content-length": b"5"}, 400),
        ({b"upgrade": b"websocket", b"transfer-encoding": b"chunked"}, 400),
    ],
)
def test_what_is_wrong_with_a_body(headers: dict[bytes, bytes], status: int | None) -> None:
    assert request_objection(b"1.1", headers) == status
    assert request_objection(b"1.0", headers) == (400 if b"upgrade" in headers else status)
    assert request_objection(b"2.0", headers) == 505


def test_repeated_headers_are_one_list() -> None:
    pairs = [("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"), ("Cookie", "a=1"), ("cookie", "b=2")]
    assert folded(pairs) == {"x-forwarded-for": "1.1.1.1, 2.2.2.2", "cookie": "a=1; b=2"}
    assert asgi_headers((name.encode(), value.encode()) for name, value in pairs) == folded(pairs)
