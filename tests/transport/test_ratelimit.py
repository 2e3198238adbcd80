"""The bucket: never more than burst + rate * t, exact waits, bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.ratelimit import RateLimiter

RATES = st.floats(0.01, 1000)
BURSTS = st.integers(1, 50)
STEPS = st.lists(st.floats(0, 5), min_size=1, max_size=200)


@given(RATES, BURSTS, STEPS)
def test_no_stretch_of_time_lets_more_through_than_burst_and_rate(rate: float, burst: int, steps: list[float]) -> None:
    limiter = RateLimiter(rate, burst)
    now, passed = 0.0, []
    for step in steps:
        now += step
        if limiter.take("a", now) == 0:
            passed.append(now)
    for first, since in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - since) + 1e-3


@given(RATES, BURSTS, STEPS)
def test_who_is_refused_passes_after_the_wait_that_was_told_and_not_much_before(
    rate: float, burst: int, steps: list[float]
) -> None:
    limiter = RateLimiter(rate, burst)
    now = 0.0
    for step in steps:
        now += step
        wait = limiter.take("a", now)
        assert wait == limiter.wait("a", now) or wait == 0
        if wait > 0:
            assert limiter.wait("a", now + wait * 0.99 - 2e-6 / rate) > 0
            assert limiter.take("a", now + wait) == 0
            now += wait


@given(RATES, BURSTS, STEPS)
def test_whoever_keeps_to_the_rate_is_never_refused(rate: float, burst: int, steps: list[float]) -> None:
    limiter = RateLimiter(rate, burst)
    now = 0.0
    for step in steps:
        assert limiter.take("a", now) == 0
        now += step + 1 / rate


@given(st.integers(1, 20), st.lists(st.integers(0, 50), max_size=300))
def test_memory_is_bounded_whoever_comes(buckets_max: int, keys: list[int]) -> None:
    limiter = RateLimiter(1, 2, buckets_max)
    for now, key in enumerate(keys):
        limiter.take(key, now / 10)
        assert limiter.statistics()["buckets"] <= min(buckets_max, len(set(keys)))


def test_a_burst_passes_then_one_at_a_time() -> None:
    limiter = RateLimiter(2, 3)
    assert [limiter.take("a", 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert limiter.take("a", 10.4) == pytest.approx(0.1)
    assert limiter.take("a", 10.5) == 0
    assert limiter.take("a", 10.5) == pytest.approx(0.5)
    assert [limiter.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_keys_do_not_share() -> None:
    limiter = RateLimiter(1, 1)
    assert limiter.take(("right", "a"), 0) == 0
    assert limiter.take(("wrong", "a"), 0) == 0
    assert limiter.take(("right", "a"), 0) == 1


def test_the_one_that_came_least_lately_is_forgotten() -> None:
    limiter = RateLimiter(1, 1, buckets_max=2)
    for key in ("a", "b", "a", "c"):  # the second a is refused, and counts as having come
        limiter.take(key, 0)
    assert (limiter.wait("a", 0), limiter.wait("b", 0), limiter.wait("c", 0)) == (1, 0, 1)


def test_looking_takes_nothing() -> None:
    limiter = RateLimiter(1, 1)
    assert [limiter.wait("a", 0) for _ in range(3)] == [0, 0, 0]
    assert limiter.is_full("a", 0)
    limiter.take("a", 0)
    assert (limiter.is_full("a", 0.9), limiter.is_full("a", 1)) == (False, True)


def test_a_rate_of_0_limits_nothing_and_remembers_nobody() -> None:
    limiter = RateLimiter(0, 1)
    assert {limiter.take("a", 0) for _ in range(1000)} == {0}
    assert limiter.statistics() == {"buckets": 0}
