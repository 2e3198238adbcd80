"""Bounds that are told at once and lose nothing (K4, K5)."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import (
    Envelope,
    Lane,
    Load,
    Mailbox,
    MailboxFull,
    MailboxLimits,
    MailboxStatistics,
    ServerFull,
)
from tests.actors.runtime.scribe import CountingReply


def envelope(name: str, lane: Lane = Lane.WORK, size_bytes: int = 0) -> Envelope[str]:
    return Envelope(name, lane, size_bytes=size_bytes)


def taken(mailbox: Mailbox[str], messages_max: int = 100) -> list[str]:
    return [found.message for found in mailbox.drain(messages_max)]


async def test_k04_control_is_served_before_work_and_each_lane_in_order() -> None:
    mailbox: Mailbox[str] = Mailbox()
    for name in ("w1", "w2"):
        mailbox.put_nowait(envelope(name))
    for name in ("c1", "c2"):
        mailbox.put_nowait(envelope(name, Lane.CONTROL))
    assert taken(mailbox, 3) == ["c1", "c2", "w1"]
    assert taken(mailbox) == ["w2"]


@pytest.mark.parametrize(
    ("limits", "size_bytes", "lane", "fit"),
    [
        (MailboxLimits(work_messages_max=3), 1, Lane.WORK, 3),
        (MailboxLimits(work_bytes_max=25), 10, Lane.WORK, 2),
        (MailboxLimits(control_messages_max=4), 1000, Lane.CONTROL, 4),
    ],
)
async def test_k05_what_does_not_fit_is_refused_and_the_rest_is_served(
    limits: MailboxLimits, size_bytes: int, lane: Lane, fit: int
) -> None:
    mailbox: Mailbox[str] = Mailbox(limits)
    for number in range(fit):
        mailbox.put_nowait(envelope(str(number), lane, size_bytes))
    with pytest.raises(MailboxFull):
        mailbox.put_nowait(envelope("too many", lane, size_bytes))
    assert mailbox.statistics().refused == 1
    assert taken(mailbox) == [str(number) for number in range(fit)]


async def test_k05_one_message_alone_fits_whatever_its_size() -> None:
    mailbox: Mailbox[str] = Mailbox(MailboxLimits(work_bytes_max=10))
    mailbox.put_nowait(envelope("large", size_bytes=1000))
    assert taken(mailbox) == ["large"]


@pytest.mark.parametrize(("load", "size_bytes"), [(Load(messages_max=3), 1), (Load(bytes_max=30), 10)])
async def test_k05_a_full_server_refuses_by_another_name_and_only_work(load: Load, size_bytes: int) -> None:
    mailboxes: list[Mailbox[str]] = [Mailbox(load=load) for _ in range(4)]
    for mailbox in mailboxes[:3]:
        mailbox.put_nowait(envelope("fits", size_bytes=size_bytes))
    with pytest.raises(ServerFull):
        mailboxes[3].put_nowait(envelope("does not", size_bytes=size_bytes))
    mailboxes[3].put_nowait(envelope("stop", Lane.CONTROL))
    assert taken(mailboxes[0]) == ["fits"]
    mailboxes[3].put_nowait(envelope("does now", size_bytes=size_bytes))
    assert taken(mailboxes[3]) == ["stop", "does now"]


async def test_k05_the_run_of_the_actor_waits_for_room_instead(autojump_clock: trio.testing.MockClock) -> None:
    mailbox: Mailbox[str] = Mailbox(MailboxLimits(work_messages_max=1), Load(messages_max=1))
    mailbox.put_nowait(envelope("first"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, envelope("second"))
        await trio.testing.wait_all_tasks_blocked()
        assert taken(mailbox) == ["first"]
    assert taken(mailbox) == ["second"]


def test_k24_the_first_answer_counts_and_no_other_is_heard() -> None:
    for first, then in (("succeed", "fail"), ("fail", "succeed"), ("fail", "fail"), ("succeed", "succeed")):
        heard = CountingReply()
        answered = Envelope("m", reply=heard)
        getattr(answered, first)(ServerFull())
        getattr(answered, then)(MailboxFull("messages"))
        assert len(heard.values) == 1
        assert isinstance(heard.values[0], ServerFull) or heard.values[0] is ServerFull


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(Lane), st.integers(0, 9)) | st.integers(0, 2)))
def test_k05_the_load_is_what_waits(steps: list[tuple[int, Lane, int] | int]) -> None:
    trio.run(_balance, steps)


async def _balance(steps: list[tuple[int, Lane, int] | int]) -> None:
    load = Load(messages_max=10, bytes_max=40)
    mailboxes: list[Mailbox[str]] = [Mailbox(MailboxLimits(5, 20, 5), load) for _ in range(3)]
    for step in steps:
        if isinstance(step, int):
            mailboxes[step].drain(2)
        else:
            place, lane, size_bytes = step
            try:
                mailboxes[place].put_nowait(envelope("x", lane, size_bytes))
            except (MailboxFull, ServerFull):
                continue
        statistics = [mailbox.statistics() for mailbox in mailboxes]
        assert load.messages == sum(found.work for found in statistics) <= 10
        assert load.bytes == sum(found.work_bytes for found in statistics) <= 40


async def test_depth_and_age_are_told_for_each_lane(autojump_clock: trio.testing.MockClock) -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.statistics() == MailboxStatistics(0, None, 0, None, 0, 0)
    began = trio.current_time()
    for number, lane in enumerate((Lane.WORK, Lane.CONTROL, Lane.WORK)):
        await trio.sleep(1)
        mailbox.put_nowait(envelope(str(number), lane, size_bytes=10))
    assert mailbox.statistics() == MailboxStatistics(1, began + 2, 2, began + 1, 20, 0)
    mailbox.drain(2)
    assert mailbox.statistics() == MailboxStatistics(0, None, 1, began + 3, 10, 0)
