"""K11, K12, K13 with the real actor: in one turn, on failing disks, across incarnations and restarts."""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import pytest
import trio

from actors.conversation.creation import Creation
from actors.conversation.errors import BadKey, EventIdMismatch, KeyReused, TooManyConversations
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.keys import KEYS_MIN, PAGE_KEYS, Receipt
from actors.domain.events import AgentState, ChangeAgentStateAction, ConversationCreated, MessageAction
from actors.domain.masks import masks_of
from actors.domain.terms import Terms
from actors.runtime import AskTimedOut
from storage.errors import OutcomeUnknown, StorageDegraded
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import Tenancy, open_house
from tests.actors.conversation.test_faults import STILL, contents, log_path
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.scripted_sandbox import Reply
from tests.fakes.slow_disk import SlowDisk

Clock = trio.testing.MockClock

T = TypeVar("T")


async def create_named(house: Tenancy) -> str:
    """One whose first message gives it no title, so that a message is one event."""
    it = await house.create()
    await house.conversations.rename(it, "named")
    return it


async def say(house: Tenancy, it: str, text: str, key: str | None = "k", expected: int | None = None) -> Receipt:
    return await house.conversations.submit(it, MessageAction(text), size_bytes=len(text), terms=Terms(key, expected))


async def texts(house: Tenancy, it: str) -> list[str]:
    return [event["args"]["content"] for event in await house.events(it) if event.get("action") == "message"]


async def keys(house: Tenancy, it: str) -> list[dict[str, Any]]:
    return [event for event in await house.events(it) if event.get("observation") == "greenroom.key_used"]


async def last_id(house: Tenancy, it: str) -> int:
    return int((await house.events(it))[-1]["id"])


def replayed(receipt: Receipt) -> Receipt:
    return attrs.evolve(receipt, replayed=True)


# --- one conversation ---


async def test_k11_the_second_try_has_no_effect_and_the_same_answer(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await create_named(house)
        client, _ = await house.join(it)
        first = await say(house, it, "/note once")
        events, shown = await house.events(it), len(client.taken)
        assert not first.replayed
        assert events[-2]["id"] == first.event_id
        assert events[-1]["extras"] == {
            "key": "k", "digest": events[-1]["extras"]["digest"], "event_id": first.event_id, "status": "RUNNING",
        }  # fmt: skip
        await trio.sleep(10)
        assert await say(house, it, "/note once") == replayed(first)
        assert (await house.events(it), len(client.taken)) == (events, shown)
        assert "key_used" not in str(client.taken)


async def test_k11_the_same_key_for_something_else_is_refused_and_has_no_effect(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create()
        await say(house, it, "/note once")
        events = await house.events(it)
        with pytest.raises(KeyReused):
            await say(house, it, "/note twice")
        with pytest.raises(KeyReused):
            await house.conversations.rename(it, "a title", Terms("k"))
        assert await house.events(it) == events


async def test_k11_a_key_belongs_to_its_conversation(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        one, other = await house.create(), await house.create()
        assert not (await say(house, one, "/note once")).replayed
        assert not (await say(house, other, "/note once")).replayed


async def test_k11_of_many_at_once_one_takes_effect_and_all_are_answered_alike(autojump_clock: Clock) -> None:
    disk = SlowDisk()
    async with open_house(STILL, disk) as house, trio.open_nursery() as nursery:
        it = await house.create()
        disk.seconds = 1
        receipts: list[Receipt] = []
        refused: list[str] = []

        async def one(text: str) -> None:
            try:
                receipts.append(await say(house, it, text))
            except KeyReused as refusal:
                refused.append(refusal.code)

        for number in range(20):
            nursery.start_soon(one, "/note other" if number == 19 else "/note once")
        nursery.start_soon(house.say, it, "/note in between")
        await trio.sleep(30)
        assert sorted(await texts(house, it)) in (
            ["/note in between", "/note once"],
            ["/note in between", "/note other"],
        )
        assert len(await keys(house, it)) == 1
        assert len(receipts) + len(refused) == 20
        assert sum(not receipt.replayed for receipt in receipts) == 1
        assert len({attrs.evolve(receipt, replayed=False) for receipt in receipts}) == 1


async def test_k08_k11_nobody_hears_of_a_key_whose_batch_fails_and_all_of_them_fail(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house, trio.open_nursery() as nursery:
        it = await house.create()
        before = await house.events(it)
        disk.faults.writes.add(log_path(it))
        failed: list[Exception] = []

        async def one(text: str, expected: int | None = None) -> None:
            try:
                await say(house, it, text, expected=expected)
            except (StorageDegraded, KeyReused, EventIdMismatch) as failure:
                failed.append(failure)

        for text in ("/note once", "/note once", "/note other"):
            nursery.start_soon(one, text)
        await trio.sleep(1)
        # Whether a refusal held depended on an event that is nowhere now, so it is not told either.
        assert [type(failure) for failure in failed] == [StorageDegraded] * 3
        disk.faults.writes.clear()
        await trio.sleep(60)
        assert await house.events(it) == before
        assert not (await say(house, it, "/note once")).replayed


async def test_k08_k12_a_mismatch_with_an_event_that_is_not_durable_is_not_told_before_it_is(
    autojump_clock: Clock,
) -> None:
    disk = SlowDisk()
    async with open_house(STILL, disk) as house, trio.open_nursery() as nursery:
        it = await create_named(house)
        at = await last_id(house, it)
        told: list[float] = []

        async def come_second() -> None:
            with pytest.raises(EventIdMismatch) as caught:
                await say(house, it, "/note second", "b", at + 1)
            assert caught.value.last_event_id == at + 3
            told.append(trio.current_time())

        disk.seconds = 5
        began = trio.current_time()
        nursery.start_soon(house.say, it, "/note busy")  # while this one is written the other two share a turn
        await trio.sleep(1)
        nursery.start_soon(say, house, it, "/note first", "a", at + 1)
        await house.settle()
        nursery.start_soon(come_second)
        await trio.sleep(30)
        assert told == [began + 10]


async def test_k12_only_on_the_last_id_house_facts_included(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await create_named(house)
        at = await last_id(house, it)
        first = await say(house, it, "/note a", None, at)
        assert first.event_id == at + 1
        with pytest.raises(EventIdMismatch) as caught:
            await say(house, it, "/note b", None, at)
        assert caught.value.last_event_id == at + 1
        with pytest.raises(EventIdMismatch):
            await say(house, it, "/note b", None, at + 2)
        await house.conversations.rename(it, "a title", Terms(None, at + 1))
        with pytest.raises(EventIdMismatch):  # a title is no event that sockets are shown, and one all the same
            await say(house, it, "/note b", None, at + 1)
        await say(house, it, "/note b", "k", at + 2)
        with pytest.raises(EventIdMismatch):  # so is a key
            await say(house, it, "/note c", None, at + 3)
        assert await texts(house, it) == ["/note a", "/note b"]


async def test_k12_a_mismatch_wakes_nothing_and_takes_nobodys_place(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=1)) as house:
        cold = await house.create()
        await house.conversations.stop(cold)
        other = await house.create()
        with pytest.raises(EventIdMismatch):
            await house.conversations.start(cold, Terms(None, 0))
        await house.settle()
        assert (await house.lifecycle(other))[0] == "RUNNING"
        assert not house.sandboxes[-1].statistics().closed
        with pytest.raises(EventIdMismatch):
            await house.conversations.stop(cold, Terms("k", 0))
        assert await keys(house, cold) == []


async def test_k11_every_command_of_a_client_may_have_a_key_also_where_it_changes_nothing(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        ask = house.conversations
        commands: dict[str, Callable[[Terms], Any]] = {
            "start": lambda terms: ask.start(it, terms),
            "keepalive": lambda terms: ask.keep_alive(it, 60, terms),
            "rename": lambda terms: ask.rename(it, "a title", terms),
            "state": lambda terms: ask.submit(it, ChangeAgentStateAction(AgentState.PAUSED), size_bytes=1, terms=terms),
            "pause": lambda terms: ask.pause(it, terms),
            "resume": lambda terms: ask.resume(it, terms),
            "pause again": lambda terms: ask.pause(it, terms),
            "archive": lambda terms: ask.archive(it, terms),
            "archive again": lambda terms: ask.archive(it, terms),
            "unarchive": lambda terms: ask.unarchive(it, terms),
            "stop": lambda terms: ask.stop(it, terms),
        }
        first = {}
        for key, command in commands.items():
            first[key] = await command(Terms(key.replace(" ", "-")))
            await house.settle()
        events = await house.events(it)
        used = [event for event in events if event.get("observation") == "greenroom.key_used"]
        assert [event["extras"]["key"] for event in used] == [key.replace(" ", "-") for key in commands]
        assert [event["extras"]["event_id"] for event in used] == [receipt.event_id for receipt in first.values()]
        nothing_else = {event["extras"]["key"] for event in used if event["extras"]["event_id"] == event["id"]}
        assert nothing_else >= {"start", "keepalive", "archive-again", "stop"}
        again = {key: await command(Terms(key.replace(" ", "-"))) for key, command in commands.items()}
        assert again == {key: replayed(receipt) for key, receipt in first.items()}
        assert await house.events(it) == events
    async with open_house(STILL, disk) as house:
        ask = house.conversations
        again = {key: await command(Terms(key.replace(" ", "-"))) for key, command in commands.items()}
        assert again == {key: replayed(receipt) for key, receipt in first.items()}
        assert await house.events(it) == events
        assert (await house.lifecycle(it))[0] == "STOPPED"


async def test_k11_a_stop_that_is_under_way_answers_both_when_its_processes_are_gone(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies={"long": Reply(seconds=1000)}) as house, trio.open_nursery() as nursery:
        it = await house.create("$ long")
        receipts: list[Receipt] = []

        async def stop() -> None:
            receipts.append(await house.conversations.stop(it, Terms("k")))
            assert house.sandboxes[0].statistics().closed

        nursery.start_soon(stop)
        nursery.start_soon(stop)
        await trio.sleep(10)
        assert [receipt.status for receipt in receipts] == ["RUNNING", "RUNNING"]
        assert sorted(receipt.replayed for receipt in receipts) == [False, True]


async def test_k11_k21_an_answer_from_the_log_is_no_activity_and_starts_nothing(autojump_clock: Clock) -> None:
    rules = Rules(idle=IdleLimits(close_delay_seconds=100, hibernate_after_seconds=0))
    async with open_house(rules) as house:
        it = await house.create()
        await house.conversations.start(it, Terms("s"))
        await house.conversations.keep_alive(it, 150, Terms("k"))
        for _ in range(3):
            await trio.sleep(45)
            await house.conversations.start(it, Terms("s"))
            await house.conversations.keep_alive(it, 150, Terms("k"))
        assert (await house.lifecycle(it))[0] == "RUNNING"
        await trio.sleep(20)
        assert (await house.lifecycle(it))[0] == "STOPPED"
        await house.conversations.start(it, Terms("s"))
        await house.settle()
        assert (await house.lifecycle(it))[0] == "STOPPED"


# --- faults ---


async def test_k13_a_retry_after_an_unknown_outcome_takes_effect_once(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        disk.faults.syncs.add(log_path(it))
        with pytest.raises(OutcomeUnknown):
            await say(house, it, "/note perhaps")
        disk.faults.syncs.clear()
        await trio.sleep(60)
        receipt = await say(house, it, "/note perhaps")
        # The bytes had been written, so the new incarnation found the command carried out.
        assert receipt.replayed
        assert await texts(house, it) == ["/note perhaps"]
        assert await say(house, it, "/note perhaps") == receipt


async def test_k13_a_retry_after_a_write_that_failed_is_the_first_that_counts(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        disk.faults.writes.add(log_path(it))
        with pytest.raises(StorageDegraded):
            await say(house, it, "/note later")
        disk.faults.writes.clear()
        await trio.sleep(60)
        assert not (await say(house, it, "/note later")).replayed
        assert await texts(house, it) == ["/note later"]


async def test_k14_what_was_done_before_is_answered_while_the_disk_takes_nothing(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        first = await say(house, it, "/note before")
        disk.faults.writes.add(log_path(it))
        with pytest.raises(StorageDegraded):
            await say(house, it, "/note new", "other")
        assert await say(house, it, "/note before") == replayed(first)


async def test_k07_a_retry_after_no_answer_in_time_takes_effect_once(autojump_clock: Clock) -> None:
    disk = SlowDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        disk.seconds = 100
        with pytest.raises(AskTimedOut):
            await say(house, it, "/note slow")
        disk.seconds = 0
        await trio.sleep(200)
        assert (await say(house, it, "/note slow")).replayed
        assert await texts(house, it) == ["/note slow"]


async def test_k11_a_batch_that_was_cut_off_took_its_key_with_it(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await say(house, it, "/note once")
    whole = contents(disk, log_path(it))
    end = whole.index(b"/note once") + 10  # in the first record of the batch, before the key
    for torn in (whole[:end], whole[: whole.rindex(b"greenroom.key_used")]):
        disk.replace(log_path(it), torn)
        async with open_house(STILL, disk) as house:
            assert not (await say(house, it, "/note once")).replayed
            assert await texts(house, it) == ["/note once"]
            assert len(await keys(house, it)) == 1


@pytest.mark.parametrize("lost", ["", "state.json"])
async def test_k11_keys_outlive_the_server_with_and_without_its_snapshot(autojump_clock: Clock, lost: str) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        first = [await say(house, it, f"/note {number}", f"k{number}") for number in range(300)]
    if lost:
        disk.remove_tree(f"conversations/{it}/{lost}")
    async with open_house(STILL, disk) as house:
        again = [await say(house, it, f"/note {number}", f"k{number}") for number in range(300)]
        assert again == [replayed(receipt) for receipt in first]


async def test_k11_a_key_that_fell_out_of_the_window_is_a_new_one(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create()
        await say(house, it, "/note first", "first")
        for number in range(KEYS_MIN - 1):
            await say(house, it, "/note", f"k{number}")
        assert (await say(house, it, "/note first", "first")).replayed
        for number in range(PAGE_KEYS + 1):
            await say(house, it, "/note", f"l{number}")
        assert not (await say(house, it, "/note first", "first")).replayed
        assert (await texts(house, it)).count("/note first") == 2
        assert (await say(house, it, "/note first", "first")).replayed


SECRET = "correct-horse-battery"  # noqa: S105 - a test's


async def test_d41_a_key_that_contains_a_secret_is_refused_and_a_digest_betrays_none(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk, masks=masks_of([SECRET])) as house:
        it = await house.create()
        for work in (
            say(house, it, "/note hi", f"my-{SECRET}"),
            house.conversations.create(ConversationCreated(), None, f"my-{SECRET}"),
        ):
            with pytest.raises(BadKey):
                await work
        await say(house, it, f"/note {SECRET}", "a")
        # The digest is that of what lies in the log, and so tells nothing of what does not.
        assert (await say(house, it, "/note <secret_hidden>", "a")).replayed
        assert SECRET.encode() not in contents(disk, log_path(it))


# --- creations ---


async def create(house: Tenancy, key: str | None = "k", text: str | None = "/note hi") -> Creation:
    message = MessageAction(text) if text is not None else None
    return await house.conversations.create(ConversationCreated(), message, key)


async def count(house: Tenancy) -> int:
    found, _ = await house.conversations.page(limit=100, cursor=None, where={})
    return len(found)


async def test_k11_a_creation_is_one_however_often_and_whenever_it_is_tried(autojump_clock: Clock) -> None:
    disk = SlowDisk()
    async with open_house(STILL, disk) as house, trio.open_nursery() as nursery:
        disk.seconds = 1
        made: list[Creation] = []

        async def one() -> None:
            made.append(await create(house))

        for _ in range(10):
            nursery.start_soon(one)
        await trio.sleep(60)
        assert len({creation.conversation_id for creation in made}) == 1
        assert sum(not creation.receipt.replayed for creation in made) == 1
        assert {creation.receipt.status for creation in made} == {"STARTING"}
        assert await count(house) == 1
        assert await texts(house, made[0].conversation_id) == ["/note hi"]
        with pytest.raises(KeyReused):
            await create(house, text="/note ho")
        with pytest.raises(KeyReused):
            await create(house, text=None)
        assert (await create(house, "other")).conversation_id != made[0].conversation_id
    disk.seconds = 0
    async with open_house(STILL, disk) as house:
        again = await create(house)
        assert again == attrs.evolve(made[0], receipt=replayed(made[0].receipt))
        with pytest.raises(KeyReused):
            await create(house, text="/note ho")
        assert await count(house) == 2


async def test_k13_a_server_that_died_within_a_creation_finishes_it_when_it_is_tried_again(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        made = await create(house, text="hello")
        path = log_path(made.conversation_id)
    # As the log stood when the conversation was there and nobody had started it yet.
    disk.replace(path, b"".join(contents(disk, path).splitlines(keepends=True)[:2]))
    disk.remove_tree(f"conversations/{made.conversation_id}/state.json")
    async with open_house(STILL, disk) as house:
        again = await create(house, text="hello")
        assert (again.conversation_id, again.receipt.replayed) == (made.conversation_id, True)
        await house.settle()
        answers = [e for e in await house.events(made.conversation_id) if e.get("source") == "agent"]
        assert len([e for e in answers if e.get("action") == "message"]) == 1
        await house.conversations.stop(made.conversation_id)
        await create(house, text="hello")
        await house.settle()
        assert (await house.lifecycle(made.conversation_id))[0] == "STOPPED"


async def test_k13_a_creation_that_failed_is_made_when_it_is_tried_again(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=1), disk) as house:
        disk.faults.steps_left = 3
        with pytest.raises((StorageDegraded, OutcomeUnknown)):
            await create(house)
        disk.faults.steps_left = None
        made = await create(house)
        assert not made.receipt.replayed
        await house.conversations.submit(made.conversation_id, MessageAction("/sleep"), size_bytes=1)
        assert await count(house) == 1


async def test_k13_no_two_of_them_are_there_after_a_creation_that_could_not_be_undone(autojump_clock: Clock) -> None:
    for steps in range(12):
        disk = FaultyDisk()
        async with open_house(STILL, disk) as house:
            disk.faults.steps_left, disk.faults.removals = steps, True
            try:
                first: Creation | None = await create(house)
            except (StorageDegraded, OutcomeUnknown):
                first = None
            disk.faults.steps_left = None
            if first is None:
                with pytest.raises((StorageDegraded, OutcomeUnknown)):
                    await create(house)  # what is left over cannot be removed yet, so nothing is made beside it
            disk.faults.removals = False
            made = await create(house)
        async with open_house(STILL, disk) as house:
            assert await count(house) == 1, steps
            assert (await create(house)).conversation_id == made.conversation_id


async def test_k11_who_waited_for_a_creation_that_failed_makes_it(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=1), replies={"long": Reply(seconds=100)}) as house:
        busy = await house.create("$ long")
        with pytest.raises(TooManyConversations):
            await create(house)
        await house.conversations.stop(busy)
        assert not (await create(house)).receipt.replayed


async def test_k11_with_its_conversation_a_key_is_gone(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        made = await create(house)
        await house.conversations.delete(made.conversation_id)
        again = await create(house)
        assert (again.conversation_id != made.conversation_id, again.receipt.replayed) == (True, False)
