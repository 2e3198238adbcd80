"""What the agent is writing is shown as it comes to whoever wants to see it, and is nothing once it is said (K34)."""

from typing import Any

import attrs
import trio

from actors.agent.port import Hands, Outcome, Recorder
from actors.domain.events import AgentState, ChangeAgentStateAction, MessageAction, RunOutcome
from actors.domain.masks import MASK, masks_of
from actors.runtime import Promise
from tests.actors.conversation.house import ListSink, open_house, states

Clock = trio.testing.MockClock

TEXT = "once upon a time there was a server"


def written(sink: ListSink) -> str:
    return "".join(part["text"] for _, part in sink.drafts)


def messages(events: list[dict[str, Any]], source: str) -> list[tuple[int, str]]:
    return [
        (event["id"], event["args"]["content"])
        for event in events
        if event.get("action") == "message" and event["source"] == source
    ]


async def test_k34_a_text_is_shown_as_it_is_written_to_who_asked_for_it_and_stored_once(autojump_clock: Clock) -> None:
    async with open_house() as house:
        it = await house.create()
        watcher, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        reader, _ = await house.join(it)
        await house.say(it, f"/stream {TEXT}")
        await trio.sleep(10)
        [(message_id, said)] = messages(await house.events(it), "agent")
        assert (written(watcher), said, reader.drafts) == (TEXT, TEXT, [])
        assert len(watcher.drafts) == len(TEXT.split())
        place = next(place for place, event in enumerate(watcher.taken) if event.get("id") == message_id)
        assert all(taken <= place for taken, _ in watcher.drafts)
        [after] = {part["after"] for _, part in watcher.drafts}
        assert after < message_id
        assert watcher.taken == reader.taken
        assert all("after" not in event for event in await house.events(it))


async def test_k34_who_joins_in_the_middle_is_shown_all_of_it_and_what_the_user_says_meanwhile_changes_nothing(
    autojump_clock: Clock,
) -> None:
    async with open_house() as house:
        it = await house.create()
        early, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        await house.say(it, f"/stream {TEXT}")
        await trio.sleep(0.12)
        late, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        await house.say(it, "/note meanwhile")
        assert 0 < len(written(early)) < len(TEXT)
        await trio.sleep(10)
        assert written(early) == written(late) == TEXT
        assert len({part["after"] for sink in (early, late) for _, part in sink.drafts}) == 1
        assert messages(await house.events(it), "user")[-1][1] == "/note meanwhile"


async def test_k29_k34_nothing_is_shown_of_a_text_whose_run_was_stopped(autojump_clock: Clock) -> None:
    async with open_house() as house:
        it = await house.create()
        watcher, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        await house.say(it, f"/stream {TEXT}")
        await trio.sleep(0.12)
        stop = ChangeAgentStateAction(AgentState.STOPPED)
        await house.conversations.submit(it, stop, size_bytes=10)
        await house.settle()
        shown = written(watcher)
        await trio.sleep(10)
        assert 0 < len(shown) < len(TEXT)
        assert written(watcher) == shown
        assert messages(await house.events(it), "agent") == []
        assert states(await house.events(it))[-1] == "stopped"


@attrs.define
class Scribbler:
    """Drafts some texts, says the last one, and keeps its recorder, which it should not."""

    pieces: tuple[str, ...]
    name: str = "scribbler"
    recorder: Recorder | None = None

    def answers(self, content: str) -> bool:
        return bool(content)

    async def run(self, messages: tuple[int, ...], recorder: Recorder, hands: Hands) -> Outcome:  # noqa: ARG002
        self.recorder = recorder
        for piece in self.pieces:
            await recorder.draft(piece)
        await recorder.record(MessageAction("".join(self.pieces)))
        return Outcome(RunOutcome.WAITING)


async def test_k29_k34_what_an_agent_writes_after_its_run_is_shown_to_nobody(autojump_clock: Clock) -> None:
    scribbler = Scribbler(("a", "b"))
    async with open_house(agent=scribbler) as house:
        it = await house.create()
        watcher, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        await house.say(it, "write")
        await house.settle()
        assert written(watcher) == "ab"
        assert scribbler.recorder is not None
        await scribbler.recorder.draft("late")
        assert written(watcher) == "ab"


async def test_k34_a_secret_is_hidden_in_what_is_being_written_however_it_is_cut(autojump_clock: Clock) -> None:
    secret = "sk-4711-secret"  # noqa: S105 - of nobody
    pieces = ("the key is ", *secret, ", keep it")
    async with open_house(agent=Scribbler(pieces), masks=masks_of([secret])) as house:
        it = await house.create()
        watcher, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        await house.say(it, "write")
        await house.settle()
        assert written(watcher) == f"the key is {MASK}, keep it"
        assert messages(await house.events(it), "agent")[0][1] == written(watcher)


async def test_k34_each_text_is_a_draft_of_its_own(autojump_clock: Clock) -> None:
    async with open_house() as house:
        it = await house.create()
        watcher, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        for text in ("one two", "three four"):
            await house.say(it, f"/stream {text}")
            await trio.sleep(10)
        begun = sorted({part["after"] for _, part in watcher.drafts})
        texts = ["".join(part["text"] for _, part in watcher.drafts if part["after"] == after) for after in begun]
        assert texts == ["one two", "three four"]


async def test_k34_a_run_that_follows_a_stopped_one_at_once_begins_a_draft_of_its_own(autojump_clock: Clock) -> None:
    async with open_house() as house:
        it = await house.create()
        watcher, _ = await house.join(it, sink=ListSink(shows_drafts=True))
        await house.say(it, f"/stream {TEXT}")
        await trio.sleep(0.12)
        stop = ChangeAgentStateAction(AgentState.STOPPED)
        house.conversations.submit_nowait(it, stop, size_bytes=1, terms=None, reply=Promise())
        await house.say(it, "/stream something else")
        await trio.sleep(10)
        [(_, said)] = messages(await house.events(it), "agent")
        last = watcher.drafts[-1][1]["after"]
        assert "".join(part["text"] for _, part in watcher.drafts if part["after"] == last) == said == "something else"
