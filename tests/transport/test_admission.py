"""Who may come in, and how often. Time is trio's, so no test waits."""

from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from transport.admission import Admission, Denial
from transport.auth import SessionKey
from transport.proxies import TrustedProxies, networks
from transport.ratelimit import RateLimiter

RIGHT = {"x-session-api-key": "right"}
HTML = {"accept": "text/html,*/*;q=0.8"}
ALL = "/api/conversations"
HERE, THERE = "192.0.2.1", "192.0.2.2"


def _admission(rate: float = 0, burst: int = 1, **more: Any) -> Admission:
    return Admission(SessionKey(b"right"), RateLimiter(rate, burst), **more)


def _wrong(key: str) -> dict[str, str]:
    return {"x-session-api-key": key}


def _status(denied: Denial | None) -> int:
    return 200 if denied is None else denied.status


def _ask(admission: Admission, headers: dict[str, str], path: str = ALL, peer: str = HERE, method: str = "GET") -> int:
    return _status(admission.request(method, path, headers, peer))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/alive", 200),
        ("/health", 200),
        ("/readyz", 200),
        ("/", 200),
        ("/login", 200),
        ("/login/login.js", 200),
        ("/api/login", 200),
        ("/api/logout", 200),
        ("/static/app.js", 200),
        ("/conversations/c1", 200),
        (ALL, 401),
        (f"{ALL}?limit=3", 401),
        ("/metrics", 401),
        ("/nowhere", 401),
        ("/alive/", 401),
        ("/staticx", 401),
        ("/api/login/x", 401),
        ("/API/login", 401),
    ],
)
async def test_every_path_wants_the_key_but_those_that_tell_nothing(path: str, status: int) -> None:
    admission = _admission()
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        assert _ask(admission, {}, path, method=method) == status
    assert _ask(admission, RIGHT, path) == 200


async def test_without_a_key_of_the_server_everybody_may_come_in() -> None:
    admission = attrs.evolve(_admission(), key=None)
    assert _ask(admission, {}) == _ask(admission, _wrong("any")) == 200
    assert admission.admits({}, {})
    assert admission.login("any", {}, HERE) == {}


async def test_a_cookie_from_the_login_is_as_good_as_the_key() -> None:
    admission = _admission()
    told = admission.login("right", {}, HERE)
    assert not isinstance(told, Denial)
    cookie, *attributes = told["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict"}
    assert "right" not in cookie
    assert _ask(admission, {"cookie": cookie}) == 200
    assert admission.admits({"cookie": cookie}, {})
    assert admission.handshake({"cookie": cookie}, {"session_api_key": "null"}, HERE) is None


async def test_below_a_path_the_cookie_is_for_that_path_and_the_login_is_there() -> None:
    admission = _admission(path_prefix="/green")
    assert "; Path=/green;" in admission.logout({}, HERE)["set-cookie"]
    denied = admission.request("GET", "/conversations/1?a=b", {"accept": "text/html"}, HERE)
    assert isinstance(denied, Denial)
    assert denied.headers == {"location": "/green/login?next=/green/conversations/1%3Fa%3Db"}


async def test_behind_tls_the_cookie_stays_there() -> None:
    admission = _admission(proxies=TrustedProxies(networks(HERE)))
    headers = {"x-forwarded-proto": "https"}
    assert "; Secure" in admission.logout(headers, HERE)["set-cookie"]
    assert "; Secure" not in admission.logout(headers, THERE)["set-cookie"]


@pytest.mark.parametrize(
    ("method", "target", "headers", "location"),
    [
        ("GET", "/", HTML, "/login?next=/"),
        ("GET", "/conversations/c1?a=b&c=d", HTML, "/login?next=/conversations/c1%3Fa%3Db%26c%3Dd"),
        ("GET", "/nowhere\r\nx: y", HTML, "/login?next=/nowhere%0D%0Ax%3A%20y"),
        ("GET", "/", {}, None),
        ("GET", "/", HTML | RIGHT, None),
        ("GET", "/login?next=/", HTML, None),
        ("POST", "/", HTML, None),
    ],
)
async def test_a_browser_without_the_key_is_led_to_the_login(
    method: str, target: str, headers: dict[str, str], location: str | None
) -> None:
    denied = _admission().request(method, target, headers, HERE)
    assert (denied.headers["location"] if denied is not None else None) == location
    assert denied is None or denied.status == 303


async def test_a_browser_that_opens_an_api_address_is_told_401() -> None:
    assert _ask(_admission(), HTML) == 401


async def test_ten_wrong_keys_are_looked_at_then_none_for_a_while_not_even_the_right_one(
    autojump_clock: MockClock,
) -> None:
    admission = _admission()
    assert [_ask(admission, _wrong(f"k{number}")) for number in range(12)] == [401] * 10 + [429] * 2
    denied = admission.request("GET", ALL, RIGHT, HERE)
    assert denied is not None
    assert (denied.status, denied.body, denied.headers) == (429, {"message": "Too many requests"}, {"retry-after": "6"})
    assert isinstance(admission.login("right", {}, HERE), Denial)
    assert _ask(admission, RIGHT, peer=THERE) == 200
    await trio.sleep(6)
    assert _ask(admission, RIGHT) == 200


async def test_nothing_is_learned_of_a_key_on_an_open_path_either() -> None:
    admission = _admission()
    asked = [_ask(admission, _wrong(f"k{number}"), "/") for number in range(11)]
    assert asked == [200] * 10 + [429]
    assert _ask(admission, RIGHT, "/") == 429


async def test_health_is_told_whatever_was_guessed() -> None:
    admission = _admission(rate=1, burst=1)
    for number in range(30):
        assert _ask(admission, _wrong(f"k{number}"), "/alive") == 200
    assert _ask(admission, RIGHT) == 200


async def test_a_forgotten_client_with_an_old_key_locks_out_itself_alone(autojump_clock: MockClock) -> None:
    admission = _admission()
    told = []
    for _ in range(600):
        told.append(_ask(admission, _wrong("old")))
        assert _ask(admission, RIGHT) == 200
        await trio.sleep(0.5)
    assert set(told) == {401, 429}
    assert told.count(401) <= 10 + 300 / 6 + 1


async def test_who_is_logged_in_stays_so_whatever_is_guessed_beside_them() -> None:
    admission = _admission()
    told = admission.login("right", {}, HERE)
    assert not isinstance(told, Denial)
    cookie = {"cookie": told["set-cookie"].partition(";")[0]}
    for number in range(20):
        _ask(admission, _wrong(f"k{number}"))
    assert _ask(admission, cookie) == 200


async def test_strangers_do_not_use_up_what_belongs_to_the_key() -> None:
    admission = _admission(rate=1, burst=3)
    assert [_ask(admission, {}) for _ in range(5)] == [401, 401, 401, 429, 429]
    assert [_ask(admission, RIGHT) for _ in range(4)] == [200, 200, 200, 429]
    assert _ask(admission, RIGHT, peer=THERE) == 200


async def test_the_limit_is_of_whoever_is_behind_a_trusted_proxy() -> None:
    admission = _admission(rate=1, burst=1, proxies=TrustedProxies(networks(HERE)))
    first, second = ({**RIGHT, "x-forwarded-for": f"6.6.6.6, 9.9.9.{number}"} for number in (1, 2))
    assert [_ask(admission, first), _ask(admission, first), _ask(admission, second)] == [200, 429, 200]
    assert [_ask(admission, first, peer=THERE), _ask(admission, second, peer=THERE)] == [200, 429]


async def test_a_new_session_without_the_right_key_begins_ten_times_to_hear_so(autojump_clock: MockClock) -> None:
    for query in ({}, {"session_api_key": "null"}, {"session_api_key": "wrong"}):
        admission = _admission()
        told = [_status(admission.handshake({}, query, HERE)) for _ in range(11)]
        assert told == [200] * 10 + [429]
        assert not admission.admits({}, query)
        # The last of these tokens was taken by another name, so the right key is still looked at.
        assert admission.handshake({}, {"session_api_key": "right"}, HERE) is None
        await trio.sleep(100)
        assert admission.handshake({}, query, HERE) is None


async def test_sessions_with_the_key_are_not_counted() -> None:
    admission = _admission(rate=1, burst=1)
    for _ in range(100):
        assert admission.handshake(RIGHT, {}, HERE) is None
        assert admission.handshake({}, {"session_api_key": "right"}, HERE) is None


async def test_repr_and_statistics_tell_no_key() -> None:
    admission = _admission(rate=1, burst=2)
    _ask(admission, _wrong("guess"))
    assert admission.statistics() == {"requests_counted": 1, "guesses_counted": 1}
    assert "right" not in repr(admission)
    assert "guess" not in repr(admission)
