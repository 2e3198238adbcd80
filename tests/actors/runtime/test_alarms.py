"""One alarm a key, rung in order of time."""

import pytest
import trio

from actors.runtime import Alarms, AlarmsStatistics


async def rung(alarms: Alarms, count: int) -> list[tuple[str, float]]:
    began = trio.current_time()
    return [(await alarms.wait_due(), trio.current_time() - began) for _ in range(count)]


async def test_alarms_ring_in_order_and_at_their_time(autojump_clock: trio.testing.MockClock) -> None:
    alarms, now = Alarms(), trio.current_time()
    for key, after in (("c", 30), ("a", 10), ("b", 20)):
        alarms.set(key, now + after)
    assert await rung(alarms, 3) == [("a", 10), ("b", 20), ("c", 30)]
    assert len(alarms) == 0


async def test_an_alarm_is_set_anew_or_off_and_the_old_time_is_forgotten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alarms, now = Alarms(), trio.current_time()
    alarms.set("a", now + 10)
    alarms.set("b", now + 15)
    alarms.set("a", now + 20)
    alarms.set("c", now + 5)
    alarms.set("c", float("inf"))
    assert await rung(alarms, 2) == [("b", 15), ("a", 20)]


async def test_an_earlier_alarm_wakes_who_waits_for_a_later_one(autojump_clock: trio.testing.MockClock) -> None:
    alarms, now = Alarms(), trio.current_time()
    alarms.set("late", now + 1000)
    found: list[tuple[str, float]] = []

    async def wait() -> None:
        found.extend(await rung(alarms, 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        alarms.set("soon", trio.current_time() + 2)
    assert found == [("soon", 3)]


@pytest.mark.parametrize("keys", [1, 50])
async def test_alarms_that_are_put_off_again_and_again_take_no_more_memory(keys: int) -> None:
    alarms = Alarms()
    for number in range(10_000):
        alarms.set(f"key {number % keys}", 1e9 + number)
    assert len(alarms._heap) <= 2 * keys + 64 + 1


async def test_it_is_told_when_an_alarm_rings_and_which_is_the_first(autojump_clock: trio.testing.MockClock) -> None:
    alarms, now = Alarms(), trio.current_time()
    assert alarms.statistics() == AlarmsStatistics(0, None)
    alarms.set("a", now + 10)
    alarms.set("b", now + 5)
    alarms.set("b", now + 20)
    assert (alarms.due("a"), alarms.due("b"), alarms.due("c")) == (now + 10, now + 20, None)
    assert alarms.statistics() == AlarmsStatistics(2, now + 10)
    alarms.set("a", float("inf"))
    assert alarms.due("a") is None
