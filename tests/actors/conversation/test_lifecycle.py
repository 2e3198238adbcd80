"""The life of a conversation: the status table as its users see it, idleness, places, and hand-over."""

import errno
import gc

import pytest
import structlog
import trio
import trio.lowlevel
from structlog.testing import capture_logs

from actors.conversation.actor import ConversationActor
from actors.conversation.cursor import Cursor
from actors.conversation.errors import Refused, TooManyConversations
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.messages import LookAtClock
from actors.domain import commands as c
from actors.domain.commands import BusyPolicy
from actors.domain.events import AgentState, ChangeAgentStateAction, ConversationCreated
from actors.runtime import ActorFailed, Cell, Lane, MailboxFull
from actors.sandbox.errors import SandboxUnavailable
from storage.errors import ConversationNotFound
from tests.actors.conversation.house import ListSink, open_house, states
from tests.fakes.scripted_sandbox import Reply

Clock = trio.testing.MockClock

LONG = {"long": Reply("begun\n", seconds=1000)}
STILL = Rules(idle=IdleLimits(0, 0))
QUICK = Rules(idle=IdleLimits(close_delay_seconds=100, hibernate_after_seconds=10))


async def refused(code: str, work: object) -> None:
    with pytest.raises(Refused) as caught:
        await work  # type: ignore[misc]  # any awaitable
    assert caught.value.code == code


# --- what it is called ---


async def test_it_is_called_after_its_first_message_until_somebody_names_it(autojump_clock: Clock) -> None:
    long = "please  look at\nthe logs of yesterday, and tell me what you see"
    async with open_house(STILL) as house:
        at_birth, later = await house.create(long), await house.create()
        assert await house.title(at_birth) == "please look at the logs of ye…"
        assert await house.title(later) == f"Conversation {later[:5]}"
        client, _ = await house.join(later)
        await house.say(later, "/note  \t\n")
        await house.say(later, "hello")
        await house.say(later, "and goodbye")
        await house.settle()
        assert await house.title(later) == "/note"
        titles = [message["conversation_title"] for message in client.taken if "conversation_title" in message]
        assert titles == ["/note"]
        await house.conversations.rename(later, "mine")
        await house.say(later, "not yours")
        assert await house.title(later) == "mine"
        await house.conversations.stop(later)
        assert await house.title(later) == "mine"


# --- pausing and stopping ---


async def test_a_paused_run_ends_and_a_resume_goes_on(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")
        assert (await house.conversations.pause(it)).status == "RUNNING"
        await house.settle()
        events = await house.events(it)
        assert states(events) == ["loading", "running", "paused"]
        [action] = [event for event in events if event.get("action") == "run"]
        [observation] = [event for event in events if event.get("cause") == action["id"]]
        assert observation["observation"] == "run"
        assert "begun" in observation["content"]
        await house.conversations.resume(it)
        await house.settle()
        assert states(await house.events(it))[3:] == ["running", "awaiting_user_input"]


async def test_a_message_to_a_paused_conversation_is_answered(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")
        await house.conversations.pause(it)
        await house.say(it, "hello")
        await house.settle()
        assert states(await house.events(it))[-1] == "awaiting_user_input"
        assert any(event.get("message") == "hello" for event in await house.events(it))


async def test_a_pause_while_the_run_time_opens_holds(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        summary = await house.conversations.create(ConversationCreated(), None)
        await house.conversations.pause(summary.conversation_id)
        await house.settle()
        assert states(await house.events(summary.conversation_id)) == ["loading", "paused"]


async def test_the_socket_asks_for_states_and_a_bogus_one_is_refused(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")

        async def ask(state: AgentState) -> None:
            await house.conversations.submit(it, ChangeAgentStateAction(state), size_bytes=1)
            await house.settle()

        await ask(AgentState.PAUSED)
        assert states(await house.events(it))[-1] == "paused"
        await ask(AgentState.RUNNING)
        assert states(await house.events(it))[-1] == "awaiting_user_input"
        await ask(AgentState.STOPPED)
        assert states(await house.events(it))[-1] == "stopped"
        before = len(await house.events(it))
        await refused(
            "illegal_agent_state",
            house.conversations.submit(it, ChangeAgentStateAction(AgentState.FINISHED), size_bytes=1),
        )
        assert len(await house.events(it)) == before


async def test_stop_ends_the_run_tells_the_clients_and_is_cold_when_it_answers(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")
        client, _ = await house.join(it)
        assert (await house.conversations.stop(it)).status == "RUNNING"
        await house.settle()
        assert await house.lifecycle(it) == ("STOPPED", "STOPPED", "cold")
        assert client.told[-2:] == ["stopped", "41"]
        assert house.sandboxes[0].statistics().closed
        assert (await house.conversations.stop(it)).status == "STOPPED"


async def test_a_message_after_a_stop_began_is_answered_and_not_stopped(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")
        await house.conversations.submit(it, ChangeAgentStateAction(AgentState.STOPPED), size_bytes=1)
        await house.say(it, "and now this")
        await house.settle()
        assert states(await house.events(it))[-1] == "awaiting_user_input"


async def test_k23_a_message_during_a_stop_revives_and_is_answered(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.conversations.stop, it)
            await trio.lowlevel.checkpoint()
            await house.say(it, "one more")
        await house.settle()
        assert any(event["source"] == "agent" and event["message"] == "one more" for event in await house.events(it))
        assert (await house.lifecycle(it))[0] == "RUNNING"


# --- busy ---


async def test_busy_policies(autojump_clock: Clock) -> None:
    async def told(policy: BusyPolicy) -> list[str]:
        async with open_house(Rules(idle=IdleLimits(0, 0), busy=policy), replies=LONG) as house:
            it = await house.create("$ long")
            try:
                await house.say(it, "next")
            except Refused as refusal:
                return [refusal.code]
            await house.settle()
            return states(await house.events(it))

    assert await told(BusyPolicy.ENQUEUE) == ["loading", "running"]
    assert await told(BusyPolicy.REJECT) == ["busy"]
    assert await told(BusyPolicy.INTERRUPT) == ["loading", "running", "awaiting_user_input"]


# --- archive ---


async def test_an_archived_conversation_is_read_and_takes_nothing_until_it_is_taken_out(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create("hello")
        client, _ = await house.join(it)
        assert (await house.conversations.archive(it)).status == "ARCHIVED"
        await house.settle()
        assert client.told[-2:] == ["stopped", "41"]
        assert await house.lifecycle(it) == ("ARCHIVED", "ARCHIVED", "cold")
        await refused("illegal_transition", house.say(it, "hello?"))
        await refused("illegal_transition", house.conversations.start(it))
        await refused("illegal_transition", house.conversations.stop(it))
        reader, _ = await house.join(it)
        assert [message["message"] for message in reader.taken if message.get("action") == "message"] == [
            "hello",
            "hello",
        ]
        assert not reader.closed
        await house.conversations.archive(it)  # again: nothing happens
        await house.conversations.unarchive(it)
        assert await house.lifecycle(it) == ("STOPPED", "STOPPED", "hot")
        await house.say(it, "and on")
        await house.settle()
        assert (await house.lifecycle(it))[0] == "RUNNING"


async def test_a_running_conversation_cannot_be_archived(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=LONG) as house:
        it = await house.create("$ long")
        await refused("illegal_transition", house.conversations.archive(it))


# --- the run-time does not open ---


async def test_a_start_that_fails_is_an_error_with_a_reason_and_may_be_tried_again(autojump_clock: Clock) -> None:
    failures = ["no such image"]

    async def prepare() -> None:
        await trio.lowlevel.checkpoint()
        if failures:
            raise SandboxUnavailable(failures.pop())

    async with open_house(STILL, prepare=prepare) as house:
        it = await house.create("hello")
        assert states(await house.events(it)) == ["loading", "error"]
        assert (await house.events(it))[-1]["extras"]["reason"] == "no such image"
        assert await house.lifecycle(it) == ("STOPPED", "ERROR", "hot")
        await house.conversations.start(it)
        await house.settle()
        assert states(await house.events(it))[2:] == ["loading", "running", "awaiting_user_input"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/srv/greenroom/conversations/it/files"),
            "Permission denied",
        ),
        (RuntimeError("the key is hunter2"), "RuntimeError"),
    ],
)
async def test_a_start_that_fails_unforeseen_ends_nobody_else_and_leaks_nothing(
    autojump_clock: Clock, failure: Exception, told: str
) -> None:
    failures: list[Exception] = []

    async def prepare() -> None:
        await trio.lowlevel.checkpoint()
        if failures:
            raise failures.pop()

    async with open_house(STILL, prepare=prepare) as house:
        sibling = await house.create()
        failures.append(failure)
        it = await house.create("hello")
        [error] = [event["extras"]["reason"] for event in await house.events(it) if "error" in states([event])]
        assert error == f"the run-time could not be opened ({told})"
        await house.say(sibling, "still there")
        await house.settle()
        assert states(await house.events(sibling))[-1] == "awaiting_user_input"


async def test_what_a_sandbox_logs_says_whose_it_is(autojump_clock: Clock) -> None:
    async def prepare() -> None:
        await trio.lowlevel.checkpoint()
        structlog.get_logger().warning("sandbox_watchdog_killed")

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with open_house(STILL, prepare=prepare) as house:
            made = [await house.create(), await house.create()]
    told = [line["conversation_id"] for line in lines if line["event"] == "sandbox_watchdog_killed"]
    assert told == made


async def test_a_run_time_that_does_not_close_ends_nobody_else(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it, sibling = await house.create(), await house.create()
        house.sandboxes[0].jams = RuntimeError("a bug in the sandbox")
        assert (await house.conversations.stop(it)).status == "RUNNING"
        await house.settle()
        assert (await house.lifecycle(it), await house.lifecycle(sibling)) == (
            ("STOPPED", "STOPPED", "cold"),
            ("RUNNING", "STOPPED", "hot"),
        )


async def test_a_run_time_that_does_not_open_in_time_is_an_error(autojump_clock: Clock) -> None:
    rules = Rules(idle=IdleLimits(0, 0), start_deadline_seconds=7)
    async with open_house(rules, prepare=trio.sleep_forever) as house:
        it = await house.create()
        client, _ = await house.join(it)
        await trio.sleep(8)
        assert client.told == ["loading", "STATUS$STARTING_RUNTIME", "error", "STATUS$ERROR"]
        assert "7 s" in (await house.events(it))[-1]["extras"]["reason"]


async def test_a_stop_while_the_run_time_opens_leaves_no_run_time(autojump_clock: Clock) -> None:
    async with open_house(STILL, prepare=trio.sleep_forever) as house:
        it = await house.create("hello")
        before = trio.current_time()
        assert (await house.conversations.stop(it)).status == "STARTING"
        assert trio.current_time() == before
        await trio.sleep(1000)
        assert house.sandboxes == []
        assert states(await house.events(it)) == ["loading", "stopped"]
        assert await house.lifecycle(it) == ("STOPPED", "STOPPED", "cold")


async def test_what_is_archived_while_its_run_time_opens_stays_at_rest(autojump_clock: Clock) -> None:
    async with open_house(STILL, prepare=trio.sleep_forever) as house:
        it = await house.create()
        await house.conversations.pause(it)
        await house.conversations.archive(it)
        await trio.sleep(1000)
        assert await house.lifecycle(it) == ("ARCHIVED", "ARCHIVED", "cold")
        assert "error" not in states(await house.events(it))


# --- idleness ---


async def test_k22_an_idle_actor_hibernates_unnoticed_and_the_next_command_revives_it(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        client, _ = await house.join(it)
        told, events = list(client.taken), await house.events(it)
        await trio.sleep(11)
        assert await house.lifecycle(it) == ("RUNNING", "STOPPED", "hibernated")
        assert await house.events(it) == events
        assert client.taken == told
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.num_connections == 1
        await house.say(it, "hello")
        await house.settle()
        assert len(house.sandboxes) == 1
        assert [message["id"] for message in client.taken if type(message.get("id")) is int] == [
            event["id"] for event in await house.events(it) if not event.get("observation", "").startswith("greenroom")
        ]
        assert await house.lifecycle(it) == ("RUNNING", "STOPPED", "hot")


async def test_k22_nothing_is_left_of_the_actor_that_hibernates(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create("hello")
        await house.join(it)
        await trio.sleep(11)
        assert (await house.lifecycle(it))[2] == "hibernated"
        gc.collect()
        actors = [found for found in gc.get_objects() if isinstance(found, ConversationActor | Cell)]
        assert not [actor for actor in actors if it in repr(actor)]


async def test_k22_close_delay_closes_without_clients_and_tells_nobody_twice(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        await trio.sleep(99)
        assert (await house.lifecycle(it))[0] == "RUNNING"
        await trio.sleep(2)
        assert await house.lifecycle(it) == ("STOPPED", "STOPPED", "cold")
        assert house.sandboxes[0].statistics().closed
        assert states(await house.events(it))[-1] == "stopped"


async def test_k22_a_client_holds_closing_off_and_its_leaving_lets_it_go_on(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        client, leave = await house.join(it)
        await trio.sleep(1000)
        assert await house.lifecycle(it) == ("RUNNING", "STOPPED", "hibernated")
        leave.cancel()
        await trio.sleep(1)
        assert await house.lifecycle(it) == ("STOPPED", "STOPPED", "cold")
        assert not client.closed  # it had left before


async def test_k22_connected_clients_are_told_why_and_then_disconnected_where_configured(
    autojump_clock: Clock,
) -> None:
    rules = Rules(idle=IdleLimits(100, 10, closes_connected=True))
    async with open_house(rules) as house:
        it = await house.create()
        client, _ = await house.join(it)
        await trio.sleep(101)
        assert client.told[-3:] == ["stopped", "SESSION$TIMEOUT_MESSAGE", "41"]
        await house.say(it, "are you there?")
        await house.settle()
        assert states(await house.events(it))[-4:] == ["stopped", "loading", "running", "awaiting_user_input"]


async def test_k21_busy_never_leaves_and_its_end_starts_the_clock(autojump_clock: Clock) -> None:
    async with open_house(QUICK, replies={"work": Reply(seconds=110)}) as house:
        it = await house.create("$ work")
        await trio.sleep(109)
        assert await house.lifecycle(it) == ("RUNNING", "RUNNING", "hot")
        await trio.sleep(100)
        assert (await house.lifecycle(it))[0] == "RUNNING"
        await trio.sleep(3)
        assert (await house.lifecycle(it))[0] == "STOPPED"


async def test_k21_reads_and_refused_commands_are_no_activity_and_keep_alive_is(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        idle, kept = await house.create(), await house.create()
        await house.conversations.keep_alive(kept, 500)
        for _ in range(100):
            await trio.sleep(1)
            await house.events(idle)
            with pytest.raises(Refused):
                await house.conversations.submit(idle, ChangeAgentStateAction(AgentState.ERROR), size_bytes=1)
        await trio.sleep(1)
        assert (await house.lifecycle(idle))[0] == "STOPPED"
        assert (await house.lifecycle(kept))[0] == "RUNNING"
        await trio.sleep(400)
        assert (await house.lifecycle(kept))[0] == "STOPPED"
        await refused("not_running", house.conversations.keep_alive(kept, 500))


async def test_0_is_never(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create()
        await trio.sleep(24 * 3600)
        assert await house.lifecycle(it) == ("RUNNING", "STOPPED", "hot")


async def test_a_conversation_that_was_only_renamed_does_not_stay_in_memory(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        await trio.sleep(200)
        await house.conversations.rename(it, "elsewhere")
        assert (await house.lifecycle(it))[2] == "hot"
        await trio.sleep(11)
        assert (await house.lifecycle(it))[2] == "cold"


# --- places ---


async def test_when_places_are_scarce_the_least_recently_used_idle_one_goes(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=2), replies=LONG) as house:
        old, older = await house.create(), await house.create()
        await house.say(old, "used again")
        await house.settle()
        watcher, _ = await house.join(older)
        await house.say(old, "and again")  # joining counts as use of the other
        await house.settle()
        new = await house.create("$ long")
        assert [(await house.lifecycle(it))[0] for it in (old, older, new)] == ["RUNNING", "STOPPED", "RUNNING"]
        assert watcher.told[-3:] == ["stopped", "AGENT_ERROR$TOO_MANY_CONVERSATIONS", "41"]


async def test_nobody_busy_is_closed_for_another_and_who_is_refused_leaves_nothing(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=1), replies=LONG) as house:
        asleep = await house.create()
        await house.conversations.stop(asleep)
        busy = await house.create("$ long")
        with pytest.raises(TooManyConversations):
            await house.create()
        with pytest.raises(TooManyConversations):
            await house.say(asleep, "wake up")
        listed, _ = await house.conversations.page(limit=10, cursor=None, where={})
        assert {summary.conversation_id for summary in listed} == {asleep, busy}
        reader, _ = await house.join(asleep)
        assert reader.told[-1] == "AGENT_ERROR$TOO_MANY_CONVERSATIONS"
        assert not reader.closed
        await house.conversations.stop(busy)
        await house.say(asleep, "wake up")
        await house.settle()
        assert (await house.lifecycle(asleep))[0] == "RUNNING"


async def test_who_cannot_even_be_told_to_go_keeps_its_place(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=1)) as house:
        it = await house.create()
        full, ref = False, house.conversations.ref(it)
        while not full:
            try:
                ref.tell(LookAtClock(), lane=Lane.CONTROL)
            except MailboxFull:
                full = True
        with pytest.raises(TooManyConversations):
            await house.conversations.create(ConversationCreated(), None)
        await house.settle()
        assert (await house.lifecycle(it))[0] == "RUNNING"
        other = await house.create()  # now it is idle again, and gives way
        assert [(await house.lifecycle(one))[0] for one in (it, other)] == ["STOPPED", "RUNNING"]


async def test_k22_a_hibernated_one_gives_up_its_place_too(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 10), run_times_max=1)) as house:
        asleep = await house.create()
        await trio.sleep(11)
        assert (await house.lifecycle(asleep))[2] == "hibernated"
        await house.create()
        assert await house.lifecycle(asleep) == ("STOPPED", "STOPPED", "cold")


# --- joining ---


async def test_who_joins_is_told_the_run_times_status_after_the_history(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create("hello")
        client, _ = await house.join(it)
        assert client.told[-2:] == ["awaiting_user_input", "STATUS$READY"]
        await house.conversations.rename(it, "a title")
        await house.settle()
        assert client.taken[-1] == {
            "status_update": True,
            "type": "info",
            "message": it,
            "conversation_title": "a title",
        }


async def test_joining_revives_a_cold_one(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create()
        await house.conversations.stop(it)
        client, _ = await house.join(it)
        assert client.told[-4:] == ["loading", "STATUS$STARTING_RUNTIME", "awaiting_user_input", "STATUS$READY"]
        assert (await house.lifecycle(it))[0] == "RUNNING"


# --- deleting ---


async def test_a_deleted_conversation_is_gone_for_everybody_at_once(autojump_clock: Clock) -> None:
    async with open_house(QUICK, replies=LONG) as house:
        it = await house.create("$ long")
        client, _ = await house.join(it)
        answers: list[bool] = []

        async def delete() -> None:
            answers.append(await house.conversations.delete(it))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(delete)
            nursery.start_soon(delete)
            for _ in range(2):  # whatever the order of the first tick, both have begun after the second
                await trio.lowlevel.checkpoint()
            with pytest.raises(ConversationNotFound):
                await house.say(it, "are you there?")
        assert sorted(answers) == [False, True]
        assert await house.conversations.summary(it) is None
        assert client.closed
        assert house.sandboxes[0].statistics().closed


async def test_an_address_that_outlives_its_conversation_brings_nobody_back(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create()
        address = house.conversations.ref(it)
        assert await house.conversations.delete(it)
        with pytest.raises(ActorFailed, match="not_found"):
            await address.ask(c.KeepAlive(1))
        assert house.conversations.statistics().registry.restarts == 0


async def test_a_hibernated_and_an_archived_conversation_can_be_deleted(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        hibernated, archived = await house.create(), await house.create()
        await house.conversations.archive(archived)
        await house.join(archived)
        await trio.sleep(20)
        assert (await house.lifecycle(hibernated))[2] == "hibernated"
        assert await house.conversations.delete(hibernated)
        assert await house.conversations.delete(archived)
        assert set(house.conversations.statistics().residency.values()) <= {0}


def test_the_sink_tells_what_it_was_told() -> None:
    assert ListSink([{"status_update": True, "id": "x"}, "41"]).told == ["x", "41"]


async def test_a_client_that_leaves_before_it_was_taken_is_no_client(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        await house.conversations.stop(it)
        scope = trio.CancelScope()
        async with trio.open_nursery() as nursery:

            async def follow() -> None:
                with scope:
                    await house.conversations.follow(it, Cursor(ListSink(), -1))

            nursery.start_soon(follow)
            for _ in range(2):
                await trio.lowlevel.checkpoint()
            scope.cancel()
        await house.settle()
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert (summary.num_connections, summary.status) == (0, "STOPPED")
