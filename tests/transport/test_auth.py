"""The session key and the cookie that stands for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.auth import COOKIE, COOKIE_SECONDS, SessionKey, shown_key

KEY = SessionKey(b"correct-horse")
NOW = 1_800_000_000.0


def _with(cookie: str) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={cookie}"}


@given(st.text())
def test_only_the_key_is_right_and_any_text_may_be_shown(shown: str) -> None:
    assert KEY.is_right(shown) is (shown == "correct-horse")


def test_the_key_is_right_and_nearly_is_not() -> None:
    assert KEY.is_right("correct-horse")
    for shown in ("", "correct-hors", "correct-horse ", "Correct-horse", KEY.new_cookie(NOW)):
        assert not KEY.is_right(shown)


def test_a_cookie_is_good_until_its_time_and_not_after() -> None:
    headers = _with(KEY.new_cookie(NOW))
    assert KEY.has_cookie(headers, NOW)
    assert KEY.has_cookie(headers, NOW + COOKIE_SECONDS - 1)
    assert not KEY.has_cookie(headers, NOW + COOKIE_SECONDS)


def test_a_cookie_is_found_among_others_that_nobody_can_read() -> None:
    good = KEY.new_cookie(NOW)
    assert KEY.has_cookie({"cookie": f'b[a]d=";, x; {COOKIE}={good}; =; other'}, NOW)
    assert not KEY.has_cookie({"cookie": f"x{COOKIE}={good}"}, NOW)
    assert not KEY.has_cookie({}, NOW)


def test_another_key_ends_every_cookie() -> None:
    assert not SessionKey(b"another").has_cookie(_with(KEY.new_cookie(NOW)), NOW)


@given(
    st.text()
    | st.tuples(st.integers(), st.text("0123456789abcdef", min_size=64, max_size=64)).map("{0[0]}.{0[1]}".format)
)
def test_no_invented_cookie_is_good(cookie: str) -> None:
    assert not KEY.has_cookie(_with(cookie), NOW)


def test_a_longer_life_cannot_be_written_into_a_cookie() -> None:
    until, _, signature = KEY.new_cookie(NOW).partition(".")
    assert not KEY.has_cookie(_with(f"{int(until) + 1}.{signature}"), NOW)


def test_neither_repr_nor_cookie_nor_digest_tells_the_key() -> None:
    told = repr(KEY) + KEY.new_cookie(NOW) + repr(KEY.digest("correct-horse"))
    assert "horse" not in told


@pytest.mark.parametrize(
    ("header", "query", "shown"),
    [
        (None, None, None),
        ("a", None, "a"),
        (None, "b", "b"),
        ("a", "b", "a"),
        ("", "b", "b"),
        (None, "null", None),  # V0's page sends these where it has no key
        (None, "undefined", None),
        (None, "", None),
    ],
)
def test_where_a_key_is_shown(header: str | None, query: str | None, shown: str | None) -> None:
    headers = {} if header is None else {"x-session-api-key": header}
    asked = {} if query is None else {"session_api_key": query}
    assert shown_key(headers, asked) == shown
