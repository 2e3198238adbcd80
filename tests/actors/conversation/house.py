"""All conversations of a store in memory, with a scripted sandbox and rules of the test's choosing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from actors.agent.port import Agent
from actors.agent.understudy import Understudy
from actors.conversation.cursor import Cursor
from actors.conversation.house import Rules
from actors.conversation.published import Published
from actors.conversation.service import Conversations, open_conversations
from actors.conversation.summary import describe
from actors.domain.events import ConversationCreated, MessageAction
from actors.domain.masks import NO_MASKS, Masks
from actors.sandbox.port import Sandbox
from storage.disk import Disk
from storage.memory_disk import MemoryDisk
from storage.store import open_store
from tests.fakes.scripted_sandbox import Reply, ScriptedSandbox

__all__ = ["ListSink", "Tenancy", "open_house", "states"]


@attrs.define
class ListSink:
    """A client that takes everything; what it was sent, as JSON values and as bytes."""

    taken: list[Any] = attrs.field(factory=list)
    payloads: list[bytes] = attrs.field(factory=list)
    closed: bool = False
    shows_drafts: bool = False
    drafts: list[Any] = attrs.field(factory=list)
    """With how many messages had been taken before each."""

    def try_show(self, part: Published[object]) -> bool:
        self.drafts += [(len(self.taken), orjson.loads(payload)) for payload in part.payloads]
        return True

    def try_send(self, published: Published[object]) -> bool:
        self.taken += map(orjson.loads, published.payloads)
        self.payloads += published.payloads
        return True

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        self.taken.append("41")
        self.closed = True

    @property
    def told(self) -> list[str]:
        """Notices and agent states in the order they came; `41` for the end."""
        return [_word(message) for message in self.taken if _word(message)]


def _word(message: Any) -> str:
    if message == "41":
        return "41"
    if message.get("status_update"):
        return str(message.get("id", "title"))
    return str(message["extras"]["agent_state"]) if message.get("observation") == "agent_state_changed" else ""


@attrs.define
class Tenancy:
    """The service, and ways to use it in a line."""

    conversations: Conversations
    nursery: trio.Nursery
    sandboxes: list[ScriptedSandbox] = attrs.field(factory=list)

    async def create(self, first_message: str | None = None) -> str:
        message = MessageAction(first_message) if first_message is not None else None
        summary = await self.conversations.create(ConversationCreated(), message)
        await self.settle()
        return summary.conversation_id

    async def say(self, conversation_id: str, text: str) -> int:
        receipt = await self.conversations.submit(conversation_id, MessageAction(text), size_bytes=len(text))
        assert receipt.event_id is not None
        return receipt.event_id

    async def join(
        self, conversation_id: str, position: int = -1, sink: ListSink | None = None
    ) -> tuple[ListSink, trio.CancelScope]:
        """A client, and the scope whose cancelling is its going away."""
        sink, scope = sink or ListSink(), trio.CancelScope()

        async def follow() -> None:
            with scope:
                await self.conversations.follow(conversation_id, Cursor(sink, position))

        self.nursery.start_soon(follow)
        await self.settle()
        return sink, scope

    async def settle(self) -> None:
        """Until nothing moves that does not wait for time."""
        await trio.testing.wait_all_tasks_blocked()

    async def lifecycle(self, conversation_id: str) -> tuple[str, str, str]:
        """V0's status, ours, and the residency."""
        summary = await self.conversations.summary(conversation_id)
        assert summary is not None
        return summary.status, summary.lifecycle["status"], summary.lifecycle["residency"]

    async def title(self, conversation_id: str) -> str:
        summary = await self.conversations.summary(conversation_id)
        assert summary is not None
        return summary.title

    async def events(self, conversation_id: str) -> list[dict[str, Any]]:
        page = await self.conversations.events(
            conversation_id, start=0, stop=None, reverse=False, limit=10_000, accepts=None
        )
        return [orjson.loads(payload) for payload in page.events]


def states(events: list[dict[str, Any]]) -> list[str]:
    return [event["extras"]["agent_state"] for event in events if event.get("observation") == "agent_state_changed"]


@asynccontextmanager
async def open_house(
    rules: Rules | None = None,
    disk: Disk | None = None,
    replies: dict[str, Reply] | None = None,
    prepare: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    masks: Masks = NO_MASKS,
    *,
    agent: Agent | None = None,
) -> AsyncIterator[Tenancy]:
    """The service with understudy, or another agent, until the end of the block. `prepare` is what opening a sandbox
    waits for."""
    tenancy: Tenancy

    async def open_sandbox(_: Path) -> Sandbox:
        await prepare()
        tenancy.sandboxes.append(ScriptedSandbox(replies or {}))
        return tenancy.sandboxes[-1]

    async with (
        open_store(disk or MemoryDisk(), describe) as store,
        open_conversations(store, agent or Understudy(), open_sandbox, rules, lambda: masks) as conversations,
        trio.open_nursery() as nursery,
    ):
        tenancy = Tenancy(conversations, nursery)
        yield tenancy
        nursery.cancel_scope.cancel()
