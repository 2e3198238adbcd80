"""K25 as a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import GiveUp, RestartAfter, RestartPolicy, judge

POLICY = RestartPolicy(restarts_max=3, window_seconds=10, first_delay_seconds=1, longest_delay_seconds=3, jitter=0.5)


@pytest.mark.parametrize(
    ("crashes", "expected"),
    [
        ([100.0], RestartAfter(1.0)),
        ([99.0, 100.0], RestartAfter(2.0)),
        ([98.0, 99.0, 100.0], RestartAfter(3.0)),
        ([97.0, 98.0, 99.0, 100.0], GiveUp(4)),
        ([1.0, 2.0, 3.0, 100.0], RestartAfter(1.0)),
    ],
)
def test_k25_the_verdict_follows_from_history_and_now(crashes: list[float], expected: RestartAfter | GiveUp) -> None:
    assert judge(POLICY, crashes, 100.0, 0.5) == expected


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_k25_jitter_spreads_the_pause(chance: float, delay: float) -> None:
    assert judge(POLICY, [5.0], 5.0, chance) == RestartAfter(delay)


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True))
def test_k25_the_pause_never_leaves_its_bounds_however_many_crashes_are_allowed(count: int, chance: float) -> None:
    patient = RestartPolicy(restarts_max=10_000, window_seconds=60, first_delay_seconds=0.05, longest_delay_seconds=5)
    verdict = judge(patient, [100.0] * count, 100.0, chance)
    assert isinstance(verdict, RestartAfter)
    assert 0.04 <= verdict.delay_seconds <= 6
