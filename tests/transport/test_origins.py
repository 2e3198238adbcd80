"""Who may talk from a browser (semantics, "Origins")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.origins import OriginPolicy

LOOPBACK = OriginPolicy(
    on_loopback=True, permitted_origins=("http://ui.example:8080",), permitted_hosts=("green.example",)
)
PUBLIC = OriginPolicy(on_loopback=False)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:3000", None),
        ("127.0.0.1:3000", None),
        ("127.8.9.1", None),
        ("[::1]:3000", None),
        ("LOCALHOST:3000", None),
        ("green.example", None),
        ("localhost:3000", "http://localhost:3000"),
        ("localhost:3000", "http://ui.example:8080"),
        ("[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_permitted(host: str, origin: str | None) -> None:
    assert LOOPBACK.objection([host], origin) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),
        ("evil.example:3000", "http://evil.example:3000"),  # a rebound name would be same-origin
        ("localhost.evil.example", None),
        ("", None),
        ("[", None),
        ("[::1", None),
        ("localhost:3000", "http://evil.example"),
        ("localhost:3000", "http://localhost:3001"),
        ("localhost:3000", "http://localhost:3000@evil.example"),
        ("localhost:3000", "null"),
        ("localhost:3000", ""),
        ("localhost:3000", "http://["),
        ("localhost:3000", "http://ui.example:8080.evil.example"),
    ],
)
def test_refused(host: str, origin: str | None) -> None:
    assert LOOPBACK.objection([host], origin) is not None


def test_on_a_public_address_any_host_but_no_other_origin() -> None:
    assert PUBLIC.objection(["green.example"], "https://green.example") is None
    assert PUBLIC.objection(["green.example"], "https://evil.example") is not None


@pytest.mark.parametrize(
    ("hosts", "origin", "is_permitted"),
    [
        (["green.example", "127.0.0.1:3000"], "https://green.example", True),
        (["green.example:8443", "127.0.0.1:3000"], "https://green.example:8443", True),
        (["green.example", "127.0.0.1:3000"], "https://green.example:8443", False),
        # Its own Host is how the proxy found this server; no browser has seen it.
        (["green.example", "127.0.0.1:3000"], "http://127.0.0.1:3000", False),
        # A page on this machine that was rebound to it can write headers as a proxy does, but not its Host.
        (["localhost", "evil.example"], "http://localhost", False),
        (["evil.example", "127.0.0.1:3000"], "http://evil.example", False),
    ],
)
def test_behind_a_proxy_the_page_is_of_the_name_that_the_browser_asked_for(
    hosts: list[str],
    origin: str,
    is_permitted: bool,  # noqa: FBT001 - table
) -> None:
    assert (LOOPBACK.objection(hosts, origin) is None) is is_permitted


@given(st.text(), st.none() | st.text())
def test_any_headers_get_an_answer(host: str, origin: str | None) -> None:
    LOOPBACK.objection([host], origin)
    PUBLIC.objection([host], origin)


@pytest.mark.parametrize(
    ("method", "content_type", "has_body", "refused"),
    [
        ("POST", "application/json", True, False),
        ("POST", "Application/JSON; charset=utf-8", True, False),
        ("POST", "multipart/form-data; boundary=x", True, False),
        ("POST", "text/plain", True, True),
        ("POST", "application/x-www-form-urlencoded", True, True),
        ("PATCH", "", True, True),
        ("POST", "application/jsonp", True, True),
        ("DELETE", "", False, False),
        ("GET", "text/plain", True, False),
    ],
)
def test_mutations_carry_json_or_multipart(method: str, content_type: str, has_body: bool, refused: bool) -> None:  # noqa: FBT001 - table
    assert OriginPolicy.wants_other_content_type(method, content_type, has_body=has_body) is refused


def test_only_a_permitted_origin_is_told_that_it_may_read_the_answer() -> None:
    policy = OriginPolicy(on_loopback=True, permitted_origins=("http://ui.example",))
    headers = policy.cors_headers("http://ui.example", "x-session-api-key")
    assert headers["access-control-allow-origin"] == "http://ui.example"
    assert headers["access-control-allow-headers"] == "x-session-api-key"
    assert policy.cors_headers("http://evil.example") == {}
    assert policy.cors_headers(None) == {}
