"""Addresses of the web, as they are typed and told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.addresses import http_address, is_http_address


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "http://127.0.0.1:3000"), ("::1", "http://[::1]:3000")])
def test_what_is_told_can_be_typed(host: str, told: str) -> None:
    assert http_address(host, 3000) == told
    assert is_http_address(told)


@pytest.mark.parametrize("text", ["https://green.example", "http://[::1]/under/here", "http://green.example:1"])
def test_addresses(text: str) -> None:
    assert is_http_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nowhere",
        "ftp://x",
        "127.0.0.1:3000",
        "http://",
        "http://:80",
        "http://[::1",
        "http://x:y",
        "http://x:0",
        "http://x:70000",
    ],
)
def test_what_is_none(text: str) -> None:
    assert not is_http_address(text)


@given(st.text())
def test_any_text_is_one_or_none(text: str) -> None:
    assert isinstance(is_http_address(f"http://{text}"), bool)
