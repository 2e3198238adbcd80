"""Actions that the user is to decide, from the run to the log and back: with agent, sandbox, actor and clients."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from actors.conversation.errors import Refused
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.domain.events import AgentState, ChangeAgentStateAction, RunAction
from actors.security.policy import Judge, Ruling, choose_policy
from actors.security.port import Assessment, Risk
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import Tenancy, open_house, states
from tests.fakes.scripted_sandbox import Reply

Clock = trio.testing.MockClock


@attrs.frozen
class FirstWord:
    """An analyzer that believes what the command says of itself."""

    name: str = "first word"

    def assess(self, action: RunAction) -> Assessment:
        risk = {"rm": Risk.HIGH, "mv": Risk.MEDIUM, "what": Risk.UNKNOWN}.get(action.command.split()[0], Risk.LOW)
        return Assessment(risk, "it removes files" if risk is Risk.HIGH else "")


def judge(**overrides: Ruling) -> Callable[[], Judge]:
    by_risk = {Risk[name.upper()]: ruling for name, ruling in overrides.items()}
    found = Judge(choose_policy(confirmation_mode=True, overrides=by_risk), FirstWord())
    return lambda: found


IDLE = IdleLimits(0, 0)
ASKS = Rules(idle=IDLE, judge=judge())
DENIES = Rules(idle=IDLE, judge=judge(high=Ruling.DENY))
REPLIES = {"rm x": Reply("removed\n"), "mv x": Reply("moved\n"), "ls": Reply("x\n"), "rm slow": Reply(seconds=50)}


async def decide(house: Tenancy, it: str, state: AgentState) -> None:
    await house.conversations.submit(it, ChangeAgentStateAction(state), size_bytes=1)
    await house.settle()


async def confirm(house: Tenancy, it: str) -> None:
    await decide(house, it, AgentState.USER_CONFIRMED)


async def reject(house: Tenancy, it: str) -> None:
    await decide(house, it, AgentState.USER_REJECTED)


def actions(events: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [
        (event["args"]["command"], event["args"]["confirmation_state"], event["args"]["security_risk"])
        for event in events
        if event.get("action") == "run"
    ]


def of_cause(events: list[dict[str, Any]], place: int) -> list[dict[str, Any]]:
    """The observations of the run action at this place."""
    action = [event for event in events if event.get("action") == "run"][place]
    return [event for event in events if event.get("cause") == action["id"] and "observation" in event]


async def test_what_is_allowed_is_done_and_says_its_risk(autojump_clock: Clock) -> None:
    async with open_house(ASKS, replies=REPLIES) as house:
        it = await house.create("$ mv x")
        events = await house.events(it)
        assert actions(events) == [("mv x", "confirmed", 1)]
        assert [event["content"] for event in of_cause(events, 0)] == ["moved\n"]


async def test_nothing_configured_allows_everything(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IDLE), replies=REPLIES) as house:
        it = await house.create("$ rm x")
        assert actions(await house.events(it)) == [("rm x", "confirmed", -1)]
        assert house.sandboxes[0].ran == ["rm x"]


async def test_k30_what_is_denied_is_never_run_and_observed_once_with_the_reason(autojump_clock: Clock) -> None:
    async with open_house(DENIES, replies=REPLIES) as house:
        it = await house.create("$ rm x")
        events = await house.events(it)
        assert actions(events) == [("rm x", "rejected", 2)]
        [told] = of_cause(events, 0)
        assert (told["observation"], told["content"]) == ("error", "Not done: high risk: it removes files.")
        assert house.sandboxes[0].ran == []
        assert states(events) == ["loading", "running", "awaiting_user_input"]


async def test_what_awaits_the_user_is_done_once_it_is_confirmed(autojump_clock: Clock) -> None:
    async with open_house(ASKS, replies=REPLIES) as house:
        it = await house.create("$ rm x")
        client, _ = await house.join(it)
        assert house.sandboxes[0].ran == []
        assert await house.lifecycle(it) == ("RUNNING", "STOPPED", "hot")
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["agent_state"] == "awaiting_user_confirmation"
        assert summary.lifecycle["reason"] == "high risk: it removes files"
        await confirm(house, it)
        events = await house.events(it)
        assert house.sandboxes[0].ran == ["rm x"]
        assert actions(events) == [("rm x", "awaiting_confirmation", 2), ("rm x", "confirmed", 2)]
        assert of_cause(events, 0) == []
        assert [event["content"] for event in of_cause(events, 1)] == ["removed\n"]
        assert client.told == [
            *("loading", "running", "awaiting_user_confirmation", "STATUS$READY"),
            *("user_confirmed", "running", "awaiting_user_input"),
        ]


async def test_what_the_user_rejects_is_never_run_and_the_user_has_the_word(autojump_clock: Clock) -> None:
    async with open_house(ASKS, replies=REPLIES) as house:
        it = await house.create("$ rm x")
        await reject(house, it)
        events = await house.events(it)
        assert house.sandboxes[0].ran == []
        assert [event["observation"] for event in of_cause(events, 1)] == ["user_rejected"]
        assert states(events)[2:] == ["awaiting_user_confirmation", "user_rejected", "awaiting_user_input"]


async def test_messages_behind_what_awaits_the_user_are_answered_after_it_in_order(autojump_clock: Clock) -> None:
    async with open_house(ASKS, replies=REPLIES) as house:
        it = await house.create("/sleep 1")
        for text in ("$ rm x", "second"):
            await house.say(it, text)  # both are taken by the same run
        await trio.sleep(2)
        await house.settle()
        await house.say(it, "third")
        await house.settle()
        events = await house.events(it)
        assert not [event for event in events if event["source"] == "agent" and event.get("action") == "message"]
        await confirm(house, it)
        events = await house.events(it)
        said = [event["message"] for event in events if event["source"] == "agent" and event.get("action") == "message"]
        assert said == ["second", "third"]
        assert house.sandboxes[0].ran == ["rm x"]
        assert len([event for event in events if event.get("action") == "think"]) == 1, "nothing is answered twice"


async def test_where_nothing_awaits_the_user_a_decision_is_refused_and_leaves_nothing(autojump_clock: Clock) -> None:
    async with open_house(ASKS, replies=REPLIES) as house:
        it = await house.create("$ rm x")
        await confirm(house, it)
        before = await house.events(it)
        for again in (confirm, reject):
            with pytest.raises(Refused) as caught:
                await again(house, it)
            assert caught.value.code == "nothing_to_confirm"
        assert await house.events(it) == before


@pytest.mark.parametrize("end", [Tenancy.settle, None])
async def test_k30_stopping_a_confirmed_command_observes_it_once(
    end: Callable[[Tenancy], Any] | None, autojump_clock: Clock
) -> None:
    async with open_house(ASKS, replies=REPLIES) as house:
        it = await house.create("$ rm slow")
        await confirm(house, it)
        assert house.sandboxes[0].ran == ["rm slow"]
        await house.conversations.pause(it)
        if end is not None:
            await end(house)
        await house.conversations.stop(it)
        assert [event["observation"] for event in of_cause(await house.events(it), 1)] == ["run"]


async def test_a_stop_closes_what_awaits_the_user_even_in_a_cold_conversation(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(100, 10), judge=judge()), replies=REPLIES) as house:
        hot, cold = await house.create("$ rm x"), await house.create("$ rm x")
        await house.conversations.stop(hot)
        await trio.sleep(200)
        assert (await house.lifecycle(cold))[2] == "cold"
        await house.conversations.stop(cold)
        for it in (hot, cold):
            events = await house.events(it)
            assert [event["observation"] for event in of_cause(events, 1)] == ["error"]
            assert states(events)[-1] == "stopped"
            assert actions(events)[-1] == ("rm x", "rejected", 2)


@pytest.mark.parametrize("seconds", [20, 200], ids=["hibernated", "closed"])
async def test_k22_what_awaits_the_user_is_not_busy_and_outlives_idleness(seconds: int, autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(100, 10), judge=judge()), replies=REPLIES) as house:
        it = await house.create("$ rm x")
        await trio.sleep(seconds)
        assert (await house.lifecycle(it))[2] == ("hibernated" if seconds == 20 else "cold")
        await confirm(house, it)
        events = await house.events(it)
        assert [event["content"] for event in of_cause(events, 1)] == ["removed\n"]
        assert states(events)[-1] == "awaiting_user_input"


@pytest.mark.parametrize(
    ("word", "ran", "observed"),
    [(AgentState.USER_CONFIRMED, ["rm x"], "run"), (AgentState.USER_REJECTED, [], "user_rejected")],
)
@pytest.mark.parametrize("joins", [True, False])
async def test_what_awaits_the_user_outlives_the_server(
    word: AgentState, ran: list[str], observed: str, *, joins: bool, autojump_clock: Clock
) -> None:
    disk = MemoryDisk()
    async with open_house(ASKS, disk, REPLIES) as house:
        it = await house.create("$ rm x")
        before = await house.events(it)
    async with open_house(ASKS, disk, REPLIES) as house:
        assert await house.events(it) == before, "a server that stops decides nothing"
        if joins:
            client, _ = await house.join(it)
            assert client.told[-2:] == ["awaiting_user_confirmation", "STATUS$READY"]
        await decide(house, it, word)
        assert [command for sandbox in house.sandboxes for command in sandbox.ran] == ran
        assert [event["observation"] for event in of_cause(await house.events(it), 1)] == [observed]


async def test_an_agent_cannot_record_a_command_that_nobody_has_ruled_on(autojump_clock: Clock) -> None:
    @attrs.frozen
    class Sly:
        name: str = "sly"

        def answers(self, _: str) -> bool:
            return True

        async def run(self, _: Any, recorder: Any, __: Any) -> Any:
            await recorder.record(RunAction("rm x"))

    async with open_house(ASKS, replies=REPLIES) as house:
        house.conversations._house.agent = Sly()
        it = await house.create("hello")
        assert actions(await house.events(it)) == []
        assert states(await house.events(it))[-1] == "error"
