"""MAX_CONCURRENT_CONVERSATIONS: the least recently used idle one gives up its place, and nobody busy does."""

from actors.conversation.slots import Place, Slots

GRANTED = Place(granted=True)


def test_places_are_granted_until_all_are_taken_by_the_busy() -> None:
    slots = Slots(2)
    assert [slots.reserve(key) for key in "ab"] == [GRANTED, GRANTED]
    assert slots.reserve("c") == Place(granted=False)
    assert slots.reserve("a") == GRANTED  # its own
    assert len(slots) == 2


def test_the_least_recently_used_idle_one_is_the_victim() -> None:
    slots = Slots(3)
    for key in "abc":
        slots.reserve(key)
        slots.settle(key, holds=True, busy=False)
    slots.settle("a", holds=True, busy=False)  # used again
    assert slots.reserve("d") == Place(granted=True, victim="b")
    assert slots.reserve("e") == Place(granted=True, victim="c")
    assert len(slots) == 3


def test_a_place_is_free_again_when_it_is_settled_as_not_held() -> None:
    slots = Slots(1)
    slots.reserve("a")
    slots.settle("a", holds=False, busy=False)
    assert slots.reserve("b") == GRANTED


def test_a_victim_that_became_busy_meanwhile_keeps_its_run_time() -> None:
    slots = Slots(1)
    slots.reserve("a")
    slots.settle("a", holds=True, busy=False)
    assert slots.reserve("b") == Place(granted=True, victim="a")
    slots.settle("a", holds=True, busy=True)
    assert slots.reserve("c") == Place(granted=False)
    assert len(slots) == 2
