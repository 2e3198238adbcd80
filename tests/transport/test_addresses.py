"""Addresses of the web, as they are typed and told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.addresses import OWN_NAMES, below, http_address, is_http_address, path_prefix


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


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("/greenroom", "/greenroom"), ("/team/green-room_2.0~/", "/team/green-room_2.0~"), ("/", ""), ("", "")],
)
def test_a_prefix_has_no_slash_at_its_end(text: str, prefix: str) -> None:
    assert path_prefix(text) == prefix


@pytest.mark.parametrize(
    "text",
    [
        "greenroom",
        "//greenroom",
        "/a//b",
        "/..",
        "/a/../b",
        "/.well-known",
        "/a b",
        "/ä",
        "/%41",
        "/a?b",
        "/<b>",
        "http://x/a",
    ],
)
def test_what_browsers_and_proxies_would_write_otherwise_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as"):
        path_prefix(text)


@pytest.mark.parametrize("name", sorted(OWN_NAMES))
def test_a_prefix_that_begins_like_a_path_of_ours_is_none(name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be told from the server's own /{name}"):
        path_prefix(f"/{name}/x")
    assert path_prefix(f"/x/{name}") == f"/x/{name}"


@pytest.mark.parametrize(
    ("prefix", "path", "found"),
    [
        ("/green", "/green/api", "/api"),
        ("/green", "/api", "/api"),  # a proxy has taken it away
        ("/green", "/green", "/"),
        ("/green", "/green/", "/"),
        ("/green", "/green/green/api", "/green/api"),  # once
        ("/green", "/greener/api", "/greener/api"),
        ("/green", "/x/green/api", "/x/green/api"),
        ("/green", "/green//api", "//api"),
        ("", "/api", "/api"),
        ("", "*", "*"),
    ],
)
def test_a_path_is_ours_with_the_prefix_and_without(prefix: str, path: str, found: str) -> None:
    assert below(prefix, path) == found
