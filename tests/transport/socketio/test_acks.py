"""Who waits for which acknowledgement: ids, the bound, and once only."""

import pytest

from transport.errors import TooManyAcks
from transport.socketio.acks import Acks


def test_e14_ids_count_up_from_zero_and_none_comes_twice() -> None:
    acks: Acks[str] = Acks(10)
    assert [acks.ask("a"), acks.ask("b")] == [0, 1]
    assert acks.take(1) == "b"
    assert acks.ask("c") == 2


@pytest.mark.parametrize("packet_id", [None, 7, 0])
def test_e13_e15_unknown_missing_and_second_answers_are_nobodys(packet_id: int | None) -> None:
    acks: Acks[str] = Acks(10)
    acks.ask("a")
    assert acks.take(0) == "a"
    assert acks.take(packet_id) is None


def test_e15_outstanding_acks_are_bounded_and_a_place_becomes_free() -> None:
    acks: Acks[str] = Acks(2)
    acks.ask("a")
    acks.ask("b")
    with pytest.raises(TooManyAcks, match="2 acknowledgements"):
        acks.ask("c")
    acks.take(0)
    assert acks.ask("c") == 2
    assert len(acks) == 2


def test_e15_all_go_with_the_client() -> None:
    acks: Acks[str] = Acks(10)
    acks.ask("a")
    acks.ask("b")
    assert acks.take_all() == ["a", "b"]
    assert acks.take(0) is None
