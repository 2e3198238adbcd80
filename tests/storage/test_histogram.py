"""Durations in buckets: each is counted once, at its bound or below, and none is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.histogram import BOUNDS_SECONDS, Histogram


@given(st.lists(st.floats(0, 1e6) | st.sampled_from(BOUNDS_SECONDS)))
def test_every_bound_tells_how_many_took_no_longer(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    assert list(histogram.cumulative()) == [
        (bound, sum(seconds <= bound for seconds in durations)) for bound in (*BOUNDS_SECONDS, float("inf"))
    ]
    assert histogram.total_seconds == pytest.approx(sum(durations))  # from Python 3.12 on, `sum` rounds less
