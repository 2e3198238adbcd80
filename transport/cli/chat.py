"""`greenroom chat`: a terminal client over trio-websocket. Shows messages, commands and outputs as they come, and
resumes by id after a lost connection.

What lives here: one connection at a time, and what is typed meanwhile. What must not: the text of an event
(`lines`), or the server's side. Every line goes out under a key of its own: where its ack did not come before the
connection was lost it is sent again, and takes effect once (K11, K13).
"""

import io
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import attrs
import trio
import trio_websocket

from transport.cli.lines import line
from transport.cli.server import LATER, NotNow, ServerError, WrongKey, address, ask_server, key_headers, why
from transport.cli.websocket import open_websocket
from transport.engineio.codec import Encoded
from transport.errors import ConnectionClosed, TransportError
from transport.socketio import codec
from transport.socketio.client import ClientSession, messages

__all__ = ["ChatError", "chat"]

RECONNECT_SECONDS = 1.0

RECONNECT_TRIES_MAX = 60
"""A minute: a restart of the server takes seconds."""

CREATE_TRIES_MAX = 5
"""Some seconds; a server that was never there is not waited for."""

QUIET_SECONDS = 1.0
"""After the end of the input, as long as this without an event and with a resting agent means that all was said."""

PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
"""As the server's (contract §2.1)."""

DECISIONS = {"y": "user_confirmed", "yes": "user_confirmed", "n": "user_rejected", "no": "user_rejected"}
"""What may be said to an agent that asks whether to run a command; anything else is a message."""

Action = dict[str, Any]
"""What a line has become on the wire, its key included."""


class ChatError(OSError):
    """The conversation cannot be had, or not any longer; the text says why in one line."""


def chat(url: str, conversation_id: str | None, key: str | None = None, *, command: str = "greenroom") -> None:
    """Talk until the end of the input. `command` is how ours is typed. Raises `ChatError`, `ServerError` and
    `KeyboardInterrupt`.
    """
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    server = address(url)
    headers = key_headers(key)
    chosen = conversation_id or _create(server, headers)
    greeting = f"conversation {chosen}  (resume: {command} chat --url {server} --conversation {chosen})"
    if conversation_id is None:
        _say(greeting)  # it is there already, whatever becomes of the connection
    is_interrupted = False
    try:
        trio.run(_Chat(server, chosen, headers, "" if conversation_id is None else greeting).run)
    except* KeyboardInterrupt:
        is_interrupted = True
    if is_interrupted:
        raise KeyboardInterrupt  # bare, as the command line expects it, not in a group


def _create(url: str, headers: Mapping[str, str]) -> str:
    """One, however often it has to be asked for (K11)."""
    keyed = {**headers, "Idempotency-Key": uuid4().hex}
    for tries_left in reversed(range(CREATE_TRIES_MAX)):
        try:
            return str(ask_server(url, "POST", "/api/conversations", {}, headers=keyed)["conversation_id"])
        except WrongKey:
            raise
        except ServerError as failure:
            if not (tries_left and isinstance(failure, NotNow)):
                raise ChatError(f"no conversation from {url}: {failure}") from failure
        except KeyError as failure:
            raise ChatError(f"no conversation from {url}: the answer is not Greenroom's") from failure
        time.sleep(RECONNECT_SECONDS)
    raise AssertionError("the last try returns or raises")


def _why(failure: BaseException) -> str:
    """In a person's words."""
    match failure:
        case trio_websocket.HandshakeError() if failure.__cause__ is not None:
            return _why(failure.__cause__)
        case trio_websocket.ConnectionClosed():
            return "the server went away"
        case _:
            return why(failure)


@attrs.define
class _Chat:
    """`_again` are actions that were sent and must be sent again, in their order."""

    url: str
    conversation_id: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    greeting: str = ""  # said when it is known that there is such a conversation
    latest_event_id: int = -1
    _socket: trio_websocket.WebSocketConnection | None = None
    _typed: deque[str] = attrs.field(factory=deque)
    _again: deque[Action] = attrs.field(factory=deque)
    _unconfirmed: dict[int, Action] = attrs.field(factory=dict)
    _sent_count: int = 0
    _tries: int = RECONNECT_TRIES_MAX  # a server that was never there is not waited for
    _agent_is_busy: bool = False
    _agent_asks: bool = False
    _heard_at: float = 0.0
    _failure: ChatError | None = None
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def run(self) -> None:
        """Raises `ChatError`, bare."""
        self._heard_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_lines, nursery.cancel_scope)
            nursery.start_soon(self._send_lines)
            nursery.start_soon(self._stay_connected, nursery.cancel_scope)
        if self._failure is not None:
            self._tell_unconfirmed()
            raise self._failure

    # --- what is typed -------------------------------------------------------------------------------------------

    async def _read_lines(self, scope: trio.CancelScope) -> None:
        while text := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if text.strip():
                self._typed.append(text.rstrip("\n"))
                self._changed.unpark_all()
        while not self._is_settled():  # noqa: ASYNC110 - silence is no event that could be waited for
            await trio.sleep(QUIET_SECONDS / 10)
        scope.cancel()

    def _is_settled(self) -> bool:
        is_quiet = trio.current_time() - self._heard_at >= QUIET_SECONDS
        return is_quiet and not (self._typed or self._again or self._unconfirmed or self._agent_is_busy)

    async def _send_lines(self) -> None:
        while True:
            while self._socket is None or not (self._again or self._typed):
                await self._changed.park()
            # What was sent before goes before what was not, and as it was: the key stands for these very words.
            action = self._again.popleft() if self._again else self._action(self._typed.popleft())
            await self._send(self._socket, action)

    def _action(self, text: str) -> Action:
        decision = DECISIONS.get(text.strip().lower()) if self._agent_asks else None
        action: Action = {"action": "message", "args": {"content": text}}
        if decision is not None:
            action = {"action": "change_agent_state", "args": {"agent_state": decision}}
        return action | {"idempotency_key": uuid4().hex}

    async def _send(self, socket: trio_websocket.WebSocketConnection, action: Action) -> None:
        self._sent_count += 1
        self._unconfirmed[self._sent_count] = action
        try:
            await _put(socket, codec.event("oh_user_action", action, ack_id=self._sent_count))
        except trio_websocket.ConnectionClosed:
            return  # the other task sees it too, and has it sent again

    def _tell_unconfirmed(self) -> None:
        for action in (*self._unconfirmed.values(), *self._again):
            said = action["args"].get("content", action["args"].get("agent_state"))
            print(f"[not confirmed: {said}]", file=sys.stderr, flush=True)

    # --- the connection ------------------------------------------------------------------------------------------

    async def _stay_connected(self, scope: trio.CancelScope) -> None:
        try:
            while True:
                self._tell_lost(await self._one_connection())
                await trio.sleep(RECONNECT_SECONDS)
        except ChatError as failure:
            self._failure = failure
            scope.cancel()

    async def _one_connection(self) -> Exception:
        """Why it ended. Raises `ChatError` when another one would not help."""
        try:
            async with self._open() as socket:
                await self._talk(socket)
        except trio_websocket.ConnectionRejected as failure:
            if failure.status_code in LATER:
                return OSError(f"HTTP {failure.status_code}")
            raise ChatError(f"the server refused: HTTP {failure.status_code}") from failure
        except ConnectionClosed as failure:
            return OSError(str(failure))
        except TransportError as failure:
            raise ChatError(f"the server does not speak Socket.IO: {failure}") from failure
        except (trio_websocket.HandshakeError, trio_websocket.ConnectionClosed, OSError) as failure:
            if isinstance(failure, ChatError):
                raise
            return failure
        finally:
            self._socket = None
        raise AssertionError("a talk ends by an exception")

    def _open(self) -> AbstractAsyncContextManager[trio_websocket.WebSocketConnection]:
        query = {
            "EIO": 4,
            "transport": "websocket",
            "conversation_id": self.conversation_id,
            "latest_event_id": self.latest_event_id,
        }
        resource = f"{urlsplit(self.url).path}/socket.io/?{urlencode(query)}"
        return open_websocket(self.url, resource, self.headers, PAYLOAD_BYTES_MAX)

    async def _talk(self, socket: trio_websocket.WebSocketConnection) -> None:
        session = ClientSession(PAYLOAD_BYTES_MAX)
        await _put(socket, codec.connect())
        while True:
            with trio.move_on_at(session.deadline) as scope:
                message = await socket.get_message()
            if scope.cancelled_caught:
                raise OSError("the server has gone silent")  # C1
            found = session.received(message, trio.current_time())
            if isinstance(found, Encoded):
                await _put(socket, found)
            elif found is not None:
                self._take(found, socket)

    def _take(self, packet: codec.Packet, socket: trio_websocket.WebSocketConnection) -> None:
        match packet:
            case codec.Packet(type=codec.PacketType.CONNECT):
                self._joined(socket)
            case codec.Packet(type=codec.PacketType.CONNECT_ERROR, data={"message": "invalid_session_api_key"}):
                raise ChatError(str(WrongKey()))
            case codec.Packet(type=codec.PacketType.CONNECT_ERROR, data={"message": message}):
                raise ChatError(f"the server refused: {message}")
            case codec.Packet(type=codec.PacketType.CONNECT_ERROR, data=data):
                raise ChatError(f"the server refused: {data}")
            case codec.Packet(type=codec.PacketType.DISCONNECT):
                raise ChatError("the conversation was stopped; whoever resumes it starts it again")
            case codec.Packet(type=codec.PacketType.ACK, data=[{"error": True, "code": "shutting_down"}]):
                return  # the next server will be asked
            case codec.Packet(type=codec.PacketType.ACK, id=int(ack_id), data=data):
                self._acknowledged(self._unconfirmed.pop(ack_id, None), data)
            case codec.Packet(type=codec.PacketType.EVENT, data=["oh_event", dict(event)]):
                self._show(event)

    def _acknowledged(self, action: Action | None, data: list[Any]) -> None:
        match data:
            case [{"error": True, "code": "outcome_unknown"}] if action is not None:
                self._again.append(action)
                self._changed.unpark_all()

    def _joined(self, socket: trio_websocket.WebSocketConnection) -> None:
        if self.greeting:
            _say(self.greeting)
        self.greeting = ""
        self._socket, self._tries = socket, 0
        self._changed.unpark_all()

    def _tell_lost(self, failure: Exception) -> None:
        self._tries += 1
        if self._tries > RECONNECT_TRIES_MAX:
            raise ChatError(f"no connection to {self.url}: {_why(failure)}")
        if self._tries == 1:
            print(f"[connection lost: {_why(failure)}; trying again]", file=sys.stderr, flush=True)
        self._again.extendleft(reversed(self._unconfirmed.values()))
        self._unconfirmed.clear()

    def _show(self, event: dict[str, Any]) -> None:
        self._heard_at = trio.current_time()
        match event:
            case {"id": int(event_id)}:
                self.latest_event_id = max(self.latest_event_id, event_id)
        match event:
            case {"observation": "agent_state_changed", "extras": {"agent_state": state}}:
                self._agent_is_busy = state == "running"
                self._agent_asks = state == "awaiting_user_confirmation"
        text = line(event)
        if text is not None:
            _say(text)


async def _put(socket: trio_websocket.WebSocketConnection, packet: Encoded) -> None:
    for message in messages(packet):
        await socket.send_message(message)


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError as failure:
        raise ChatError("nobody reads the output any more") from failure
