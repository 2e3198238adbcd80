"""The clients of a simulation: voices on sockets, and callers that do what the HTTP handlers do.

They know the protocol and nothing of the server. What each is told goes into the ledger; what a voice is shown it keeps
as its view. They live through every death of the server and come back with the last id they have seen.
"""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import attrs
import orjson
import trio

from actors.domain.events import ConversationCreated, MessageAction
from bench.checkers import Violation
from tests.simulation.checkers import DraftView, View
from tests.simulation.ledger import Command, Ledger, Outcome
from tests.simulation.link import Link
from tests.simulation.server import OPTIONS, Premises
from transport.refusals import refusal
from transport.socketio import codec
from transport.socketio.client import ClientSession
from transport.socketio.codec import Encoded

__all__ = ["Caller", "Voice"]

UNKNOWN = frozenset({"outcome_unknown"})
"""Refusals that do not say that a command had no effect."""

TEXTS = (
    "$ quick", "$ slow", "$ endless", "/burst 15 300", "/stream once upon a time there was a server that never slept",
    "/think hm", "/finish done", "/error oh", "/crash",
)  # fmt: skip

QUIET_SECONDS_MAX = 3.0
"""Long enough, now and then, for a conversation to fall asleep."""


@attrs.define(eq=False)
class Voice:
    """One client on a socket, in one conversation at a time."""

    name: str
    ledger: Ledger
    random: Random
    conversation_id: str = ""
    after: int = -1
    view: list[dict[str, Any]] = attrs.field(factory=list)
    views: list[View] = attrs.field(factory=list)
    draft: DraftView = attrs.field(factory=DraftView)
    link: Link | None = None
    _asked: dict[int, Command | None] = attrs.field(factory=dict)
    _sent: int = 0
    _joined: bool = False

    @property
    def last_id(self) -> int:
        return self.view[-1]["id"] if self.view else self.after

    def shown(self) -> list[View]:
        """Every view that it ever had, the present one last."""
        return [*self.views, View(self.name, self.conversation_id, self.after, tuple(self.view))]

    def lose_link(self) -> None:
        """The server is gone."""
        if self.link is not None:
            self.link.cut()
        self._forget_link()

    def _forget_link(self) -> None:
        self.link, self._joined = None, False
        for command in self._asked.values():
            if command is not None:
                command.lose()
        self._asked.clear()

    async def live(self, premises: Premises) -> None:
        """Connect, talk, lose the connection, come back; until cancelled."""
        while True:
            known = self.ledger.conversations
            if known and (self.conversation_id not in known or self.random.random() < 0.1):
                self._choose(self.random.choice(known))
            if self.conversation_id in known:
                await self.visit(premises, self._talk)
            await trio.sleep(self.random.uniform(0.05, 1.0))

    def _choose(self, conversation_id: str) -> None:
        if conversation_id != self.conversation_id:
            self.views = self.shown()
            self.conversation_id, self.after, self.view = conversation_id, -1, []

    async def visit(self, premises: Premises, then: Callable[[], Awaitable[None]]) -> None:
        """One connection to its end, doing something when it has joined."""
        link, self.draft = Link(), DraftView()
        self.link = link
        query = {"EIO": "4", "transport": "websocket", "conversation_id": self.conversation_id, "drafts": "1"}
        premises.attach(link, {**query, "latest_event_id": str(self.last_id)})
        link.send("40")
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, link, nursery.cancel_scope)
                await then()
                nursery.cancel_scope.cancel()
        finally:
            link.cut()
            self._forget_link()

    async def _listen(self, link: Link, scope: trio.CancelScope) -> None:
        session = ClientSession(1_000_000)
        while True:
            try:
                found = session.received(await link.take())
            except EOFError:
                break
            if isinstance(found, Encoded):
                link.send(found.text.decode())
            elif found is not None and not self._take(found):
                break
        scope.cancel()

    def _take(self, packet: codec.Packet) -> bool:
        """False when there is nothing more to come."""
        self.ledger.world.trace.note("told", client=self.name, packet=_words(packet))
        match packet:
            case codec.Packet(type=codec.PacketType.CONNECT, data=dict(greeting)):
                if not greeting["recovered"]:
                    self.views, self.view, self.after = self.shown(), [], -1
                self._joined = True
            case codec.Packet(type=codec.PacketType.EVENT, data=["oh_event", dict(event)]) if "id" in event and (
                "action" in event or "observation" in event
            ):
                self.ledger.seen(self.conversation_id, event)
                self.view.append(event)
                self.ledger.world.trace.reached["draft became a message"] += self.draft.take_event(event)
            case codec.Packet(
                type=codec.PacketType.EVENT, data=["greenroom_draft", {"after": int(after), "text": str(text)}]
            ):
                self.ledger.world.trace.reached["draft shown"] += 1
                self.draft.take_part(after, text)
            case codec.Packet(type=codec.PacketType.ACK, id=int(number), data=list(data)):
                self._acknowledged(number, data)
            case codec.Packet(type=codec.PacketType.CONNECT_ERROR | codec.PacketType.DISCONNECT):
                return False
        return True

    def _acknowledged(self, number: int, data: list[Any]) -> None:
        if number not in self._asked:
            raise Violation(f"{self.name}: ack {number} was not asked for, or came twice")
        command, refused = self._asked.pop(number), bool(data) and data[0].get("error")
        if command is None:
            return
        if not refused:
            self.ledger.acknowledged(self.conversation_id, command.text)
            command.settle(Outcome.ACKNOWLEDGED)
            if command.has_key:
                command.event_id = data[0]["event_id"]
                self.ledger.world.trace.reached["replayed"] += data[0]["replayed"]
        else:
            self.ledger.world.trace.reached[f"refused {data[0]['code']}"] += 1
            command.settle(Outcome.UNKNOWN if data[0]["code"] in UNKNOWN else Outcome.REFUSED)

    # --- what it does ------------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        """Until it has had enough."""
        habits = (self._note, self._try_again, self._text, self._flood, self._ask_for_state)
        while True:
            await trio.sleep(self.random.choice((0.0, 0.01, 0.1, self.random.uniform(0, QUIET_SECONDS_MAX))))
            if not self._joined or self.link is None:
                continue
            match self.random.choices(("do", "stall", "vanish", "leave"), (54, 3, 3, 3))[0]:
                case "do":
                    self.random.choices(habits, (30, 5, 12, 3, 4))[0]()
                case "stall":
                    await self._stall()
                case "vanish":
                    self.link.vanish()
                    return
                case _:
                    self.link.send("41")
                    return

    def _text(self) -> None:
        self._say({"action": "message", "args": {"content": self.random.choice(TEXTS)}}, None)

    def _flood(self) -> None:
        for _ in range(self.random.randint(2, 20)):
            self._note()

    def _ask_for_state(self) -> None:
        state = self.random.choice(("stopped", "paused", "running"))
        self._say({"action": "change_agent_state", "args": {"agent_state": state}}, None)

    async def _stall(self) -> None:
        link = self.link
        assert link is not None
        link.stall()
        await trio.sleep(self.random.uniform(0.1, 6))
        if link.buffered_bytes > OPTIONS.outbox_high_bytes:
            self.ledger.world.trace.reached["reader fell behind"] += 1
        link.go_on()

    def _note(self) -> None:
        text, has_key = f"/note {self.name} {self._sent}", self.random.random() < 0.5
        self._tell(self.ledger.command(self.name, self.conversation_id, text, has_key=has_key))

    def _tell(self, command: Command) -> None:
        action: dict[str, Any] = {"action": "message", "args": {"content": command.text}}
        if command.key is not None:
            action["idempotency_key"] = command.key
        self._say(action, command)

    def _try_again(self) -> None:
        """What nobody knows the outcome of; under its key it is safe to send it again."""
        for command in self.ledger.commands:
            mine = (command.sender, command.conversation_id) == (self.name, self.conversation_id)
            if mine and command.has_key and command.outcome is Outcome.UNKNOWN:
                command.try_again()
                self._tell(command)

    def _say(self, action: dict[str, Any], command: Command | None) -> None:
        assert self.link is not None
        self._asked[self._sent] = command
        self.link.send(codec.event("oh_user_action", action, ack_id=self._sent).text.decode())
        self._sent += 1


def _words(packet: codec.Packet) -> str:
    if packet.type is codec.PacketType.CONNECT:
        return f"40 {packet.data['recovered']}"
    if packet.type is codec.PacketType.CONNECT_ERROR:
        return f"44 {packet.data['message']}"
    return f"{packet.type.value} {packet.id} {orjson.dumps(packet.data).decode()}"


@attrs.define(eq=False)
class Caller:
    """A client of REST: one command after the other, each with its answer or without waiting for it."""

    name: str
    ledger: Ledger
    random: Random
    _sent: int = 0

    async def live(self, premises: Premises) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(self.random.uniform(0, 2))
            patience = self.random.choice((float("inf"), float("inf"), self.random.uniform(0, 0.05)))
            with trio.move_on_after(patience):
                await self._one_request(premises)

    async def _one_request(self, premises: Premises) -> None:
        known = self.ledger.conversations
        if not known or (len(known) < 6 and self.random.random() < 0.3):
            await self._create(premises)
        else:
            await self._command(premises, self.random.choice(known))

    async def _create(self, premises: Premises) -> None:
        text = f"/note {self.name} {self._sent}"
        self._sent += 1
        conversation_id = ""

        async def create() -> None:
            nonlocal conversation_id
            summary = await premises.conversations.create(ConversationCreated(), MessageAction(text))
            conversation_id = summary.conversation_id

        if await self._answer(create) == "":
            self.ledger.conversations.append(conversation_id)
            command = self.ledger.command(self.name, conversation_id, text)
            self.ledger.acknowledged(conversation_id, text)
            command.settle(Outcome.ACKNOWLEDGED)

    async def _command(self, premises: Premises, conversation_id: str) -> None:
        conversations = premises.conversations
        requests: dict[str, Callable[[], Awaitable[object]]] = {
            "start": lambda: conversations.start(conversation_id),
            "stop": lambda: conversations.stop(conversation_id),
            "pause": lambda: conversations.pause(conversation_id),
            "resume": lambda: conversations.resume(conversation_id),
            "archive": lambda: conversations.archive(conversation_id),
            "unarchive": lambda: conversations.unarchive(conversation_id),
            "keep_alive": lambda: conversations.keep_alive(conversation_id, 1),
            "rename": lambda: conversations.rename(conversation_id, f"title {self._sent}"),
            "summary": lambda: conversations.summary(conversation_id),
            "events": lambda: conversations.events(
                conversation_id, start=0, stop=None, reverse=False, limit=20, accepts=None
            ),
        }
        weights = (3, 2, 1, 1, 1, 3, 1, 1, 3, 3)
        name = self.random.choices((*requests, "message", "delete"), (*weights, 12, 1))[0]
        self.ledger.world.trace.note("asks", client=self.name, what=name, conversation=conversation_id)
        if name == "message":
            await self._message(premises, conversation_id)
        elif name == "delete":
            await self._delete(premises, conversation_id)
        else:
            await self._answer(requests[name])

    async def _message(self, premises: Premises, conversation_id: str) -> None:
        text = f"/note {self.name} {self._sent}"
        self._sent += 1
        command = self.ledger.command(self.name, conversation_id, text)
        try:
            code = await self._answer(
                lambda: premises.conversations.submit(conversation_id, MessageAction(text), size_bytes=len(text))
            )
        except trio.Cancelled:
            command.lose()
            raise
        if code == "":
            self.ledger.acknowledged(conversation_id, text)
            command.settle(Outcome.ACKNOWLEDGED)
        else:
            command.settle(Outcome.UNKNOWN if code in UNKNOWN else Outcome.REFUSED)

    async def _delete(self, premises: Premises, conversation_id: str) -> None:
        if conversation_id not in self.ledger.conversations:
            return  # another caller's
        self.ledger.conversations.remove(conversation_id)
        if await self._answer(lambda: premises.conversations.delete(conversation_id)) == "":
            self.ledger.deleted.append(conversation_id)
            self.ledger.world.trace.reached["deleted"] += 1

    async def _answer(self, request: Callable[[], Awaitable[object]]) -> str:
        """The code of the refusal, empty for success. What the table does not know, nobody may ever raise."""
        try:
            await request()
        except Exception as failure:
            told = refusal(failure)
            if told is None:
                raise Violation(f"{self.name}: an error that is no answer: {failure!r}") from failure
            self.ledger.world.trace.note("refused", client=self.name, code=told.code)
            self.ledger.world.trace.reached[f"refused {told.code}"] += 1
            return told.code
        self.ledger.world.trace.note("answered", client=self.name)
        return ""
