"""What is counted is what is there, a no is counted too, and a crowd takes nothing from who needs little."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from transport.engineio.limits import Each, Limit, Limits, PerAddress, Share
from transport.engineio.options import Options


def test_a_limit_permits_up_to_its_maximum_and_counts_each_no() -> None:
    limit = Limit(2)
    for _ in range(2):
        assert limit.permits()
        limit.take()
    assert not limit.permits()
    assert (limit.used, limit.refused) == (2, 1)
    limit.give_back()
    assert limit.permits()


def test_addresses_are_apart_and_one_without_anything_is_forgotten() -> None:
    limit = PerAddress(1)
    limit.take("a")
    assert not limit.permits("a")
    assert limit.permits("b")
    assert (limit.used, limit.refused) == (1, 1)
    limit.give_back("a")
    assert limit.permits("a")
    assert (limit.used, limit.addresses) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 100))))
def test_what_holders_keep_is_counted_together(steps: list[tuple[int, int]]) -> None:
    limit = Limit(100)
    shares = [Share(limit, 10) for _ in range(3)]
    for holder, amount in steps:
        grew = amount > shares[holder].kept
        granted = shares[holder].keep(amount)
        assert limit.used == sum(share.kept for share in shares)
        assert granted is not (grew and amount > 10 and limit.used > 100)


def test_who_keeps_little_is_granted_it_however_much_others_keep() -> None:
    limit = Limit(100)
    greedy, modest = Share(limit, 10), Share(limit, 10)
    assert greedy.keep(100)
    assert modest.keep(10)
    assert not modest.keep(11)
    assert not greedy.keep(101)
    assert greedy.keep(90)  # who lets go is not refused
    assert modest.keep(10)
    assert limit.refused == 2


def test_every_limit_of_the_options_is_told_by_its_name() -> None:
    told = dict(Limits(Options()))
    assert all(isinstance(limit, Limit | PerAddress | Each) for limit in told.values())
    named = {name.removesuffix("_max") for name in attrs.asdict(Options()) if name.endswith("_max")}
    # Those whose refusal is a parse error of the client's, or no refusal at all.
    named -= {"attachments", "packets_per_poll", "max_payload_bytes"}
    assert named <= set(told)
