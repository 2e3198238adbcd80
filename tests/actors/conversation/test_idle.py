"""K21, K22: when an idle conversation leaves memory, and when it is closed."""

import attrs
import pytest

from actors.conversation.idle import IdleLimits, Sitting, Verdict, judge, look_at

LIMITS = IdleLimits(close_delay_seconds=100, hibernate_after_seconds=10)
IDLE = Sitting(active_at=1000, keep_until=0, connections=0, busy=False, open=True)
NEVER = float("inf")


@pytest.mark.parametrize(
    ("limits", "sitting", "hibernates_at", "closes_at"),
    [
        pytest.param(LIMITS, IDLE, 1010, 1100, id="first out of memory, then closed"),
        pytest.param(LIMITS, attrs.evolve(IDLE, busy=True), NEVER, NEVER, id="busy never leaves"),
        pytest.param(LIMITS, attrs.evolve(IDLE, connections=1), 1010, NEVER, id="a client holds closing off"),
        pytest.param(
            attrs.evolve(LIMITS, closes_connected=True),
            attrs.evolve(IDLE, connections=1),
            1010,
            1100,
            id="unless configured otherwise",
        ),
        pytest.param(LIMITS, attrs.evolve(IDLE, keep_until=1500), 1010, 1500, id="kept alive"),
        pytest.param(LIMITS, attrs.evolve(IDLE, keep_until=1050), 1010, 1100, id="kept alive for less"),
        pytest.param(LIMITS, attrs.evolve(IDLE, open=False), 1010, NEVER, id="nothing to close"),
        pytest.param(attrs.evolve(LIMITS, close_delay_seconds=0), IDLE, 1010, NEVER, id="0 never closes"),
        pytest.param(attrs.evolve(LIMITS, hibernate_after_seconds=0), IDLE, 1100, 1100, id="0 never hibernates"),
        pytest.param(IdleLimits(0, 0), IDLE, NEVER, NEVER, id="neither"),
    ],
)
def test_k22_two_idles(limits: IdleLimits, sitting: Sitting, hibernates_at: float, closes_at: float) -> None:
    for now in (1000, 1009.9, 1010, 1099.9, 1100, 1499.9, 1500, 1e9):
        expected = Verdict.CLOSE if now >= closes_at else Verdict.HIBERNATE if now >= hibernates_at else Verdict.STAY
        assert judge(limits, sitting, now) is expected, now


def test_the_next_look_is_when_something_is_due_and_never_in_the_past() -> None:
    assert look_at(LIMITS, IDLE, 1000) == 1010
    assert look_at(LIMITS, IDLE, 1050) == 1050
    assert look_at(LIMITS, attrs.evolve(IDLE, busy=True), 1000) == NEVER
