"""A known secret gets into no event, whoever brings it, and into nothing that is written (D41)."""

import trio
import trio.testing

from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.domain.events import ConversationCreated, MessageAction
from actors.domain.masks import MASK, masks_of
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import open_house
from tests.fakes.scripted_sandbox import Reply

Clock = trio.testing.MockClock

SECRET = "sk-4711-secret"  # noqa: S105 - of nobody
MASKS = masks_of([SECRET])
REPLIES = {"env": Reply(f"KEY={SECRET}\n"), "long": Reply(f"begun {SECRET}\n", seconds=1000)}
STILL = Rules(idle=IdleLimits(0, 0))


def written(disk: MemoryDisk) -> bytes:
    """Everything in the data folder."""
    return b"\n".join(bytes(file.data) for file in disk._tree.files())


async def test_d41_a_secret_that_anybody_brings_is_on_no_disk_and_at_no_client(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk, REPLIES, masks=MASKS) as house:
        created = ConversationCreated(title=f"t {SECRET}", conversation_instructions=SECRET)
        made = await house.conversations.create(created, MessageAction(f"first {SECRET}", image_urls=(SECRET,)))
        summary = await house.conversations.summary(made.conversation_id)
        assert summary is not None
        it = summary.conversation_id
        assert summary.title == f"t {MASK}"
        client, _ = await house.join(it)
        for text in (f"say {SECRET}", "$ env", f"$ echo {SECRET}", f"/think {SECRET}", f"/error {SECRET}"):
            await house.say(it, text)
            await house.settle()
        await house.conversations.rename(it, f"now {SECRET}")
        await house.settle()
        events = await house.events(it)
        shown = str([*events, *client.taken])
        assert SECRET not in shown
        [printed] = [event for event in events if event.get("content", "").startswith("KEY=")]
        assert printed["content"] == f"KEY={MASK}\n"
        assert f"now {MASK}" in shown
    assert SECRET.encode() not in written(disk)
    assert MASK.encode() in written(disk)


async def test_d41_what_a_stopped_command_had_printed_is_masked(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=REPLIES, masks=MASKS) as house:
        it = await house.create("$ long")
        await house.conversations.pause(it)
        await house.settle()
        [observation] = [event for event in await house.events(it) if event.get("observation") == "run"]
        assert observation["content"].startswith(f"begun {MASK}")


async def test_d41_what_a_user_types_reaches_the_agent_with_masks(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=REPLIES, masks=MASKS) as house:
        await house.create(f"$ echo {SECRET}")
        await house.settle()
        assert [sandbox.ran for sandbox in house.sandboxes] == [[f"echo {MASK}"]]
